package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// slotPatience is how long a job waits for slots before it takes those in which subtasks of younger jobs go on. A node
// that only restarts is back by then.
const slotPatience = 30 * time.Second

// giveWay stops jobs from waiting for each other. What goes on keeps its slots while the rest of its job waits for some;
// where a node is gone for good, several jobs may each hold what another one lacks, and none of them takes checkpoints
// any more. Then the oldest one goes on whole, and the youngest ones stop, as far as that helps. It comes after the
// completions have been notified.
func (d *decision) giveWay() {
	for i, j := range d.view.Jobs {
		if !d.starved(j) {
			continue
		}
		lacking := d.slotsWanted(j) - total(d.knowing(j.Program))
		var stop []*fsm.Job
		for _, other := range slices.Backward(d.view.Jobs[i+1:]) {
			if lacking <= 0 {
				break
			}
			if gain := d.slotsFrom(other, j); gain > 0 && d.starved(other) {
				lacking -= gain
				stop = append(stop, other)
			}
		}
		if lacking > 0 {
			continue
		}
		for _, other := range stop {
			d.stopWhatGoesOn(other)
		}
		if len(stop) > 0 {
			return // what the others lack is to be seen when they have stopped
		}
	}
}

// starved reports whether a job has waited long enough for the slots of its next attempt, and does not have them.
func (d *decision) starved(j *fsm.Job) bool {
	if j.Status != fsm.JobRestarting || time.Duration(d.at-j.Restart.NextAt)*time.Millisecond < slotPatience {
		return false
	}
	d.countSlots()
	return d.slotsWanted(j) > total(d.knowing(j.Program))
}

// slotsFrom returns how many slots a job could use that another one holds with what goes on of it.
func (d *decision) slotsFrom(other, j *fsm.Job) int {
	if other.Status != fsm.JobRestarting {
		return 0
	}
	gain := 0
	for id, n := range d.slotsHeld(other) {
		if _, usable := d.free[id]; usable && slices.Contains(d.view.nodes[id].programs, j.Program) {
			gain += n
		}
	}
	return gain
}

// stopWhatGoesOn stops everything of the last attempt of a job. Once its nodes have been told, nothing of it goes on.
func (d *decision) stopWhatGoesOn(j *fsm.Job) {
	for _, n := range d.view.order {
		var newest checkpoint.Attempt
		for k := range n.holds {
			if k.job == j.ID {
				newest = max(newest, k.attempt)
			}
		}
		if newest > 0 && n.connected && n.reported {
			d.send(n.ref.ID, checkpoint.CancelAttempt{Term: d.view.Term, Job: j.ID, Attempt: newest})
		}
	}
}
