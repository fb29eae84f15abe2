package fsm

import (
	"math"
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestI5_AnImportIsAliveFromItsBeginning(t *testing.T) {
	s := newScript(t)
	s.must(s.beginImport(9, 40))
	want := []checkpoint.ChunkRef{manifestOf(jobID(9), 40)}
	for _, when := range []string{"at once", "after a snapshot"} {
		if live := s.state.Live(); !slices.Equal(live.Manifests, want) || !slices.Equal(live.Incomplete, want) {
			t.Errorf("%s: live %v, incomplete %v", when, live.Manifests, live.Incomplete)
		}
		s.state = restored(t, s.bytes())
	}
	s.must(s.beginImport(9, 40)) // again, as a client does whose call was cut off
	s.must(s.finishImport(9, 40))
	if live := s.state.Live(); !slices.Equal(live.Manifests, want) || live.Incomplete != nil {
		t.Errorf("finished: live %v, incomplete %v", live.Manifests, live.Incomplete)
	}
	finished := s.state.Imports
	s.must(s.finishImport(9, 40))
	s.must(s.beginImport(9, 40))
	if !slices.Equal(s.state.Imports, finished) {
		t.Errorf("repetitions made %+v of %+v", s.state.Imports, finished)
	}
}

func TestAJobStartsFromAnImport(t *testing.T) {
	for name, claim := range map[string]bool{"claimed": true, "not claimed": false} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.must(s.beginImport(9, 40))
			s.rejects(ErrIncomplete, s.submitFrom(2, 9, aSavepoint, 40, claim))
			s.must(s.finishImport(9, 40))
			finished := s.state.Imports[0]
			s.runningFrom(2, 9, aSavepoint, 40, claim)
			j := s.job(2)
			if j.LastID != 40 || j.NeedsSource() == claim || len(s.state.Imports) == 1 == claim {
				t.Errorf("last ID %d, needs its source %t, imports %+v", j.LastID, j.NeedsSource(), s.state.Imports)
			}
			want := []Completed{finished.entry()}
			if claim && !slices.Equal(j.Completed, want) || !claim && j.Completed != nil {
				t.Errorf("log %+v, want %+v", j.Completed, want)
			}
			if got := s.state.Live().Manifests; !slices.Equal(got, []checkpoint.ChunkRef{finished.Manifest}) {
				t.Errorf("live %v", got)
			}
			dispose := DisposeSavepoint{Job: jobID(9), Savepoint: 40, At: s.at}
			if claim {
				s.rejects(ErrUnknownCheckpoint, s.submitFrom(3, 9, aSavepoint, 40, false))
				s.rejects(ErrUnknownJob, dispose)
				return
			}
			s.rejects(ErrInUse, s.submitFrom(3, 9, aSavepoint, 40, true))
			s.rejects(ErrInUse, dispose)
			s.wantHolders(9, 40, "of the import", 2)
			s.completed(2, 1)
			s.must(dispose)
			s.rejects(ErrUnknownJob, dispose)
			if s.state.Imports != nil {
				t.Errorf("disposed of, and still there: %+v", s.state.Imports)
			}
		})
	}
}

func TestAnIncompleteImportIsDisposedOf(t *testing.T) {
	s := newScript(t)
	s.must(s.beginImport(9, 40))
	s.must(s.beginImport(9, 41))
	s.must(DisposeSavepoint{Job: jobID(9), Savepoint: 40, At: s.at})
	if live := s.state.Live().Manifests; !slices.Equal(live, []checkpoint.ChunkRef{manifestOf(jobID(9), 41)}) {
		t.Errorf("live %v", live)
	}
	s.rejects(ErrUnknownCheckpoint, s.finishImport(9, 40))
}

// TestASavepointOfAJobThatIsKnownIsImported: once it was given up it is as foreign as any other, and not before.
func TestASavepointOfAJobThatIsKnownIsImported(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.savepoint(1)
	s.must(s.beginImport(1, 1))
	s.must(s.finishImport(1, 1))
	if s.state.Imports != nil {
		t.Fatalf("job 1 has it, and it is imported: %+v", s.state.Imports)
	}
	other := s.beginImport(1, 1)
	other.Manifest = manifest(77)
	s.rejects(ErrSavepointExists, other)
	s.must(DisposeSavepoint{Job: jobID(1), Savepoint: 1, At: s.at})
	s.rejects(ErrUnknownCheckpoint, s.finishImport(1, 1))
	s.imported(1, 1) // while its chunks are being deleted
	s.wantFree(1, "although the same is imported", 1)
	s.must(s.submitFrom(2, 1, aSavepoint, 1, false))
	s.wantFree(1, "while job 2 depends on it")
	s.must(s.submitFrom(3, 1, aSavepoint, 1, false))
	s.ended(2)
	s.ended(3)
	s.must(FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{1}})
	if live := s.state.Live().Manifests; !slices.Equal(live, []checkpoint.ChunkRef{manifest(1)}) {
		t.Errorf("live %v", live)
	}
	s.must(DisposeSavepoint{Job: jobID(1), Savepoint: 1, At: s.at})
	if live := s.state.Live().Manifests; live != nil {
		t.Errorf("live %v", live)
	}
}

func TestImportRejections(t *testing.T) {
	for name, change := range map[string]func(*BeginImport){
		"no job":             func(c *BeginImport) { c.Job = checkpoint.JobID{} },
		"no ID":              func(c *BeginImport) { c.Checkpoint = 0 },
		"an ID behind all":   func(c *BeginImport) { c.Checkpoint = math.MaxInt64 + 1 },
		"no manifest":        func(c *BeginImport) { c.Manifest.ID = checkpoint.ChunkID{} },
		"no size":            func(c *BeginImport) { c.StateSize = -1 },
		"no subtasks":        func(c *BeginImport) { c.NumSubtasks = -1 },
		"no time":            func(c *BeginImport) { c.At = 0 },
		"another's manifest": func(c *BeginImport) { c.Manifest = manifestOf(jobID(9), 7) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.must(s.beginImport(9, 7))
			c := s.beginImport(9, 40)
			change(&c)
			s.rejects(ErrInvalid, c)
		})
	}
	s := newScript(t)
	s.must(s.beginImport(9, 7))
	c := s.beginImport(9, 7)
	c.Manifest = manifestOf(jobID(9), 8)
	s.rejects(ErrSavepointExists, c)
	f := s.finishImport(9, 7)
	f.At = 0
	s.rejects(ErrInvalid, f)
	f = s.finishImport(9, 7)
	f.Manifest.Size++
	s.rejects(ErrUnknownCheckpoint, f)
	s.rejects(ErrUnknownCheckpoint, s.finishImport(8, 7))
}

// TestImportsOfARestoredSnapshot: what is there at present stays as it is, and what the snapshot has besides comes back.
func TestImportsOfARestoredSnapshot(t *testing.T) {
	s := newScript(t)
	s.must(s.beginImport(9, 1))
	s.imported(9, 2)
	then := s.bytes()
	s.must(s.finishImport(9, 1))
	s.must(DisposeSavepoint{Job: jobID(9), Savepoint: 2, At: s.at})
	s.imported(9, 3)
	next := restored(t, then)
	if err := next.After(s.state, 7, s.at); err != nil {
		t.Fatal(err)
	}
	got := make(map[checkpoint.ID]bool)
	for _, i := range next.Imports {
		got[i.Checkpoint] = i.Complete()
	}
	if len(got) != 3 || !got[1] || !got[2] || !got[3] {
		t.Errorf("complete: %v", got)
	}
}

func TestImportsAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(*State){
		"an invalid one":     func(s *State) { s.Imports[0].Checkpoint = 0 },
		"two of one ID":      func(s *State) { s.Imports[1].Checkpoint = s.Imports[0].Checkpoint },
		"two of one content": func(s *State) { s.Imports[1].Manifest = s.Imports[0].Manifest },
	} {
		s := newScript(t)
		s.imported(9, 1)
		s.imported(9, 2)
		s.state.Imports = slices.Clone(s.state.Imports)
		spoil(s.state)
		if _, err := DecodeSnapshot(s.bytes()); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
