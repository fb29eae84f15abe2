package dataflow

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

func TestEventFramesRoundTrip(t *testing.T) {
	b := checkpoint.Barrier{
		ID: 1 << 40, Timestamp: -5, Kind: checkpoint.KindSavepoint, Mode: checkpoint.AtLeastOnce,
		Alignment: checkpoint.AlignmentAdaptive, AlignmentTimeout: 10 * time.Second, Stop: checkpoint.StopDrain, Full: true,
	}
	for _, test := range []struct {
		frame []byte
		want  event
	}{
		{appendBarrier(nil, b), event{kind: frameBarrier, barrier: b}},
		{appendCancel(nil, 300), event{kind: frameCancel, cancel: 300}},
		{[]byte{frameEndOfData}, event{kind: frameEndOfData}},
		{[]byte{frameEndOfPartition}, event{kind: frameEndOfPartition}},
	} {
		got, err := decodeEvent(test.frame)
		if err != nil || got != test.want {
			t.Errorf("%v: %+v, %v; want %+v", test.frame, got, err, test.want)
		}
		for cut := range len(test.frame) {
			if _, err := decodeEvent(test.frame[:cut]); !errors.Is(err, errFrame) {
				t.Errorf("%v cut to %d bytes: %v", test.frame, cut, err)
			}
		}
		if _, err := decodeEvent(append(test.frame, 0)); !errors.Is(err, errFrame) {
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
		if got, err := decodeEvent(appendBarrier(nil, b)); !errors.Is(err, errFrame) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	frame := appendBarrier(nil, barrier(7))
	frame[len(frame)-1] = 2
	if got, err := decodeEvent(frame); !errors.Is(err, errFrame) {
		t.Errorf("full: %+v, %v", got, err)
	}
}

func TestRecordFrames(t *testing.T) {
	frame := resetRecords(nil, frameRecords)
	for _, v := range []string{"a", "", "long enough"} {
		frame = codec.String.Append(frame, v)
	}
	sealRecords(frame, 3)
	var got []string
	read := frameReaderOf(codec.String)(&chain{}, func(v string) { got = append(got, v) })
	if n, err := read(frame); n != 3 || err != nil || len(got) != 3 || got[2] != "long enough" {
		t.Errorf("%d records %q, %v", n, got, err)
	}
	for name, bad := range map[string][]byte{
		"cut short":     frame[:len(frame)-1],
		"a byte behind": append(bytes.Clone(frame), 0),
		"no header":     frame[:4],
	} {
		if _, err := read(bad); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFrame feeds arbitrary bytes to everything that decodes frames: no panic, and what is an event is
// encoded the same way again, up to the length of varints.
func FuzzFrame(f *testing.F) {
	f.Add(appendBarrier(nil, barrier(7)))
	f.Add(appendCancel(nil, 9))
	f.Add([]byte{frameEndOfData})
	f.Add([]byte{frameRecords, 1, 0, 0, 0, 1, 'x'})
	f.Add([]byte{frameRecords, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, frame []byte) {
		read := frameReaderOf(codec.PairOf(codec.String, codec.Int64))(&chain{}, func(codec.Pair[string, int64]) {})
		if _, err := read(frame); err != nil && !errors.Is(err, errFrame) {
			t.Errorf("reading records: %v", err)
		}
		e, err := decodeEvent(frame)
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Errorf("reading an event: %v", err)
			}
			return
		}
		again := []byte{e.kind}
		switch e.kind {
		case frameBarrier:
			again = appendBarrier(nil, e.barrier)
		case frameCancel:
			again = appendCancel(nil, e.cancel)
		}
		if back, err := decodeEvent(again); err != nil || back != e {
			t.Errorf("%+v became %+v, %v", e, back, err)
		}
	})
}
