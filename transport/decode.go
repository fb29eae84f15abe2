package transport

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
)

// decoder reads values that came from outside. It remembers the first one that is not allowed, so that a
// message is mapped in one expression and checked once, at its end.
type decoder struct {
	err error
}

func (d *decoder) failf(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// failure returns the first fault, as an error that wraps ErrMalformed and names the message.
func (d *decoder) failure(message string) error {
	if d.err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrMalformed, message, d.err)
}

func (d *decoder) job(b []byte) checkpoint.JobID {
	var j checkpoint.JobID
	if len(b) != len(j) {
		d.failf("job ID of %d bytes", len(b))
		return j
	}
	return checkpoint.JobID(b)
}

// int reads a number that must lie between low and high.
func (d *decoder) int(name string, v, low, high int64) int {
	if v < low || v > high {
		d.failf("%s %d is not between %d and %d", name, v, low, high)
		return 0
	}
	return int(v)
}

// chunk reads the name of a chunk.
func (d *decoder) chunk(b []byte) checkpoint.ChunkID {
	var c checkpoint.ChunkID
	if len(b) != len(c) {
		d.failf("chunk ID of %d bytes", len(b))
		return c
	}
	return checkpoint.ChunkID(b)
}

// count reads a number that is not negative.
func (d *decoder) count(name string, v int64) int64 {
	if v < 0 {
		d.failf("%s %d is negative", name, v)
		return 0
	}
	return v
}

// enum reads a number of one of package checkpoint's enumerations, which all start at 1.
func enum[E ~uint8](d *decoder, name string, v uint32, last E) E {
	if v < 1 || v > uint32(last) {
		d.failf("unknown %s %d", name, v)
		return 0
	}
	return E(v)
}

// enumOrNone reads a number of an enumeration in which 0 stands for none.
func enumOrNone[E ~uint8](d *decoder, name string, v uint32, last E) E {
	if v == 0 {
		return 0
	}
	return enum(d, name, v, last)
}

// each maps the elements of a repeated field. No element gives nil.
func each[P, T any](from []P, f func(P) T) []T {
	if len(from) == 0 {
		return nil
	}
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = f(v)
	}
	return to
}

// state reads the state of a subtask, nil as the zero value.
func (d *decoder) state(pb *checkpointpb.SubtaskState) checkpoint.SubtaskState {
	if pb == nil {
		return checkpoint.SubtaskState{}
	}
	s, err := checkpoint.SubtaskStateFromPB(pb)
	if err != nil {
		d.failf("%w", err)
		return s
	}
	d.int("subtask index", int64(s.Subtask.Index), 0, checkpoint.MaxMaxParallelism-1)
	for i, h := range s.Handles {
		enum(d, "state handle kind", pb.Handles[i].GetKind(), checkpoint.ChannelState)
		d.int("first key group", int64(h.KeyGroups.First), 0, checkpoint.MaxMaxParallelism)
		d.int("last key group", int64(h.KeyGroups.Last), -1, checkpoint.MaxMaxParallelism-1)
	}
	return s
}
