package coordinator

import (
	"fmt"
	"slices"
	"strings"

	"cairn/checkpoint"
	"cairn/fsm"
)

// When an attempt has failed, only the pipelined regions of what failed are restarted (Flink's
// RestartPipelinedRegionFailoverStrategy). Which those are is decided when the next attempt starts, from what the nodes say
// of their subtasks until then. So regions that fail meanwhile drop out by themselves, and a new leader sees what the
// old one saw.

// regionFate is what becomes of a region of an attempt that has failed.
type regionFate uint8

const (
	// regionKept: everything of it runs, or has finished, on nodes that are alive.
	regionKept regionFate = iota
	// regionOpen: nothing is known to be wrong with it, but a node may still report.
	regionOpen
	// regionRestarts: something of it has ended or is gone.
	regionRestarts
)

// regionFates returns what becomes of each region of a job that waits for its next attempt; nil when none may go on.
func (d *decision) regionFates(j *fsm.Job) []regionFate {
	if !j.MayKeep() || len(j.Assignment.NodeOf) == 0 {
		return nil
	}
	if known, found := d.fates[j.ID]; found {
		return known
	}
	s := d.view.job(j)
	fates := make([]regionFate, s.numRegions())
	for ordinal, region := range s.regions {
		fates[region] = max(fates[region], d.subtaskFate(j, s, ordinal))
	}
	if d.fates == nil {
		d.fates = make(map[checkpoint.JobID][]regionFate)
	}
	d.fates[j.ID] = fates
	return fates
}

// subtaskFate is the fate of a region as far as one of its subtasks decides it.
func (d *decision) subtaskFate(j *fsm.Job, s *jobView, ordinal int) regionFate {
	t := &s.subtasks[ordinal]
	switch t.status {
	case checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		return regionRestarts
	}
	ref := j.Assignment.Node(ordinal)
	switch d.view.assigneeState(ref, d.now) {
	case nodeAlive:
		if t.status == 0 || t.dropped || !d.view.nodes[ref.ID].holdsExecution(j, ordinal) {
			return regionRestarts
		}
		return regionKept
	case nodeSuspect:
		return regionOpen // for no longer than SessionGrace
	case nodeUnknown:
		if d.reportsSoon(ref) {
			return regionOpen
		}
	}
	return regionRestarts
}

// reportsSoon reports whether a node that has not reported may do so any moment: nodes answer a new leader, and a new
// session, at once.
func (d *decision) reportsSoon(ref checkpoint.NodeRef) bool {
	since := d.view.Since
	if n := d.view.nodes[ref.ID]; n != nil {
		since = n.greetedAt
	}
	return d.now.Sub(since) <= d.view.Timing.SessionGrace
}

// goesOn reports whether a subtask goes on into the next attempt, or may do so.
func (d *decision) goesOn(j *fsm.Job, ordinal int) bool {
	fates := d.regionFates(j)
	return fates != nil && fates[d.view.job(j).regions[ordinal]] != regionRestarts
}

// someGoOn reports whether anything of the last attempt goes on, or may do so.
func (d *decision) someGoOn(j *fsm.Job) bool {
	return slices.ContainsFunc(d.regionFates(j), func(f regionFate) bool { return f != regionRestarts })
}

// keptSubtasks returns the ordinals of the subtasks that go on into the next attempt. It reports false while that is open
// of some.
func (d *decision) keptSubtasks(j *fsm.Job) (kept []int, known bool) {
	fates := d.regionFates(j)
	if fates == nil {
		return nil, true
	}
	for ordinal, region := range d.view.job(j).regions {
		switch fates[region] {
		case regionOpen:
			return nil, false
		case regionKept:
			kept = append(kept, ordinal)
		}
	}
	return kept, true
}

// keptSlots returns where each slot is that holds a subtask which goes on, or may do so: it stays there, and what else it
// holds with it. Other slots are empty; nil when there are no such slots.
func (d *decision) keptSlots(j *fsm.Job) []checkpoint.NodeID {
	if d.regionFates(j) == nil {
		return nil
	}
	bases, n := j.Topology.SlotBases()
	var slots []checkpoint.NodeID
	ordinal := 0
	for v, vertex := range j.Topology.Vertices {
		for i := range vertex.Parallelism {
			if d.goesOn(j, ordinal) {
				if slots == nil {
					slots = make([]checkpoint.NodeID, n)
				}
				slots[bases[v]+i] = j.Assignment.Node(ordinal).ID
			}
			ordinal++
		}
	}
	return slots
}

// slotsWanted returns how many slots the job's next attempt needs beside those that it keeps.
func (d *decision) slotsWanted(j *fsm.Job) int {
	wanted := j.NextShape().Topology.SlotsNeeded()
	for _, id := range d.keptSlots(j) {
		if id != "" {
			wanted--
		}
	}
	return wanted
}

// cancelRestarting stops, on the nodes where something goes on, the subtasks that are to be restarted. Where nothing goes
// on the whole attempt is stopped (stopAttempts).
func (d *decision) cancelRestarting(j *fsm.Job, s *jobView) {
	for _, ref := range j.Assignment.Nodes {
		n := d.view.nodes[ref.ID]
		if n == nil || !n.connected || !n.reported || n.ref.Incarnation != ref.Incarnation {
			continue
		}
		var stop []checkpoint.SubtaskID
		some := false
		for _, ordinal := range s.ordinals[ref.ID] {
			if d.goesOn(j, ordinal) {
				some = true
			} else if s.mustCancel(ordinal) && n.holdsExecution(j, ordinal) {
				stop = append(stop, s.all[ordinal])
			}
		}
		if some && len(stop) > 0 {
			d.send(ref.ID, checkpoint.CancelTasks{Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Subtasks: stop})
		}
	}
}

// mustCancel reports whether a subtask may run that this session of its node has not been told to stop.
func (s *jobView) mustCancel(ordinal int) bool {
	t := &s.subtasks[ordinal]
	switch t.status {
	case checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		return false
	}
	return !t.cancelSent
}

// markCancelled records that a node was told to stop subtasks.
func (v *View) markCancelled(m checkpoint.CancelTasks) {
	j := v.byID[m.Job]
	if j == nil || j.Attempt != m.Attempt {
		return
	}
	s := v.job(j)
	for _, subtask := range m.Subtasks {
		if ordinal := j.Topology.Ordinal(subtask); ordinal >= 0 {
			s.subtasks[ordinal].dropped, s.subtasks[ordinal].cancelSent = true, true
		}
	}
}

// spares reports whether an older attempt that a node holds may be where subtasks run that go on: it is not to be
// cancelled. In a running attempt that is so until the node has been told of it.
func (d *decision) spares(n *nodeView, k attemptKey) bool {
	j := d.view.byID[k.job]
	if j == nil || !j.Assignment.Has(n.ref.ID, n.ref.Incarnation) {
		return false
	}
	current := attemptKey{j.ID, j.Attempt}
	for _, ordinal := range d.view.job(j).ordinals[n.ref.ID] {
		switch {
		case j.DeployedIn(ordinal) > k.attempt || k.attempt > j.Attempt:
		case j.Status == fsm.JobRunning && !n.holds[current], j.Status == fsm.JobRestarting && d.goesOn(j, ordinal):
			return true
		}
	}
	return false
}

// holdsExecution reports whether the node has, in memory, an attempt in which the present execution of a subtask runs, or
// has ended: that attempt may be older than the job's when the subtask went on and the node has not been told yet.
func (n *nodeView) holdsExecution(j *fsm.Job, ordinal int) bool {
	for k := range n.holds {
		if k.job == j.ID && k.attempt >= j.DeployedIn(ordinal) && k.attempt <= j.Attempt {
			return true
		}
	}
	return false
}

// numRegions returns the number of pipelined regions.
func (s *jobView) numRegions() int {
	n := 0
	for _, region := range s.regions {
		n = max(n, region+1)
	}
	return n
}

// maxNamedRegions bounds how many regions are named in a text.
const maxNamedRegions = 3

// restartText says how much of a job is to be restarted, as far as it is known: "restarting 2 of 8 subtasks (region of
// read[3])".
func (d *decision) restartText(j *fsm.Job) string {
	s := d.view.job(j)
	if d.regionFates(j) == nil {
		return fmt.Sprintf("restarting all %d subtasks", len(s.all))
	}
	restarting, regions := 0, 0
	var named []string
	seen := make([]bool, s.numRegions())
	for ordinal, region := range s.regions {
		if d.goesOn(j, ordinal) {
			continue
		}
		restarting++
		if seen[region] {
			continue
		}
		seen[region] = true
		if regions++; regions <= maxNamedRegions {
			named = append(named, s.nameOf(region))
		}
	}
	switch {
	case restarting == len(s.all):
		return fmt.Sprintf("restarting all %d subtasks", restarting)
	case restarting == 0:
		return fmt.Sprintf("all %d subtasks go on", len(s.all))
	}
	what := "region of "
	if regions > 1 {
		what = "regions of "
	}
	text := fmt.Sprintf("restarting %d of %d subtasks (%s%s", restarting, len(s.all), what, strings.Join(named, ", "))
	if more := regions - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + ")"
}

// nameOf names a region by a subtask of it: the first that has failed, or its first one.
func (s *jobView) nameOf(region int) string {
	name := ""
	for ordinal, of := range s.regions {
		switch {
		case of != region:
		case s.subtasks[ordinal].status == checkpoint.SubtaskFailed:
			return s.all[ordinal].String()
		case name == "":
			name = s.all[ordinal].String()
		}
	}
	return name
}
