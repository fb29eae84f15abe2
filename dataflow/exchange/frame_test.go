package exchange

import (
	"errors"
	"testing"
	"time"

	"cairn/checkpoint"
)

func TestEventFramesRoundTrip(t *testing.T) {
	b := checkpoint.Barrier{
		ID: 1 << 40, Timestamp: -5, Kind: checkpoint.KindSavepoint, Mode: checkpoint.AtLeastOnce,
		Alignment: checkpoint.AlignmentAdaptive, AlignmentTimeout: 10 * time.Second, Stop: checkpoint.StopDrain, Full: true,
	}
	for _, test := range []struct {
		frame []byte
		want  Event
	}{
		{AppendBarrier(nil, b), Event{Kind: FrameBarrier, Barrier: b}},
		{AppendCancel(nil, 300), Event{Kind: FrameCancel, Cancel: 300}},
		{[]byte{FrameEndOfData}, Event{Kind: FrameEndOfData}},
		{[]byte{FrameEndOfPartition}, Event{Kind: FrameEndOfPartition}},
	} {
		got, err := DecodeEvent(test.frame)
		if err != nil || got != test.want {
			t.Errorf("%v: %+v, %v; want %+v", test.frame, got, err, test.want)
		}
		for cut := range len(test.frame) {
			if _, err := DecodeEvent(test.frame[:cut]); !errors.Is(err, ErrFrame) {
				t.Errorf("%v cut to %d bytes: %v", test.frame, cut, err)
			}
		}
		if _, err := DecodeEvent(append(test.frame, 0)); !errors.Is(err, ErrFrame) {
			t.Errorf("%v with a byte behind it: %v", test.frame, err)
		}
	}
}

// What a newer version might ask for is refused, not overlooked.
func TestUnknownBarriersAreRefused(t *testing.T) {
	for name, change := range map[string]func(*checkpoint.Barrier){
		"ID":        func(b *checkpoint.Barrier) { b.ID = 0 },
		"kind":      func(b *checkpoint.Barrier) { b.Kind = 3 },
		"mode":      func(b *checkpoint.Barrier) { b.Mode = 0 },
		"alignment": func(b *checkpoint.Barrier) { b.Alignment = 4 },
		"stop":      func(b *checkpoint.Barrier) { b.Stop = 3 },
	} {
		b := barrier(7)
		change(&b)
		if got, err := DecodeEvent(AppendBarrier(nil, b)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	frame := AppendBarrier(nil, barrier(7))
	frame[len(frame)-1] = 2
	if got, err := DecodeEvent(frame); !errors.Is(err, ErrFrame) {
		t.Errorf("full: %+v, %v", got, err)
	}
}

func TestRecordFrames(t *testing.T) {
	frame := ResetRecords([]byte("a former one"), FrameTimedRecords)
	frame = append(frame, "abc"...)
	SealRecords(frame, 3)
	if records, n, err := OpenRecords(frame); n != 3 || err != nil || string(records) != "abc" {
		t.Errorf("%d records %q, %v", n, records, err)
	}
	for name, bad := range map[string][]byte{
		"no header":      frame[:4],
		"an event":       AppendBarrier(nil, barrier(7)),
		"too many":       {FrameRecords, 255, 255, 255, 255},
		"nothing at all": nil,
	} {
		if _, _, err := OpenRecords(bad); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFrame feeds arbitrary bytes to everything that decodes frames: no panic, and what is an event is
// encoded the same way again, up to the length of varints.
func FuzzFrame(f *testing.F) {
	f.Add(AppendBarrier(nil, barrier(7)))
	f.Add(AppendCancel(nil, 9))
	f.Add([]byte{FrameEndOfData})
	f.Add([]byte{FrameRecords, 1, 0, 0, 0, 1, 'x'})
	f.Add([]byte{FrameRecords, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if _, _, err := OpenRecords(frame); err != nil && !errors.Is(err, ErrFrame) {
			t.Errorf("opening records: %v", err)
		}
		e, err := DecodeEvent(frame)
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Errorf("reading an event: %v", err)
			}
			return
		}
		again := []byte{e.Kind}
		switch e.Kind {
		case FrameBarrier:
			again = AppendBarrier(nil, e.Barrier)
		case FrameCancel:
			again = AppendCancel(nil, e.Cancel)
		}
		if back, err := DecodeEvent(again); err != nil || back != e {
			t.Errorf("%+v became %+v, %v", e, back, err)
		}
	})
}
