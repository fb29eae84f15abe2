package coordinator

import (
	"cmp"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// kept is a completed checkpoint or savepoint that is kept: in a job's log, among its savepoints, or imported.
type kept struct {
	job        checkpoint.JobID
	jobName    string
	id         checkpoint.ID
	kind       checkpoint.Kind // as it is listed: a savepoint that a job has claimed is a checkpoint of that job
	savepoint  bool            // it is disposed of by its owner; otherwise it is discarded in time
	manifest   checkpoint.ChunkRef
	detail     checkpoint.ChunkRef
	incomplete bool // an import that is not finished
}

// kept finds what is kept under a job's ID or name and a checkpoint ID. What a job has goes before what was imported.
func (r reading) kept(ref string, id checkpoint.ID) (kept, error) {
	j, err := r.job(ref)
	if err == nil {
		if k, ok := keptBy(j, id); ok {
			return k, nil
		}
	}
	if i, ok := r.imported(ref, id); ok {
		return kept{
			job: i.Job, jobName: importedName(i), id: i.Checkpoint, kind: checkpoint.KindSavepoint, savepoint: true, manifest: i.Manifest,
			incomplete: !i.Complete(),
		}, nil
	}
	if err == nil {
		err = api.Errorf(api.NotFound, "job %s keeps no checkpoint or savepoint %d", j.Name, id)
	}
	return kept{}, err
}

func keptBy(j *fsm.Job, id checkpoint.ID) (kept, bool) {
	k := kept{job: j.ID, jobName: j.Name, id: id, kind: checkpoint.KindCheckpoint}
	is := func(c fsm.Completed) bool { return c.ID == id }
	among := j.Completed
	if slices.ContainsFunc(j.Savepoints, is) {
		among, k.kind, k.savepoint = j.Savepoints, checkpoint.KindSavepoint, true
	}
	i := slices.IndexFunc(among, is)
	if i < 0 {
		return kept{}, false
	}
	k.manifest = among[i].Manifest
	for _, o := range j.History {
		if o.ID == id {
			k.detail = o.Detail.Chunk
		}
	}
	return k, true
}

// imported finds an imported savepoint by the ID or the name of the job that took it; of several of that name the one whose
// import began last.
func (r reading) imported(ref string, id checkpoint.ID) (fsm.Import, bool) {
	for _, i := range slices.Backward(r.imports) {
		if i.Checkpoint == id && importedFrom(i, ref) {
			return i, true
		}
	}
	return fsm.Import{}, false
}

func importedFrom(i fsm.Import, ref string) bool { return i.Job.String() == ref || i.JobName == ref }

// importedName is what the job of an imported savepoint is called.
func importedName(i fsm.Import) string { return cmp.Or(i.JobName, i.Job.String()) }

// notKept says why a checkpoint or savepoint of a kind cannot be had.
func (r reading) notKept(ref string, kind checkpoint.Kind, id checkpoint.ID) error {
	j, err := r.job(ref)
	if err == nil {
		return noSuchCheckpoint(j, kind, id)
	}
	var imported []fsm.Completed
	for _, i := range r.imports {
		if importedFrom(i, ref) {
			imported = append(imported, fsm.Completed{ID: i.Checkpoint})
		}
	}
	switch {
	case len(imported) == 0:
		return err
	case kind == checkpoint.KindCheckpoint:
		return api.Errorf(api.NotFound, "job %s is not known here; only savepoints of it were imported: %s", ref, listIDs(imported))
	}
	return api.Errorf(api.NotFound, "job %s is not known here, and its savepoint %d was not imported; there are %s", ref, id, listIDs(imported))
}

// neitherKept says why nothing is kept under an ID, of whatever kind.
func (r reading) neitherKept(ref string, id checkpoint.ID) error {
	j, err := r.job(ref)
	if err != nil {
		return r.notKept(ref, checkpoint.KindSavepoint, id)
	}
	for _, o := range j.History {
		switch {
		case o.ID != id:
		case o.Status == fsm.OutcomeFailed:
			return api.Errorf(api.NotFound, "%s %d of job %s failed, and nothing of it is kept: %s", o.Kind, id, j.Name, failureText(o))
		default:
			return noSuchCheckpoint(j, o.Kind, id)
		}
	}
	return noSuchCheckpoint(j, checkpoint.KindCheckpoint, id)
}
