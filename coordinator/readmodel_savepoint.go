package coordinator

import (
	"cmp"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// savepoints lists the savepoints of the job that ref names, or of all when it is empty, newest first. Imported ones are
// among them.
func (r reading) savepoints(ref string) ([]api.Savepoint, error) {
	owners, imports := r.jobs, r.imports
	if ref != "" {
		j, err := r.job(ref)
		owners, imports = nil, nil
		if err == nil {
			owners = []*fsm.Job{j}
		}
		for _, i := range r.imports {
			if importedFrom(i, ref) || j != nil && i.Job == j.ID {
				imports = append(imports, i)
			}
		}
		if err != nil && len(imports) == 0 {
			return nil, err
		}
	}
	holds := fsm.HoldsOf(r.jobs)
	list := []api.Savepoint{}
	for _, j := range owners {
		for _, c := range j.Savepoints {
			list = append(list, savepointModel(j, c, holds))
		}
	}
	for _, i := range imports {
		list = append(list, importModel(i, holds))
	}
	slices.SortFunc(list, func(a, b api.Savepoint) int {
		return cmp.Or(cmp.Compare(b.CompletedAt, a.CompletedAt), cmp.Compare(a.Job, b.Job), cmp.Compare(b.ID, a.ID))
	})
	return list, nil
}

func savepointModel(j *fsm.Job, c fsm.Completed, holds fsm.Holds) api.Savepoint {
	return api.Savepoint{
		Job: j.ID.String(), JobName: j.Name, ID: uint64(c.ID), Stop: c.Stop.String(),
		TriggeredAt: int64(c.TriggeredAt), CompletedAt: int64(c.CompletedAt), StateSize: c.StateSize, NumSubtasks: c.NumSubtasks,
		Manifest: c.Manifest.ID.String(), ManifestSize: c.Manifest.Size, UsedBy: holders(holds, c.Manifest.ID),
	}
}

// importModel says of an imported savepoint when it was taken; when that completed its manifest does not tell.
func importModel(i fsm.Import, holds fsm.Holds) api.Savepoint {
	return api.Savepoint{
		Job: i.Job.String(), JobName: i.JobName, ID: uint64(i.Checkpoint),
		TriggeredAt: int64(i.TriggeredAt), CompletedAt: int64(i.TriggeredAt), StateSize: i.StateSize, NumSubtasks: i.NumSubtasks,
		Manifest: i.Manifest.ID.String(), ManifestSize: i.Manifest.Size, UsedBy: holders(holds, i.Manifest.ID),
		Imported: true, ImportedAt: int64(i.FinishedAt), Incomplete: !i.Complete(),
	}
}

func holders(holds fsm.Holds, manifest checkpoint.ChunkID) []string {
	users := []string{}
	for _, id := range holds[manifest] {
		users = append(users, id.String())
	}
	return users
}

// savepoint describes one savepoint that is kept.
func (r reading) savepoint(job checkpoint.JobID, id checkpoint.ID) (api.Savepoint, error) {
	holds := fsm.HoldsOf(r.jobs)
	for _, j := range r.jobs {
		if c, ok := j.SavepointByID(id); ok && j.ID == job {
			return savepointModel(j, c, holds), nil
		}
	}
	if i, ok := r.imported(job.String(), id); ok {
		return importModel(i, holds), nil
	}
	return api.Savepoint{}, api.Errorf(api.NotFound, "savepoint %d of job %s is not here any more: it was disposed of, or claimed by a job", id, job)
}
