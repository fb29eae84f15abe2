package fsm

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// Import is a savepoint that was copied into the cluster from a directory, or is being copied. It belongs to no job that
// the cluster runs: the job that took it may be of another cluster, or long forgotten.
type Import struct {
	Job         checkpoint.JobID // that took it
	JobName     string           // at that time; empty when it is not known
	Checkpoint  checkpoint.ID
	Manifest    checkpoint.ChunkRef // no two imports have the same
	TriggeredAt checkpoint.Timestamp
	StateSize   int64
	NumSubtasks int
	BegunAt     checkpoint.Timestamp // when the import began
	FinishedAt  checkpoint.Timestamp // when all of it was stored, 0 before
}

// Complete reports whether all that the savepoint names has been stored.
func (i Import) Complete() bool { return i.FinishedAt != 0 }

// entry is the imported savepoint as one that was taken here.
func (i Import) entry() Completed {
	return Completed{
		ID: i.Checkpoint, Kind: checkpoint.KindSavepoint, TriggeredAt: i.TriggeredAt, CompletedAt: i.FinishedAt,
		Manifest: i.Manifest, StateSize: i.StateSize, NumSubtasks: i.NumSubtasks,
	}
}

// mayStart returns an error unless a job can start from it.
func (i Import) mayStart() error {
	if i.Complete() {
		return nil
	}
	return fmt.Errorf("%w: savepoint %d of job %s", ErrIncomplete, i.Checkpoint, i.Job)
}

// ImportByID returns the imported savepoint of that job and ID.
func (s *State) ImportByID(job checkpoint.JobID, id checkpoint.ID) (Import, bool) {
	return s.findImport(func(i Import) bool { return i.Job == job && i.Checkpoint == id })
}

// importOf returns the imported savepoint that a source names.
func (s *State) importOf(source Source) (Import, bool) {
	return s.findImport(func(i Import) bool {
		return i.Job == source.Job && i.Checkpoint == source.Checkpoint && i.Manifest == source.Manifest &&
			source.Kind == checkpoint.KindSavepoint
	})
}

func (s *State) findImport(is func(Import) bool) (Import, bool) {
	n := slices.IndexFunc(s.Imports, is)
	if n < 0 {
		return Import{}, false
	}
	return s.Imports[n], true
}

// forgetImport ends the registration of an import.
func (s *State) forgetImport(manifest checkpoint.ChunkID) {
	s.Imports = without(s.Imports, func(i Import) bool { return i.Manifest.ID == manifest })
}

// mergeImports adds those of a snapshot to the present ones, which were begun, finished, claimed or disposed of since. One
// that is not here any more comes back: its state may be gone, but it may as well be all that there is of it.
func mergeImports(present, snapshot []Import) []Import {
	merged := present
	for _, i := range snapshot {
		same := func(p Import) bool {
			return p.Manifest.ID == i.Manifest.ID || p.Job == i.Job && p.Checkpoint == i.Checkpoint
		}
		if !slices.ContainsFunc(merged, same) {
			merged = appended(merged, i)
		}
	}
	return merged
}

// checkImports demands that each is named by its job and ID, and has a manifest of its own.
func (s *State) checkImports() error {
	type name struct {
		job checkpoint.JobID
		id  checkpoint.ID
	}
	names, manifests := make(map[name]bool), make(map[checkpoint.ChunkID]bool)
	for _, i := range s.Imports {
		if err := i.validate(); err != nil {
			return fmt.Errorf("imported savepoint %d of job %s: %w", i.Checkpoint, i.Job, err)
		}
		if names[name{i.Job, i.Checkpoint}] || manifests[i.Manifest.ID] {
			return fmt.Errorf("savepoint %d of job %s, manifest %s, was imported twice", i.Checkpoint, i.Job, i.Manifest.ID)
		}
		names[name{i.Job, i.Checkpoint}], manifests[i.Manifest.ID] = true, true
	}
	return nil
}
