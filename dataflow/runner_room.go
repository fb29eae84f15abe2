package dataflow

import (
	"fmt"

	"cairn/dataflow/exchange"
)

// waitForRoom is where a task stands still under back pressure: it takes no input until its receivers have taken what is
// queued for them. Mail and barriers reach it all the same.
func (r *runner) waitForRoom() error {
	var next func() error
	r.task.stats.waits.begin(waitRoom, r.task.clock())
	select {
	case <-r.ctx.Done():
		next = r.ctx.Err
	case <-r.backlog.Room():
		next = r.backlog.Drain
	case <-r.task.mailbox.ready:
		next = r.readMail
	case <-r.task.gate.Urgent():
		next = r.readArrivals
	case <-r.flush.C:
		next = r.flushOutputs
	case <-r.overtaking.C:
		next = r.overtake
	}
	r.task.stats.waits.end(r.task.clock())
	return next()
}

// restoreInFlight puts the records that the snapshot has found in flight back to where they were: in the inputs before
// everything that is sent anew, in the outputs before everything that this task emits.
func (r *runner) restoreInFlight() error {
	all, err := restoreInFlight(r.ctx, r.task.deps.Store, r.task.spec, r.task.topology)
	if err != nil {
		return err
	}
	for channel, ref := range r.task.inputs {
		end := exchange.EdgeEnd{Edge: ref.Edge}
		r.task.gate.Restore(channel, all[end][ref.From])
		delete(all[end], ref.From)
	}
	for _, o := range r.outputs {
		for _, c := range o.Channels {
			end := exchange.EdgeEnd{Output: true, Edge: c.ID.Edge}
			r.backlog.Restore(c, all[end][c.ID.To])
			delete(all[end], c.ID.To)
		}
	}
	for end, left := range all {
		if len(left) > 0 {
			return Permanent(fmt.Errorf("checkpoint %d has records in flight of %d channels of edge %d that subtask %s does not have",
				r.task.spec.Restore, len(left), end.Edge, r.task.spec.Subtask))
		}
	}
	return r.backlog.Drain()
}
