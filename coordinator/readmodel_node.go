package coordinator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// Values of api.Node.Status.
const (
	statusReady    = "ready"
	statusDraining = "draining"
	statusDrained  = "drained"
	statusSuspect  = "suspect"
	statusLost     = "lost"
)

// nodes lists the nodes that the leader has met, and those that are drained, ordered by ID. Without the leader only the
// latter are known.
func (r reading) nodes() ([]api.Node, error) {
	slots, subtasks := r.usedSlots(), r.usedSubtasks()
	list := []api.Node{}
	met := make(map[checkpoint.NodeID]bool)
	if r.view != nil {
		for _, n := range r.view.sortedNodes() {
			met[n.ref.ID] = true
			list = append(list, api.Node{
				ID: string(n.ref.ID), Address: n.ref.Address, State: r.view.stateOf(n, r.now).String(), Slots: n.slots,
			})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.drained)) {
		if !met[id] {
			list = append(list, api.Node{ID: string(id), State: nodeUnknown.String()})
		}
	}
	for i := range list {
		n := &list[i]
		id := checkpoint.NodeID(n.ID)
		n.UsedSlots, n.Subtasks, n.Leaving = slots[id], subtasks[id], []string{}
		if at, drained := r.drained[id]; drained {
			n.Drained, n.DrainedAt, n.Leaving = true, int64(at), r.leaving(id)
		}
		n.Status = nodeStatus(*n)
	}
	slices.SortFunc(list, func(a, b api.Node) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

func nodeStatus(n api.Node) string {
	switch {
	case n.State == nodeLost.String(), n.State == nodeLeft.String():
		return statusLost
	case n.Drained && n.Subtasks > 0:
		return statusDraining
	case n.Drained:
		return statusDrained
	case n.State == nodeSuspect.String():
		return statusSuspect
	}
	return statusReady
}

// usedSubtasks counts the subtasks that running jobs have on each node.
func (r reading) usedSubtasks() map[checkpoint.NodeID]int {
	used := make(map[checkpoint.NodeID]int)
	for _, j := range r.jobs {
		if !holdsSlots(j) {
			continue
		}
		for _, n := range j.Assignment.NodeOf {
			used[j.Assignment.Nodes[n].ID]++
		}
	}
	return used
}

// leaving says, of each job that has subtasks on a drained node, when they leave or why they stay. The leader knows.
func (r reading) leaving(id checkpoint.NodeID) []string {
	said := []string{}
	for _, j := range r.jobs {
		if r.view == nil || !holdsSlots(j) || len(j.Assignment.Ordinals(id)) == 0 {
			continue
		}
		said = append(said, r.leavingText(j))
	}
	return said
}

func (r reading) leavingText(j *fsm.Job) string {
	if j.Status != fsm.JobRunning {
		return fmt.Sprintf("job %s is %s", j.Name, j.Status)
	}
	d := &decision{view: r.view, now: r.now}
	_, state, problem := d.roomFor(j, r.view.job(j), j.NextShape())
	switch {
	case problem != "":
		return problem + "; it stays until there is room"
	case state == changeWaiting:
		return fmt.Sprintf("job %s waits for nodes to say what graph their build makes", j.Name)
	}
	for _, p := range j.Pending {
		if p.Aligned {
			return fmt.Sprintf("job %s leaves with checkpoint %d, which is being taken", j.Name, p.ID)
		}
	}
	if failed := r.notLeft(j); failed != "" {
		return failed
	}
	return fmt.Sprintf("job %s leaves with its next checkpoint", j.Name)
}

// notLeft says why the last checkpoint failed with which a job was to leave, until one completes. It has no countdown in it:
// whoever watches would take each second for news.
func (r reading) notLeft(j *fsm.Job) string {
	tries := &r.view.job(j).tries
	if tries.failure == "" {
		return ""
	}
	return fmt.Sprintf("job %s has not left: %s; the next try comes %s after that one began", j.Name, tries.failure, tries.pause())
}

// stuck says of each job that cannot leave a drained node why its checkpoint for that failed.
func (r reading) stuck(id checkpoint.NodeID) []string {
	var said []string
	for _, j := range r.jobs {
		if failed := r.notLeft(j); failed != "" && j.Status == fsm.JobRunning && len(j.Assignment.Ordinals(id)) > 0 {
			said = append(said, failed)
		}
	}
	return said
}
