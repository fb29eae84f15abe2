package coordinator

import (
	"context"
	"fmt"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// triggerRequest is a client's request that waits for its checkpoint to begin (checkpoint 0) and to end.
type triggerRequest struct {
	job        checkpoint.JobID
	checkpoint checkpoint.ID
	reply      chan triggered // capacity 1
	// ignore ends the watch over the client's context.
	ignore func() bool
}

// triggered is what became of a request: the checkpoint that has an outcome, or the reason why there is none.
type triggered struct {
	id  checkpoint.ID
	err error
}

// trigger asks for a checkpoint or savepoint of a job, and answers on reply (capacity 1) when it has an outcome or
// cannot begin. The request is withdrawn when ctx is done before it has begun: nobody waits for it any more.
func (l *leader) trigger(ctx context.Context, j *fsm.Job, kind checkpoint.Kind, stop checkpoint.Stop, reply chan triggered) {
	if j.Status != fsm.JobRunning {
		reply <- triggered{err: api.Errorf(api.Conflict, "job %s is %s, and a %s is taken of a RUNNING job%s (%s)",
			j.Name, j.Status, kind, whenRunning(j), checkpoint.ReasonNotAllTasksRunning)}
		return
	}
	id := l.view.OnRequest(j, kind, stop, checkpoint.Timestamp(time.Now().UnixMilli()))
	l.requests.triggers[id] = &triggerRequest{
		job: j.ID, reply: reply,
		ignore: context.AfterFunc(ctx, func() { l.inbox.post(func() { l.withdraw(id) }) }),
	}
}

// whenRunning says what to do about a job that does not run, in the form of a continuation; nothing when it never will.
func whenRunning(j *fsm.Job) string {
	if j.Status.Terminal() || j.Status == fsm.JobCancelling {
		return ""
	}
	return fmt.Sprintf(`; try again when "coord job show %s" says that it is`, j.Name)
}

// withdraw gives up a request whose client has gone. A checkpoint that has begun for it goes on.
func (l *leader) withdraw(id uint64) {
	if t := l.requests.triggers[id]; t != nil {
		l.view.OnWithdrawn(t.job, id)
		delete(l.requests.triggers, id)
	}
}

// answer ends a request.
func (l *leader) answer(id uint64, with triggered) {
	t := l.requests.triggers[id]
	if t == nil {
		return
	}
	delete(l.requests.triggers, id)
	t.ignore()
	t.reply <- with
}

// answerTriggers answers the requests whose checkpoint has an outcome, or never will have one.
func (l *leader) answerTriggers() {
	for _, f := range l.view.takeFates() {
		if l.answerRescale(f) {
			continue
		}
		if t := l.requests.triggers[f.request]; t != nil && f.checkpoint != 0 {
			t.checkpoint = f.checkpoint
			continue
		}
		l.answer(f.request, triggered{err: api.Errorf(api.Conflict, "%s", f)})
	}
	for id, t := range l.requests.triggers {
		if t.checkpoint == 0 {
			continue
		}
		if j := l.view.byID[t.job]; j == nil || !isPending(j, t.checkpoint) {
			l.answer(id, triggered{id: t.checkpoint})
		}
	}
}

func isPending(j *fsm.Job, id checkpoint.ID) bool {
	_, pending := j.PendingByID(id)
	return pending
}
