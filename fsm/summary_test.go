package fsm

import (
	"math"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cairn/checkpoint"
)

func distributionOf(values ...int64) Distribution {
	var d Distribution
	for _, v := range values {
		d = d.with(v)
	}
	return d
}

// TestQuantilesAgainstSortedValues: exact up to 127, within 1% above.
func TestQuantilesAgainstSortedValues(t *testing.T) {
	value := rapid.OneOf(rapid.Int64Range(0, 200), rapid.Int64Range(0, 1<<20), rapid.Int64Range(0, math.MaxInt64))
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(value, 1, 300).Draw(t, "values")
		d := distributionOf(values...)
		slices.Sort(values)
		if d.Count != int64(len(values)) || d.Min != values[0] || d.Max != values[len(values)-1] {
			t.Fatalf("%d values from %d to %d: %+v", len(values), values[0], values[len(values)-1], d)
		}
		if err := d.check(); err != nil {
			t.Fatal(err)
		}
		for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			rank := max(int(math.Ceil(q*float64(len(values)))), 1)
			want, got := values[rank-1], d.Quantile(q)
			if off := math.Abs(float64(got) - float64(want)); want < 128 && got != want || off > float64(want)/100 {
				t.Fatalf("quantile %g is %d, want %d", q, got, want)
			}
		}
	})
}

func TestAverageIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<50), 1, 100).Draw(t, "values")
		sum := new(big.Int)
		for _, v := range values {
			sum.Add(sum, big.NewInt(v))
		}
		if got, want := distributionOf(values...).Avg(), sum.Div(sum, big.NewInt(int64(len(values)))).Int64(); got != want {
			t.Fatalf("average %d, want %d", got, want)
		}
	})
}

func TestDistributionAtItsEnds(t *testing.T) {
	var empty Distribution
	if empty.Avg() != 0 || empty.Quantile(0.5) != 0 || empty.check() != nil {
		t.Errorf("empty: %+v", empty)
	}
	d := distributionOf(math.MaxInt64, math.MaxInt64, -5)
	if d.Min != 0 || d.Max != math.MaxInt64 || d.Sum != math.MaxInt64 || d.Quantile(0.5) < math.MaxInt64/100*99 || d.Quantile(0.2) != 0 {
		t.Errorf("%+v, median %d", d, d.Quantile(0.5))
	}
	if err := d.check(); err != nil {
		t.Error(err)
	}
	if got := bucketOf(math.MaxInt64); got != maxBucket {
		t.Errorf("the largest value is in bucket %d, the last is %d", got, maxBucket)
	}
}

// TestBucketsFollowEachOther: larger values never fall into lower buckets, and no bucket is left out.
func TestBucketsFollowEachOther(t *testing.T) {
	last := bucketOf(0)
	for v := int64(1); v < 1<<16; v++ {
		if b := bucketOf(v); b != last && b != last+1 {
			t.Fatalf("%d is in bucket %d, %d was in %d", v, b, v-1, last)
		} else {
			last = b
		}
	}
	for shift := 16; shift < 63; shift++ {
		if below, at := bucketOf(1<<shift-1), bucketOf(1<<shift); at != below+1 {
			t.Errorf("2^%d is in bucket %d, the value below in %d", shift, at, below)
		}
	}
}

// TestDistributionIsImmutable: one that was held before shows nothing of what is counted later, in old buckets or new.
func TestDistributionIsImmutable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 300), 1, 60).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		held := distributionOf(values[:cut]...)
		one, other := held, held
		for _, v := range values[cut:] {
			one, other = one.with(v), other.with(300-v)
		}
		if want := distributionOf(values[:cut]...); !reflect.DeepEqual(held, want) {
			t.Fatalf("held %+v, was %+v", held, want)
		}
		if want := distributionOf(values...); !reflect.DeepEqual(one, want) {
			t.Fatalf("one %+v, want %+v", one, want)
		}
	})
}

// TestSummaryOfCompletedCheckpoints: savepoints count, failed checkpoints do not.
func TestSummaryOfCompletedCheckpoints(t *testing.T) {
	s := newScript(t)
	s.running(1)
	complete := func(kind checkpoint.Kind, millis checkpoint.Timestamp, sizes Sizes) {
		t.Helper()
		id := s.begin(1, kind)
		c := s.complete(1, id)
		p, _ := s.job(1).PendingByID(id)
		c.At, c.Sizes = p.TriggeredAt+millis, sizes
		s.must(c)
	}
	complete(aCheckpoint, 100, Sizes{State: 1000, Checkpointed: 900, AlignmentMillis: 1, Processed: 10, Persisted: 0})
	complete(aSavepoint, 40, Sizes{State: 3000, Checkpointed: 100, AlignmentMillis: 3, Processed: 20, Persisted: 7})
	complete(aCheckpoint, -60_000, Sizes{}) // the new leader's clock is behind
	s.failed(1, checkpoint.ReasonDeclined)
	got := s.job(1).Summary
	for name, test := range map[string]struct {
		d              Distribution
		low, high, sum int64
	}{
		"duration":     {got.Duration, 0, 100, 140},
		"state size":   {got.StateSize, 0, 3000, 4000},
		"checkpointed": {got.Checkpointed, 0, 900, 1000},
		"alignment":    {got.Alignment, 0, 3, 4},
		"processed":    {got.Processed, 0, 20, 30},
		"persisted":    {got.Persisted, 0, 7, 7},
	} {
		if d := test.d; d.Count != 3 || d.Min != test.low || d.Max != test.high || d.Sum != test.sum {
			t.Errorf("%s: %+v, want 3 values from %d to %d with the sum %d", name, d, test.low, test.high, test.sum)
		}
	}
	if again := restored(t, s.bytes()); !reflect.DeepEqual(again.Jobs[jobID(1)].Summary, got) {
		t.Error("a snapshot changed the summary")
	}
}
