package coordinator

import (
	"testing"
	"time"

	"cairn/checkpoint"
)

func timeoutConfig() checkpoint.Config {
	c := testConfig()
	c.Timeout = 5 * time.Second
	return c
}

// The time runs from the commit of the beginning, whatever the clock says it was then.
func TestTimeoutRunsFromTheCommitOfTheBeginning(t *testing.T) {
	w := running(t, timeoutConfig())
	w.advance(time.Second)
	begin := w.onlyBegin()
	w.advance(3 * time.Second) // the log takes its time
	w.execute(begin)
	w.advance(5 * time.Second)
	w.run()
	w.wantPending(1)
	w.advance(time.Millisecond)
	w.run()
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonExpired {
		t.Fatalf("outcome %+v", o)
	}
}

// A new leader gives an adopted checkpoint its whole time, whichever way the clocks disagree: it is neither cut short
// nor kept for ever.
func TestTimeoutOfAnAdoptedCheckpointIsNotCutShort(t *testing.T) {
	for name, skew := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour, "equal": 0} {
		t.Run(name, func(t *testing.T) {
			w := running(t, timeoutConfig())
			w.tick()
			w.wantPending(1)
			w.now = w.now.Add(skew)
			w.elect()
			w.rejoin(1)
			w.advance(5 * time.Second)
			w.run()
			w.wantPending(1)
			w.advance(time.Millisecond)
			w.run()
			if h := w.job().History; len(h) != 1 || h[0].Reason != checkpoint.ReasonExpired {
				t.Fatalf("outcomes %+v", h)
			}
		})
	}
}

// A store that does not answer is not the subtasks' fault.
func TestTimeoutWhileTheManifestIsWritten(t *testing.T) {
	w := running(t, timeoutConfig())
	w.tick()
	w.holdWrite = true
	w.ack(1)
	w.advance(6 * time.Second)
	w.run()
	want := "acknowledged by all subtasks, but its manifest was not stored within 5s"
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonExpired || o.Message != want || o.NumAcknowledged != 5 {
		t.Fatalf("outcome %+v", o)
	}
}
