package main

import (
	"context"
	"slices"
	"time"
)

// sample is what was measured repeatedly, in the order of measuring. It is not empty when it is asked for anything.
type sample []float64

// median returns the middle value, or the mean of the two in the middle.
func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// mean is for what is paid now and then, and has to be spread over the times that it is not.
func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

func (s sample) min() float64 { return slices.Min(s) }
func (s sample) max() float64 { return slices.Max(s) }

// over divides each value by the one that was measured beside it.
func (s sample) over(beside sample) sample {
	ratios := make(sample, len(s))
	for i, v := range s {
		ratios[i] = v / beside[i]
	}
	return ratios
}

// alternate measures a and b in turn, n times each. Each pair is taken in the other order than the one before it (A B,
// B A, A B …), so that a machine that gets slower or faster over time favours neither.
func alternate(ctx context.Context, n int, a, b func(context.Context) (float64, error)) (as, bs sample, err error) {
	take := func(s *sample, f func(context.Context) (float64, error)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := f(ctx)
		*s = append(*s, v)
		return err
	}
	for i := range n {
		first, second, f, g := &as, &bs, a, b
		if i%2 == 1 {
			first, second, f, g = &bs, &as, b, a
		}
		if err := take(first, f); err != nil {
			return nil, nil, err
		}
		if err := take(second, g); err != nil {
			return nil, nil, err
		}
	}
	return as, bs, nil
}

// sleep waits until the time has come or ctx is done.
func sleep(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// await looks again and again until the condition holds.
func await(ctx context.Context, condition func() (bool, error)) error {
	for {
		if holds, err := condition(); holds || err != nil {
			return err
		}
		if err := sleep(ctx, time.Now().Add(time.Millisecond)); err != nil {
			return err
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

const mib = 1 << 20
