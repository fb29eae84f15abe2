package coordinator

import (
	"cmp"
	"slices"

	"cairn/api"
	"cairn/fsm"
)

// savepoints lists the savepoints of the job that ref names, or of all when it is empty, newest first.
func (r reading) savepoints(ref string) ([]api.Savepoint, error) {
	owners := r.jobs
	if ref != "" {
		j, err := r.job(ref)
		if err != nil {
			return nil, err
		}
		owners = []*fsm.Job{j}
	}
	holds := fsm.HoldsOf(r.jobs)
	list := []api.Savepoint{}
	for _, j := range owners {
		for _, c := range j.Savepoints {
			list = append(list, savepointModel(j, c, holds))
		}
	}
	slices.SortFunc(list, func(a, b api.Savepoint) int {
		return cmp.Or(cmp.Compare(b.CompletedAt, a.CompletedAt), cmp.Compare(a.Job, b.Job), cmp.Compare(b.ID, a.ID))
	})
	return list, nil
}

func savepointModel(j *fsm.Job, c fsm.Completed, holds fsm.Holds) api.Savepoint {
	s := api.Savepoint{
		Job: j.ID.String(), JobName: j.Name, ID: uint64(c.ID), Stop: c.Stop.String(),
		TriggeredAt: int64(c.TriggeredAt), CompletedAt: int64(c.CompletedAt), StateSize: c.StateSize, NumSubtasks: c.NumSubtasks,
		Manifest: c.Manifest.ID.String(), ManifestSize: c.Manifest.Size, UsedBy: []string{},
	}
	for _, id := range holds[c.Manifest.ID] {
		s.UsedBy = append(s.UsedBy, id.String())
	}
	return s
}
