package dataflow

import (
	"bytes"
	"errors"
	"testing"

	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

func TestRecordsOfFrames(t *testing.T) {
	frame := exchange.ResetRecords(nil, exchange.FrameRecords)
	for _, v := range []string{"a", "", "long enough"} {
		frame = codec.String.Append(frame, v)
	}
	exchange.SealRecords(frame, 3)
	var got []string
	read := frameReaderOf(codec.String)(&chain{}, func(v string) { got = append(got, v) })
	if n, _, err := read(frame); n != 3 || err != nil || len(got) != 3 || got[2] != "long enough" {
		t.Errorf("%d records %q, %v", n, got, err)
	}
	for name, bad := range map[string][]byte{
		"cut short":     frame[:len(frame)-1],
		"a byte behind": append(bytes.Clone(frame), 0),
		"no header":     frame[:4],
	} {
		if _, _, err := read(bad); !errors.Is(err, exchange.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRecords feeds arbitrary bytes to what decodes the records of frames: no panic.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{exchange.FrameRecords, 1, 0, 0, 0, 1, 'x'})
	f.Add([]byte{exchange.FrameTimedRecords, 1, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, frame []byte) {
		read := frameReaderOf(codec.PairOf(codec.String, codec.Int64))(&chain{}, func(codec.Pair[string, int64]) {})
		if _, _, err := read(frame); err != nil && !errors.Is(err, exchange.ErrFrame) {
			t.Errorf("reading records: %v", err)
		}
	})
}
