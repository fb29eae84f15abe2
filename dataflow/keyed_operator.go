package dataflow

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// keyedOperator is what all operators with state per key have in common: the state, the timers, and how far time has
// come. An operator embeds it and calls process and setOnTimer.
type keyedOperator[K comparable] struct {
	chain   *chain
	at      int
	keyed   *keyedState[K]
	outs    outlets
	states  operatorStates   // without keys
	context *OperatorContext // of its processor, with the watermark; nil before open
	opened  bool             // state and timers are there
	stored  *storedFiles

	// onTimer is nil when the processor has no use for timers; then there are no queues.
	onTimer         func(K, Timer) error
	event, procTime *timerQueue[K]
}

// The names of the tables of timers. They are persisted.
const (
	eventTimerTable      = reservedPrefix + "timers.event"
	processingTimerTable = reservedPrefix + "timers.processing"
)

// newKeyedOperator returns what runs a processor; nil for an operator of the runtime's own.
func newKeyedOperator[K comparable](c *chain, at int, keys codec.Codec[K], outs outlets, processor any) keyedOperator[K] {
	groups := checkpoint.RangeOf(c.subtask.Index, c.groups, c.parallelism)
	keyed := newKeyedState(keys, groups, c.groups, c.now)
	c.currentKey = func() string { return quoteKey(keyed.key) }
	keyed.onDisk, keyed.fail = c.home.backend != nil, c.fail
	return keyedOperator[K]{
		chain: c, at: at, keyed: keyed, outs: outs, states: statesOf(c, processor), stored: newStoredFiles(),
	}
}

// openWith lets the processor declare its state, and restores it.
func (o *keyedOperator[K]) openWith(state *operatorState, declare func(*ProcessContext[K]) error) error {
	c := o.chain
	ctx := &ProcessContext[K]{OperatorContext: newOperatorContext(c, o.at, o.outs, &o.states), keyed: o.keyed, operator: o}
	o.context = &ctx.OperatorContext
	if err := declare(ctx); err != nil {
		return err
	}
	if ctx.err != nil {
		return ctx.err
	}
	if o.onTimer != nil {
		o.event, o.procTime = newTimerQueue(o.keyed, eventTimerTable), newTimerQueue(o.keyed, processingTimerTable)
	}
	if o.keyed.onDisk {
		if err := o.openRows(state); err != nil {
			return err
		}
	}
	if err := state.loadKeyed(o.keyed); err != nil {
		return err
	}
	if o.onTimer != nil {
		o.event.index()
		o.procTime.index()
	}
	if err := o.states.restore(state); err != nil {
		return err
	}
	o.opened = true
	o.leaveKey()
	if err := o.states.initialize(state.restored); err != nil {
		return err
	}
	return c.err // of a state
}

// noShard is where the state of a key would be when there is none. Using that then is a panic: otherwise it would be the
// state of whichever key came last, a different one after a restore.
const noShard = -1

// leaveKey makes no key the current one.
func (o *keyedOperator[K]) leaveKey() { o.keyed.shard = noShard }

func newTimerQueue[K comparable](s *keyedState[K], name string) *timerQueue[K] {
	format := &timerFormat[K]{s.keys}
	if s.onDisk {
		t := rowTimers[K]{newRowTable(s, name, tableOfTimers, format)}
		s.tables = append(s.tables, t)
		return &timerQueue[K]{state: s, cells: t}
	}
	t := newMemoryTimers(s, name, format)
	s.tables = append(s.tables, t)
	return &timerQueue[K]{state: s, cells: t}
}

// queue returns the timers of a domain. There are none, and the task fails, when nothing could be called for them.
func (o *keyedOperator[K]) queue(domain TimeDomain) *timerQueue[K] {
	switch {
	case o.onTimer == nil:
		o.chain.fail(fmt.Errorf("a timer in %s is registered, but the processor has no method OnTimer (TimerProcessor)", domain))
		return nil
	case !o.opened:
		o.chain.fail(fmt.Errorf("a timer in %s is registered in Open, where there is no key", domain))
		return nil
	case domain == EventTimeDomain:
		return o.event
	}
	return o.procTime
}

// enterKey makes the state that of the record's key. It returns false when the task fails because of it.
func (o *keyedOperator[K]) enterKey(key K) bool {
	if err := o.keyed.setKey(key); err != nil {
		o.failAt(key, err)
		return false
	}
	o.chain.under.keyed = true
	return true
}

// failAt records an error at a key. When the key is under way, the chain names it by itself.
func (o *keyedOperator[K]) failAt(key K, err error) {
	if !o.chain.under.keyed {
		err = fmt.Errorf("key %s: %w", quoteKey(key), err)
	}
	o.chain.fail(err)
}

// onWatermark fires the timers in event time that are due. Those that OnTimer registers are, too, if they are due.
func (o *keyedOperator[K]) onWatermark(w EventTime) {
	o.context.watermark = w
	if o.event != nil {
		o.fire(o.event, EventTimeDomain, w)
	}
}

func (o *keyedOperator[K]) nextProcessingTimer() (EventTime, bool) {
	if o.procTime == nil {
		return 0, false
	}
	return o.procTime.first()
}

func (o *keyedOperator[K]) fireProcessingTimers(now EventTime) {
	if o.procTime != nil {
		o.fire(o.procTime, ProcessingTimeDomain, now)
	}
}

func (o *keyedOperator[K]) fire(q *timerQueue[K], domain TimeDomain, until EventTime) {
	c := o.chain
	previous, timestamp := c.enter(o.at), c.timestamp
	for c.err == nil {
		r, found := q.pop(until)
		if !found {
			break
		}
		c.timestamp, c.under.keyed = NoTimestamp, true
		if domain == EventTimeDomain {
			c.timestamp = r.at
		}
		if err := o.onTimer(r.key, Timer{At: r.at, Domain: domain}); err != nil {
			o.failAt(r.key, fmt.Errorf("timer of %s in %s: %w", r.at, domain, err))
		}
	}
	c.timestamp, c.under.keyed = timestamp, false
	c.leave(previous)
}

// dropTimers removes the timers in processing time, which wait for nothing at the end of the input. There is no current key
// there, either.
func (o *keyedOperator[K]) dropTimers() {
	if o.procTime != nil {
		o.procTime.clear()
	}
	o.leaveKey()
}

func (o *keyedOperator[K]) capture(s *snapshot) error {
	o.leaveKey()
	if err := o.states.prepare(s); err != nil {
		return err
	}
	o.states.capture(s, o.chain.ids[o.at])
	if o.keyed.onDisk {
		return o.captureRows(s)
	}
	s.addKeyed(o.chain.ids[o.at], o.keyed.capture())
	return nil
}

func (o *keyedOperator[K]) notifyComplete(checkpoint.ID) error { return nil }

func (o *keyedOperator[K]) close() error { return o.closeRows() }
