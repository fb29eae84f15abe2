package membership

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestMessageRoundTrip(t *testing.T) {
	for _, want := range []message{
		{kind: msgLeaving, fields: []string{"n1#0000000000000001", "10.0.0.1:1"}},
		{kind: msgLeavingAck, fields: []string{"n1#0000000000000001", "n2#0000000000000002"}},
		{kind: msgLeft},
		{kind: msgLeft, fields: []string{"a", "b", "c"}},
	} {
		b := want.encode()
		got, err := decodeMessage(b)
		clear(b) // memberlist uses the buffer again
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestMessageRefusals(t *testing.T) {
	good := message{kind: msgLeaving, fields: []string{"a", "b"}}.encode()
	for name, b := range map[string][]byte{
		"empty":           nil,
		"newer version":   append([]byte{messageVersion + 1}, good[1:]...),
		"truncated":       good[:len(good)-1],
		"trailing":        append(bytes.Clone(good), 1),
		"unknown kind":    message{kind: 9}.encode(),
		"missing field":   message{kind: msgLeavingAck, fields: []string{"a"}}.encode(),
		"made-up count":   {messageVersion, byte(msgLeft), 0xff, 0xff, 0xff, 0xff, 0x0f},
		"padded uvarint":  {messageVersion, byte(msgLeft), 0x80, 0x00},
		"length past end": {messageVersion, byte(msgLeft), 1, 200, 1, 'x'},
	} {
		if m, err := decodeMessage(b); !errors.Is(err, errMessage) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	f.Add(message{kind: msgLeaving, fields: []string{"a", "b"}}.encode())
	f.Add(message{kind: msgLeft}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Fatalf("%q is read as %+v, which is written as %q", b, m, m.encode())
		}
	})
}

func TestParseProcess(t *testing.T) {
	p := process{ID: "n1", Incarnation: 0xab}
	if got, err := parseProcess(p.String()); err != nil || got != p {
		t.Errorf("got %v, %v", got, err)
	}
	for _, s := range []string{
		"", "n1", "#00000000000000ab", "n1#ab", "n1#00000000000000AB", "n1#00000000000000ab#", "n 1#00000000000000ab",
		"n1#-0000000000000ab", "n1#000000000000000ab",
	} {
		if got, err := parseProcess(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}
