package dataflow

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestEventClock(t *testing.T) {
	c := newEventClock(3)
	step := func(what string, want EventTime, idle bool) {
		t.Helper()
		if c.now != want || c.idle() != idle {
			t.Errorf("%s: %v, idle %t; want %v, %t", what, c.now, c.idle(), want, idle)
		}
	}
	step("at first", MinEventTime, false)
	c.onWatermark(0, 10)
	c.onWatermark(1, 20)
	step("one is missing", MinEventTime, false)
	c.onWatermark(2, 5)
	step("the minimum", 5, false)
	c.onWatermark(2, 3)
	step("never back", 5, false)
	c.onIdle(2, true)
	step("the idle one is not waited for", 10, false)
	c.onWatermark(2, 7)
	step("nor when it is behind again", 10, false)
	c.onEnd(2)
	c.onWatermark(0, 30)
	step("an ended one is not waited for", 20, false)
	c.onIdle(0, true)
	c.onIdle(1, true)
	step("all idle: the newest", 30, true)
	c.onIdle(1, false)
	step("active again, and time does not go back", 30, false)
	c.onEnd(0)
	c.onEnd(1)
	step("all ended is not idle", 30, false)
}

// The clock never goes back and never passes a channel that is waited for.
func TestEventClockProperty(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		c := newEventClock(1 + rng.IntN(4))
		for range 200 {
			before := c.now
			switch ch := rng.IntN(len(c.channels)); rng.IntN(4) {
			case 0:
				c.onIdle(ch, rng.IntN(2) == 0)
			case 1:
				if rng.IntN(10) == 0 {
					c.onEnd(ch)
				}
			default:
				c.onWatermark(ch, EventTime(rng.IntN(1000)))
			}
			if c.now < before {
				t.Fatalf("seed %d: from %d back to %d", seed, before, c.now)
			}
			for i, ch := range c.channels {
				if c.now > before && !c.idle() && !ch.idle && !ch.ended && c.now > ch.watermark {
					t.Fatalf("seed %d: at %d past channel %d at %d", seed, c.now, i, ch.watermark)
				}
			}
		}
	}
}

func TestWatermarkStrategies(t *testing.T) {
	start := time.Unix(1000, 0)
	w := newWatermarks(BoundedOutOfOrderness(100*time.Millisecond).WithIdleness(time.Second), start)
	if got, idle := w.at(start); got != MinEventTime || idle {
		t.Errorf("before the first record: %v, idle %t", got, idle)
	}
	w.onRecord(5000)
	w.onRecord(4950) // within the bound
	if got, idle := w.at(start.Add(time.Second)); got != 4899 || idle {
		t.Errorf("%v, idle %t; want 4899, active: there were records", got, idle)
	}
	if _, idle := w.at(start.Add(1999 * time.Millisecond)); idle {
		t.Error("idle before the timeout")
	}
	if got, idle := w.at(start.Add(2 * time.Second)); got != 4899 || !idle {
		t.Errorf("%v, idle %t; want 4899, idle", got, idle)
	}
	w.onRecord(6000)
	if got, idle := w.at(start.Add(9 * time.Second)); got != 5899 || idle {
		t.Errorf("%v, idle %t; want 5899, active", got, idle)
	}
}

func TestEventTimeAdd(t *testing.T) {
	for _, test := range []struct {
		at   EventTime
		d    time.Duration
		want EventTime
	}{
		{10, time.Second, 1010}, {10, -time.Second, -990},
		{MaxEventTime - 5, time.Second, MaxEventTime}, {MinEventTime + 5, -time.Second, MinEventTime},
	} {
		if got := test.at.Add(test.d); got != test.want {
			t.Errorf("%d + %s = %d, want %d", test.at, test.d, got, test.want)
		}
	}
}
