package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Distribution counts values that are not negative. Minimum, maximum and average are exact; a quantile is exact up to
// 127 and within 1% above, by counting in buckets (an HDR histogram of two significant digits). It is immutable:
// with returns a new one.
type Distribution struct {
	Count, Sum, Min, Max int64    // Sum stops at the largest int64
	Buckets              []Bucket // ascending by Index; only those with a count
}

// Bucket counts the values that fall between two bounds.
type Bucket struct {
	Index uint16
	Count uint64
}

// Up to exactValues every value has a bucket of its own. Each power of two above is split into perOctave buckets of
// equal width, so that a value is at most 1/128 away from the middle of its bucket.
const (
	perOctaveBits = 6
	perOctave     = 1 << perOctaveBits
	exactValues   = 2 * perOctave
	// maxBucket is the bucket of the largest int64.
	maxBucket = exactValues + (63-perOctaveBits-1)*perOctave - 1
)

// bucketOf returns the index of the bucket that counts v.
func bucketOf(v int64) uint16 {
	if v < exactValues {
		return uint16(v)
	}
	// v is shifted until perOctaveBits+1 bits of it are left: the first of them is a 1, the others say which of
	// the octave's buckets it is.
	shift := bits.Len64(uint64(v)) - perOctaveBits - 1
	return uint16(shift*perOctave + int(v>>shift))
}

// middle returns the value in the middle of a bucket.
func (b Bucket) middle() int64 {
	if b.Index < exactValues {
		return int64(b.Index)
	}
	shift := int(b.Index)/perOctave - 1
	lowest := (int64(b.Index)%perOctave + perOctave) << shift
	return lowest + int64(1)<<shift/2
}

// with returns the distribution with one more value in it. A negative one, which only a clock that was set back
// yields, counts as 0.
func (d Distribution) with(v int64) Distribution {
	v = max(v, 0)
	if d.Count == 0 {
		d.Min = v
	}
	d.Count++
	d.Min, d.Max = min(d.Min, v), max(d.Max, v)
	d.Sum += min(v, math.MaxInt64-d.Sum)
	at, found := slices.BinarySearchFunc(d.Buckets, bucketOf(v), func(b Bucket, index uint16) int {
		return cmp.Compare(b.Index, index)
	})
	if found {
		d.Buckets = slices.Clone(d.Buckets)
	} else {
		d.Buckets = slices.Insert(slices.Clip(d.Buckets), at, Bucket{Index: bucketOf(v)})
	}
	d.Buckets[at].Count++
	return d
}

// Avg returns the mean, rounded down; 0 when nothing was counted.
func (d Distribution) Avg() int64 {
	if d.Count == 0 {
		return 0
	}
	return d.Sum / d.Count
}

// Quantile returns the smallest value that at least the share q of all values do not exceed: 0.5 asks for the median.
// It is 0 when nothing was counted, the minimum for q <= 0 and the maximum for q >= 1.
func (d Distribution) Quantile(q float64) int64 {
	switch {
	case q <= 0 || d.Count == 0:
		return d.Min
	case q >= 1:
		return d.Max
	}
	rank := uint64(math.Ceil(q * float64(d.Count)))
	var seen uint64
	for _, b := range d.Buckets {
		if seen += b.Count; seen >= rank {
			return min(max(b.middle(), d.Min), d.Max)
		}
	}
	return d.Max
}

// check returns an error that says what is inconsistent.
func (d Distribution) check() error {
	if d.Count < 0 || d.Min < 0 || d.Min > d.Max || d.Sum < 0 || d.Count == 0 && (d.Max != 0 || d.Sum != 0) {
		return fmt.Errorf("%d values from %d to %d with the sum %d", d.Count, d.Min, d.Max, d.Sum)
	}
	var counted uint64
	for i, b := range d.Buckets {
		if b.Index > maxBucket || b.Count == 0 || i > 0 && d.Buckets[i-1].Index >= b.Index {
			return fmt.Errorf("bucket %d counts %d, at position %d", b.Index, b.Count, i)
		}
		if counted += b.Count; counted < b.Count {
			return errors.New("its buckets count too much")
		}
	}
	if counted != uint64(d.Count) {
		return fmt.Errorf("%d values, %d of them in buckets", d.Count, counted)
	}
	return nil
}
