package pace

import (
	"math"
	"testing"
	"time"
)

// run reads as fast as the pacer allows, from start to end, and returns how many records it got.
func (p *Pacer) run(start, end time.Time, limit int) (records int) {
	for now := start; now.Before(end); {
		n, due := p.Allow(now, limit)
		if n == 0 {
			now = due
			continue
		}
		p.Spent(n)
		records += n
	}
	return records
}

func TestPacerHoldsTheRate(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, perSecond := range []float64{0.25, 1, 7, 1000, 123456} {
		p := &Pacer{perSecond: perSecond}
		const seconds = 20
		got := p.run(start, start.Add(seconds*time.Second), 256)
		want := perSecond * seconds
		if slack := perSecond*catchUp.Seconds() + 1 + want/1000; float64(got) < want-slack || float64(got) > want+slack {
			t.Errorf("%v per second: %d records in %ds, want %v within %v", perSecond, got, seconds, want, slack)
		}
	}
}

func TestPacerBoundsCatchingUp(t *testing.T) {
	start := time.Unix(1000, 0)
	p := &Pacer{perSecond: 1000}
	p.run(start, start.Add(time.Second), 256)
	later := start.Add(time.Hour) // held up
	if n, _ := p.Allow(later, 1<<30); n < 100 || n > 102 {
		t.Errorf("after an hour, %d records at once, want those of %s", n, catchUp)
	}
}

func TestPacerWithoutLimit(t *testing.T) {
	for _, rate := range []float64{0, 1e300, math.Inf(1)} {
		p := &Pacer{perSecond: rate}
		for range 3 {
			if n, _ := p.Allow(time.Unix(1, 0), 256); n != 256 {
				t.Fatalf("rate %v: allowed %d, want 256", rate, n)
			}
			p.Spent(256)
		}
	}
}

func TestPacerVerySlow(t *testing.T) {
	p := &Pacer{perSecond: math.SmallestNonzeroFloat64}
	now := time.Unix(1000, 0)
	if n, _ := p.Allow(now, 256); n != 1 {
		t.Fatalf("allowed %d at first, want 1", n)
	}
	p.Spent(1)
	if n, due := p.Allow(now.Add(time.Hour), 256); n != 0 || !due.After(now.Add(time.Hour)) {
		t.Errorf("allowed %d after an hour, the next at %s", n, due)
	}
}
