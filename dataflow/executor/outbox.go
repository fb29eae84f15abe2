package executor

import (
	"context"

	"cairn/checkpoint"
)

// maxAcksPerBatch keeps one message well below the size limit of the transport.
const maxAcksPerBatch = 256

// outbox holds what is to be told to the leader, in order. Acks that stand next to each other share one
// message, so that a node with many subtasks costs the leader few. It is pure; the executor's mutex
// guards it.
type outbox struct {
	to    Session // nil while nobody leads: nothing is queued then, a later Report says it all
	queue []checkpoint.FromNode
}

// redirect drops what is queued and directs the outbox to a new leader, nil for none.
func (o *outbox) redirect(to Session) { o.to, o.queue = to, nil }

// put queues a message for the leader. It reports false when there is none.
func (o *outbox) put(m checkpoint.FromNode) bool {
	if o.to == nil {
		return false
	}
	o.queue = append(o.queue, m)
	return true
}

// putAck queues an ack, in the batch at the end of the queue if there is one.
func (o *outbox) putAck(a checkpoint.Ack) bool {
	if n := len(o.queue); n > 0 {
		if batch, ok := o.queue[n-1].(checkpoint.AckBatch); ok && len(batch.Acks) < maxAcksPerBatch {
			batch.Acks = append(batch.Acks, a)
			o.queue[n-1] = batch
			return true
		}
	}
	return o.put(checkpoint.AckBatch{Acks: []checkpoint.Ack{a}})
}

// take hands over everything that is queued.
func (o *outbox) take() (Session, []checkpoint.FromNode) {
	queue := o.queue
	o.queue = nil
	return o.to, queue
}

// wakeSender tells the sender that the outbox is not empty. One pending signal is enough, since the sender
// takes all there is.
func (e *Executor) wakeSender() {
	select {
	case e.outboxReady <- struct{}{}:
	default:
	}
}

// tellLocked queues a message for the leader, if there is one.
func (e *Executor) tellLocked(m checkpoint.FromNode) {
	if e.mu.outbox.put(m) {
		e.wakeSender()
	}
}

// sendLoop sends what is queued until ctx is done. Being the only sender, it keeps the order.
func (e *Executor) sendLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.outboxReady:
		}
		e.mu.Lock()
		to, messages := e.mu.outbox.take()
		leadership := e.mu.leadership
		e.mu.Unlock()
		if e.send(to, messages) && len(messages) > 0 {
			leadership.told() // what is sent first to a leader begins with the Report
		}
	}
}

// send sends messages in order. When the session breaks, the rest is dropped: what was not said is in the
// Report on the next one. It reports whether all were sent.
func (e *Executor) send(to Session, messages []checkpoint.FromNode) bool {
	for _, m := range messages {
		if err := to.Send(m); err != nil {
			e.log.Warn("telling the leader failed; it is told again on its next session", "cause", err)
			e.SessionClosed(to)
			// A session that has lost a message is of no use, also when it could still carry others: the
			// leader has to see it end, and ask for a report on the next one.
			if err := to.Close(); err != nil {
				e.log.Debug("closing the session", "cause", err)
			}
			return false
		}
	}
	return true
}
