package coordinator

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// I5: nothing is registered or finished of which something has been deleted meanwhile, and sweeps wait for nobody after it.
func TestI5_ImportWithoutItsStateIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		ctx, s, store, m := context.Background(), c.leader("").Service(), c.store.(*memoryStore), keyedManifest()
		manifest := c.storeManifest(m)
		refused := func(err error, lost checkpoint.ChunkID) {
			t.Helper()
			if api.CodeOf(err) != api.Unavailable || !strings.Contains(err.Error(), lost.String()) {
				t.Fatalf("without chunk %s: %v", lost, err)
			}
		}
		_, err := s.BeginImport(ctx, checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xee}, Size: 1}, "")
		refused(err, checkpoint.ChunkID{0xee})
		store.lost = manifest.ID
		_, err = s.BeginImport(ctx, manifest, "")
		refused(err, store.lost)
		if n := len(c.leader("").replica.imports()); n > 0 {
			t.Fatalf("%d were registered", n)
		}
		store.lost = NamedChunks(m)[0]
		savepoint, err := s.BeginImport(ctx, manifest, "")
		if err != nil || !savepoint.Imported || !savepoint.Incomplete || savepoint.ID != 40 {
			t.Fatalf("%+v, %v", savepoint, err)
		}
		_, err = s.FinishImport(ctx, savepoint.Job, 40)
		refused(err, store.lost)
		_, err = s.SubmitJob(ctx, api.SubmitJobRequest{
			Program: "test", Name: "next", Source: &api.Source{Job: savepoint.Job, Checkpoint: 40, Kind: "savepoint"},
		})
		if api.CodeOf(err) != api.Conflict || !strings.Contains(err.Error(), "the import of savepoint 40 of job "+savepoint.Job+" is not finished") {
			t.Fatalf("a job from an import that is not finished: %v", err)
		}
		store.lost = checkpoint.ChunkID{}
		for range 2 { // the second time because the first answer was lost
			if savepoint, err = s.FinishImport(ctx, savepoint.Job, 40); err != nil || savepoint.Incomplete || savepoint.ImportedAt == 0 {
				t.Fatalf("%+v, %v", savepoint, err)
			}
		}
		synctest.Wait()
		if n := len(c.leader("").sessions.leading().view.cleaning.imports); n != 0 {
			t.Errorf("sweeps wait for %d imports", n)
		}
	})
}

// An import is found by the ID and by the name of the job that took it, listed, and given up.
func TestImportsAreSavepoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		own := c.savepoint(s, "wc", api.StopSuspend)
		source := c.importSavepoint(keyedManifest())
		for ref, want := range map[string]int{"": 2, "elsewhere": 1, source.Job: 1, "wc": 1} {
			list, err := s.ListSavepoints(ctx, ref)
			if err != nil || len(list) != want {
				t.Errorf("savepoints of %q: %+v, %v", ref, list, err)
			}
		}
		if _, err := s.ListSavepoints(ctx, "wd"); api.CodeOf(err) != api.NotFound {
			t.Errorf("savepoints of an unknown job: %v", err)
		}
		at, err := s.LocateCheckpoint(ctx, "elsewhere", 40)
		if err != nil || at.Job != source.Job || at.Kind != "savepoint" || at.Manifest.Size == 0 {
			t.Errorf("located %+v, %v", at, err)
		}
		if at, err = s.LocateCheckpoint(ctx, "wc", own.ID); err != nil || at.Manifest.ID.String() != own.Manifest {
			t.Errorf("located %+v, %v", at, err)
		}
		job := submitManual(t, s, api.SubmitJobRequest{Name: "next", Source: &api.Source{Job: "elsewhere", Checkpoint: 40, Kind: "savepoint"}})
		err = s.DisposeSavepoint(ctx, "elsewhere", 40)
		if api.CodeOf(err) != api.Conflict || !strings.Contains(err.Error(), "job next ("+job.ID+") was submitted from it") {
			t.Errorf("disposed of what a job needs: %v", err)
		}
		c.awaitRunning("next")
		if _, err := s.TriggerCheckpoint(ctx, "next"); err != nil {
			t.Fatal(err)
		}
		if err := s.DisposeSavepoint(ctx, "elsewhere", 40); err != nil {
			t.Error(err)
		}
		if err := s.DisposeSavepoint(ctx, "elsewhere", 40); api.CodeOf(err) != api.NotFound {
			t.Errorf("disposed of it twice: %v", err)
		}
	})
}

// A savepoint that the cluster took itself is imported once it was given up there, and not before.
func TestImportOfWhatTheClusterTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		own := c.savepoint(s, "wc", api.StopSuspend)
		id, err := checkpoint.ParseChunkID(own.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		manifest := checkpoint.ChunkRef{ID: id, Size: own.ManifestSize}
		for _, imported := range []bool{false, true} {
			savepoint, err := s.BeginImport(ctx, manifest, "wc")
			if err == nil {
				savepoint, err = s.FinishImport(ctx, savepoint.Job, savepoint.ID)
			}
			if err != nil || savepoint.Imported != imported || savepoint.ID != own.ID || savepoint.Incomplete {
				t.Fatalf("%+v, %v; want it imported: %t", savepoint, err, imported)
			}
			if list, err := s.ListSavepoints(ctx, "wc"); err != nil || len(list) != 1 {
				t.Errorf("listed %+v, %v", list, err)
			}
			if !imported {
				if err := s.DisposeSavepoint(ctx, "wc", own.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		submitManual(t, s, api.SubmitJobRequest{Name: "again", Source: &api.Source{Job: "wc", Checkpoint: own.ID, Kind: "savepoint", Claim: true}})
		if list, err := s.ListSavepoints(ctx, ""); err != nil || len(list) != 0 {
			t.Errorf("claimed, and still listed: %+v, %v", list, err)
		}
	})
}

func TestImportOfWhatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		m := keyedManifest()
		other := m
		other.Attempt++
		c.importSavepoint(m)
		_, err := s.BeginImport(ctx, c.storeManifest(other), "")
		if api.CodeOf(err) != api.AlreadyExists {
			t.Errorf("another savepoint of the same name: %v", err)
		}
		m.Kind = checkpoint.KindCheckpoint
		_, err = s.BeginImport(ctx, c.storeManifest(m), "")
		if api.CodeOf(err) != api.Invalid || !strings.Contains(err.Error(), "it is no savepoint") {
			t.Errorf("a checkpoint: %v", err)
		}
		if _, err = s.BeginImport(ctx, checkpoint.ChunkRef{}, ""); api.CodeOf(err) != api.Invalid {
			t.Errorf("nothing: %v", err)
		}
		if _, err = s.FinishImport(ctx, "wc", 7); api.CodeOf(err) != api.NotFound {
			t.Errorf("the end of nothing: %v", err)
		}
	})
}

// What there is not is said with the reason.
func TestLocateWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		c.awaitRunning("wc")
		if _, err := s.TriggerCheckpoint(ctx, "wc"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.LocateCheckpoint(ctx, "wc", 9); api.CodeOf(err) != api.NotFound || err.Error() != "job wc has no checkpoint 9; it has 1" {
			t.Error(err)
		}
		if _, err := s.LocateCheckpoint(ctx, "wd", 1); api.CodeOf(err) != api.NotFound {
			t.Errorf("unknown job: %v", err)
		}
		if _, err := s.LocateChunks(ctx, make([]checkpoint.ChunkRef, api.MaxLocated+1)); api.CodeOf(err) != api.Invalid {
			t.Errorf("too many at once: %v", err)
		}
	})
	r := reading{jobs: []*fsm.Job{{
		Name: "wc", Pending: []fsm.Pending{{ID: 9, Kind: checkpoint.KindCheckpoint}},
		History: []fsm.Outcome{
			{ID: 5, Kind: checkpoint.KindCheckpoint, Status: fsm.OutcomeFailed, Reason: checkpoint.ReasonExpired, Message: "count[0] is late"},
			{ID: 6, Kind: checkpoint.KindSavepoint, Status: fsm.OutcomeCompleted}, {ID: 7, Kind: checkpoint.KindCheckpoint, Status: fsm.OutcomeCompleted},
		},
	}}}
	for id, want := range map[checkpoint.ID]string{
		5: "checkpoint 5 of job wc failed, and nothing of it is kept: checkpoint_expired: count[0] is late",
		6: "job wc has no savepoint 6: that one was disposed of, or claimed by another job; it has none",
		7: "job wc has no checkpoint 7: that one was discarded, or claimed by another job; it has none",
		9: "checkpoint 9 of job wc is still in progress",
	} {
		if err := r.neitherKept("wc", id); err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// A disk that is nearly full is a problem, and so is a node that has not told what it holds.
func TestRoomProblems(t *testing.T) {
	s := api.StoreStatus{Nodes: []api.StoreNode{
		{ID: "n1", State: "alive", Complete: true, FreeBytes: 4 << 30, TotalBytes: 100 << 30, Path: "/data/n1"},
		{ID: "n2", State: "alive", FreeBytes: 50 << 30, TotalBytes: 100 << 30}, {ID: "n3", State: "lost", TotalBytes: 100 << 30},
		{ID: "n4", State: "alive", Complete: true}, {ID: "n5", State: "alive"},
	}}
	want := []string{
		"the disk of node n1 is nearly full: 4 GiB of 100 GiB free at /data/n1",
		"what is stored is not known of n2, n5: no inventory yet",
	}
	if got := roomProblems(s); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What the storekeeper knows reaches clients, whichever coordinator they ask.
func TestStoreStatusAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := idleCluster(t)
		defer c.stop()
		for id, one := range c.coordinators {
			s, err := one.Service().StoreStatus(context.Background())
			if err != nil || len(s.Nodes) != 2 || s.Problems == nil {
				t.Errorf("asked at %v: %+v, %v", id, s, err)
			}
			chunks := []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{1}, Size: 1}, {ID: checkpoint.ChunkID{2}, Size: 1}}
			if l, err := one.Service().LocateChunks(context.Background(), chunks); err != nil || len(l.Holders) != 2 {
				t.Errorf("located at %v: %+v, %v", id, l, err)
			}
		}
	})
}

// Sweeps wait from before the manifest is looked at until the import is registered, or given up by its client.
func TestI5_SweepsWaitWhileAnImportBegins(t *testing.T) {
	for name, patient := range map[string]bool{"registered": true, "given up": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := idleCluster(t)
				defer c.stop()
				manifest := c.storeManifest(keyedManifest())
				release := c.store.(*memoryStore).hold()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				begun := make(chan error, 1)
				go func() {
					_, err := s.BeginImport(ctx, manifest, "")
					begun <- err
				}()
				synctest.Wait()
				imports := func() int { return len(c.leader("").sessions.leading().view.cleaning.imports) }
				if n := imports(); n != 1 {
					t.Errorf("sweeps wait for %d imports while the manifest is read", n)
				}
				if !patient {
					cancel()
				}
				release()
				if err := <-begun; (err == nil) != patient {
					t.Errorf("begun: %v", err)
				}
				synctest.Wait()
				if n, registered := imports(), len(c.leader("").replica.imports()); n != 0 || (registered == 1) != patient {
					t.Errorf("sweeps wait for %d imports, %d are registered", n, registered)
				}
			})
		})
	}
}
