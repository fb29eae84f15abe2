package sim

import (
	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/fsm"
)

// The leader loop's part in sweeps of old chunks.

func (l *leaderLoop) advanceSweep(a coordinator.AdvanceSweep) {
	l.w.trace.add(l.w.now, "%s term %d: %s", l.c.id, l.term, a)
	l.view.OnSweepAdvanced(a, l.c.clock())
	if a.To == coordinator.SweepWaiting && l.w.broken(SweepsWithoutWaiting) {
		l.view.OnSweepAdvanced(coordinator.AdvanceSweep{Sweep: a.Sweep, To: coordinator.SweepPlanning}, l.c.clock())
	}
}

// planSweep reads the manifests beside the loop.
func (l *leaderLoop) planSweep() {
	in := l.view.OnSweepPlanning(l.c.clock())
	if l.w.broken(SweepsWhatIsShared) {
		in.Live, in.Named = nil, nil
	}
	l.after(l.w.storeDelay(), func() {
		plan := in.Plan(func(ref checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) {
			data, err := l.w.get(l.c, ref)
			if err != nil {
				return nil, err
			}
			m, err := checkpoint.DecodeManifest(data)
			if err != nil {
				return nil, err
			}
			return coordinator.NamedChunks(m), nil
		}, l.heldBy)
		l.post(func() { l.view.OnSweepPlanned(plan, l.c.clock()) })
	})
}

// confirmLeadership commits an entry that says nothing.
func (l *leaderLoop) confirmLeadership(a coordinator.ConfirmLeadership) {
	l.view.OnConfirming()
	if l.w.broken(SweepsUnconfirmed) {
		l.view.OnConfirmed(a.Sweep, nil, l.c.clock())
		return
	}
	confirmed := func(err error) {
		l.post(func() { l.view.OnConfirmed(a.Sweep, err, l.c.clock()) })
	}
	taken := l.c.raft.propose([]fsm.Command{nil}, func(_ []fsm.Response, ok bool) {
		if ok {
			confirmed(nil)
		} else {
			confirmed(errDeposed)
		}
	})
	if !taken {
		confirmed(errDeposed)
	}
}
