package coordinator

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"cairn/api"
)

// history is what clients asked a cluster, and what they were told.
type history struct {
	clock atomic.Int64 // orders calls and answers; virtual time stands still too often for that

	mu  sync.Mutex
	ops []porcupine.Operation
}

// triggerOutput is the output of a trigger: its checkpoint's ID, or 0 when the client does not know what became of the
// call: it may have taken effect at any time since, or take effect in the future, or never.
type triggerOutput uint64

// listOutput is the output of a listing: all IDs, ascending, and those of them that have an outcome.
type listOutput struct{ ids, ended []uint64 }

func listingOf(checkpoints []api.Checkpoint) listOutput {
	var l listOutput
	for _, c := range checkpoints {
		l.ids = append(l.ids, c.ID)
		if c.Status != "in_progress" {
			l.ended = append(l.ended, c.ID)
		}
	}
	slices.Sort(l.ids)
	slices.Sort(l.ended)
	return l
}

// record makes a call and enters it, unless it has surely had no effect and told nothing: then do returns nil.
func (h *history) record(client int, do func() any) {
	called := h.clock.Add(1)
	output := do()
	returned := h.clock.Add(1)
	switch output {
	case nil:
		return
	case triggerOutput(0):
		returned = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Call: called, Output: output, Return: returned})
}

// check demands that the history could be that of one coordinator that does one thing after the other.
func (h *history) check() error {
	const limit = 30 * time.Second
	if r := porcupine.CheckOperationsTimeout(idModel, h.ops, limit); r != porcupine.Ok {
		return fmt.Errorf("the IDs that %d calls were told are not linearizable: %s", len(h.ops), r)
	}
	for id, ops := range h.outcomes() {
		if r := porcupine.CheckOperationsTimeout(endModel, ops, limit); r != porcupine.Ok {
			return fmt.Errorf("what calls were told of the outcome of checkpoint %d is not linearizable: %s", id, r)
		}
	}
	return nil
}

// idModel is a counter: each trigger gets the next ID, and a listing shows every ID that was handed out. The state is
// the last one. A call whose effect is unknown is one that returns at the end of time: one that never takes effect
// is one that does so then.
var idModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, _, output any) (bool, any) {
		last := state.(uint64)
		switch out := output.(type) {
		case triggerOutput:
			return out == 0 || uint64(out) == last+1, last + 1
		case listOutput:
			return slices.Equal(out.ids, upTo(last)), last
		}
		panic("not an output of a call")
	},
}

func upTo(last uint64) []uint64 {
	ids := make([]uint64, last)
	for i := range ids {
		ids[i] = uint64(i) + 1
	}
	return ids
}

// ended is the outcome of a checkpoint as one of outcomes' operations: it is decided, or seen to be or not.
type ended struct{ decided, seen bool }

// endModel is one checkpoint: once it has an outcome, everybody sees that. The state says whether it has.
var endModel = porcupine.Model{
	Init: func() any { return false },
	Step: func(state, _, output any) (bool, any) {
		e := output.(ended)
		return e.decided || e.seen == state.(bool), e.decided || state.(bool)
	},
}

// outcomes are the histories of the single checkpoints. A trigger returns when its checkpoint has an outcome, so that
// was decided while the call was under way; nobody knows when, if the client did not get an answer.
func (h *history) outcomes() map[uint64][]porcupine.Operation {
	byID := make(map[uint64][]porcupine.Operation)
	decided := make(map[uint64]bool)
	for _, op := range h.ops {
		switch out := op.Output.(type) {
		case triggerOutput:
			if out == 0 {
				continue
			}
			decided[uint64(out)] = true
			op.Output = ended{decided: true}
			byID[uint64(out)] = append(byID[uint64(out)], op)
		case listOutput:
			for _, id := range out.ids {
				op.Output = ended{seen: slices.Contains(out.ended, id)}
				byID[id] = append(byID[id], op)
			}
		}
	}
	for id := range byID {
		if !decided[id] {
			byID[id] = append(byID[id], porcupine.Operation{ClientId: -1, Return: math.MaxInt64, Output: ended{decided: true}})
		}
	}
	return byID
}
