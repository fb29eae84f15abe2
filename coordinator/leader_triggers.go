package coordinator

import (
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// triggerRequest is a manual trigger that waits for its checkpoint to begin (checkpoint 0) and to end.
type triggerRequest struct {
	checkpoint checkpoint.ID
	reply      chan triggered // capacity 1
}

type triggered struct {
	id  checkpoint.ID
	err error
}

// trigger asks for a checkpoint of a job that runs; answerTriggers tells what became of it.
func (l *leader) trigger(j *fsm.Job, reply chan triggered) {
	if j.Status != fsm.JobRunning {
		reply <- triggered{err: api.Errorf(api.Conflict, "job %s is %s: checkpoints are taken of a RUNNING job", j.Name, j.Status)}
		return
	}
	l.view.OnTriggerRequested(j)
	l.requests.triggers[j.ID] = append(l.requests.triggers[j.ID], &triggerRequest{reply: reply})
}

// bindTriggers gives the requests that wait for a checkpoint the one that has begun.
func (r *requests) bindTriggers(job checkpoint.JobID, id checkpoint.ID) {
	for _, t := range r.triggers[job] {
		if t.checkpoint == 0 {
			t.checkpoint = id
		}
	}
}

// answerTriggers answers the requests whose checkpoint has an outcome, or never will have one.
func (l *leader) answerTriggers() {
	for id, waiting := range l.requests.triggers {
		j := l.view.byID[id]
		waiting = slices.DeleteFunc(waiting, func(t *triggerRequest) bool {
			switch {
			case t.checkpoint != 0 && (j == nil || !isPending(j, t.checkpoint)):
				t.reply <- triggered{id: t.checkpoint}
			case t.checkpoint == 0 && (j == nil || j.Status != fsm.JobRunning):
				t.reply <- triggered{err: api.Errorf(api.Conflict, "the job stopped running before the checkpoint began")}
			default:
				return false
			}
			return true
		})
		l.requests.triggers[id] = waiting
		if len(waiting) == 0 {
			delete(l.requests.triggers, id)
		}
	}
}
