package nexmark

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// windowing collects the records of each key in windows of event time. It says what is collected, and is shared by the
// subtasks.
type windowing[K comparable, In, Acc, Out any] struct {
	size, slide time.Duration // equal for windows that do not overlap
	collected   codec.Codec[Acc]
	// add returns what is collected with one more record. It changes nothing in place.
	add func(Acc, In) Acc
	// close emits what the window comes to, which begins at start and ends before end.
	close func(key K, start, end dataflow.EventTime, collected Acc, emit func(Out))
}

// inWindows adds the operator.
func inWindows[K comparable, In, Acc, Out any](s dataflow.KeyedStream[K, In], id checkpoint.OperatorID, records codec.Codec[Out],
	w windowing[K, In, Acc, Out],
) dataflow.Stream[Out] {
	return dataflow.Process(s, id, records, func() dataflow.KeyedProcessor[K, In, Out] {
		return &windower[K, In, Acc, Out]{windowing: w, size: millis(w.size), slide: millis(w.slide)}
	})
}

func millis(d time.Duration) dataflow.EventTime { return dataflow.EventTime(d.Milliseconds()) }

// windower keeps the open windows of one subtask. A window closes when the watermark reaches the last moment in it,
// which is also the event time of what it emits.
type windower[K comparable, In, Acc, Out any] struct {
	windowing[K, In, Acc, Out]
	size, slide dataflow.EventTime
	ctx         *dataflow.ProcessContext[K]
	open        *dataflow.MapState[K, dataflow.EventTime, Acc] // by the end
}

// Open declares the state.
func (w *windower[K, In, Acc, Out]) Open(ctx *dataflow.ProcessContext[K]) error {
	w.ctx = ctx
	w.open = dataflow.NewMapState(ctx, "windows", codec.IntOf[dataflow.EventTime](), w.collected)
	return nil
}

// Process adds the record to its windows.
func (w *windower[K, In, Acc, Out]) Process(_ K, in In, _ func(Out)) error {
	at := w.ctx.Timestamp()
	for start := at - at%w.slide; start > at-w.size; start -= w.slide {
		end := start + w.size
		collected, open := w.open.Get(end)
		w.open.Put(end, w.add(collected, in))
		if !open {
			w.ctx.RegisterEventTimer(end - 1)
		}
	}
	return nil
}

// OnTimer closes a window.
func (w *windower[K, In, Acc, Out]) OnTimer(key K, t dataflow.Timer, emit func(Out)) error {
	end := t.At + 1
	if collected, open := w.open.Get(end); open {
		w.open.Delete(end)
		w.close(key, end-w.size, end, collected, emit)
	}
	return nil
}

// Finish has nothing to add: at the end of the input every window has closed.
func (w *windower[K, In, Acc, Out]) Finish(func(Out)) error { return nil }

// best is the records of a window that none is better than.
type best[T any] struct{ Records []T }

// add returns the best with one more record, which compare puts above others when it returns a positive number.
func (b best[T]) add(v T, compare func(a, b T) int) best[T] {
	if len(b.Records) > 0 {
		switch order := compare(v, b.Records[0]); {
		case order < 0:
			return b
		case order == 0:
			return best[T]{append(slices.Clip(b.Records), v)}
		}
	}
	return best[T]{[]T{v}}
}
