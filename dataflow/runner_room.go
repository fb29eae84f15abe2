package dataflow

import "fmt"

// waitForRoom is where a task stands still under back pressure: it takes no input until its receivers have taken what is
// queued for them. Mail and barriers reach it all the same.
func (r *runner) waitForRoom() error {
	var next func() error
	r.task.stats.waits.begin(waitRoom, r.task.clock())
	select {
	case <-r.ctx.Done():
		next = r.ctx.Err
	case <-r.backlog.room:
		next = r.backlog.drain
	case <-r.task.mailbox.ready:
		next = r.readMail
	case <-r.task.gate.urgent:
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
		end := edgeEnd{edge: ref.edge}
		r.task.gate.restore(channel, all[end][ref.from])
		delete(all[end], ref.from)
	}
	for _, o := range r.outputs {
		for _, c := range o.channels {
			end := edgeEnd{output: true, edge: c.id.Edge}
			for _, f := range all[end][c.id.To] {
				r.backlog.push(c, queuedOutput{buffer: f})
			}
			delete(all[end], c.id.To)
		}
	}
	for end, left := range all {
		if len(left) > 0 {
			return Permanent(fmt.Errorf("checkpoint %d has records in flight of %d channels of edge %d that subtask %s does not have",
				r.task.spec.Restore, len(left), end.edge, r.task.spec.Subtask))
		}
	}
	return r.backlog.drain()
}
