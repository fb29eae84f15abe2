package membership

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

func fullMember() Member {
	return Member{
		ID: "c1", Role: RoleCoordinator, RPCAddr: "10.0.0.1:7480", HTTPAddr: "10.0.0.1:8081",
		Incarnation: math.MaxUint64, Started: 1_700_000_000_000, BootstrapExpect: 3, Version: "v0.1.0",
		ProtocolVersion: ProtocolVersion,
	}
}

func TestMetaRoundTrip(t *testing.T) {
	node := fullMember()
	node.ID, node.Role, node.BootstrapExpect, node.HTTPAddr = "n-1.rack_2", RoleNode, 0, ""
	zoned := node
	zoned.Zone = "rack-7.eu_1"
	for _, want := range []Member{fullMember(), node, zoned} {
		b, err := encodeMeta(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeMeta(b)
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// The bytes are what members of different builds exchange: they change only with metaVersion.
func TestMetaGolden(t *testing.T) {
	m := Member{
		ID: "c1", Role: RoleCoordinator, RPCAddr: "a:1", HTTPAddr: "", Incarnation: 0x0102030405060708,
		Started: 300, BootstrapExpect: 3, Version: "v1", ProtocolVersion: 1,
	}
	want := []byte("\x01\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\xac\x02\x03\x02c1\x03a:1\x00\x02v1")
	if got, err := encodeMeta(m); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	// A zone is at the end, where one is given: members without one understand builds from before there were zones, and
	// are understood by them.
	m.Zone = "z"
	if got, err := encodeMeta(m); err != nil || !bytes.Equal(got, append(want, "\x01z"...)) {
		t.Errorf("with a zone: %q, %v", got, err)
	}
}

func TestMetaRefusals(t *testing.T) {
	good, err := encodeMeta(fullMember())
	if err != nil {
		t.Fatal(err)
	}
	changed := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	for name, test := range map[string]struct {
		meta []byte
		want error
	}{
		"empty":          {nil, ErrMetadata},
		"truncated":      {good[:len(good)-1], ErrMetadata},
		"trailing":       {append(bytes.Clone(good), 0), ErrMetadata},
		"zone cut short": {append(bytes.Clone(good), 2, 'z'), ErrMetadata},
		"zone and more":  {append(bytes.Clone(good), 1, 'z', 1), ErrMetadata},
		"bad zone":       {append(bytes.Clone(good), 1, '/'), ErrMetadata},
		"newer format":   {changed(0, metaVersion+1), ErrMetadata},
		"other protocol": {changed(1, ProtocolVersion+1), ErrProtocolVersion},
		"unknown role":   {changed(2, 7), ErrMetadata},
	} {
		if _, err := decodeMeta(test.meta); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	long := fullMember()
	long.RPCAddr = strings.Repeat("x", 512)
	if _, err := encodeMeta(long); !errors.Is(err, ErrMetadata) || !strings.Contains(err.Error(), "512") {
		t.Errorf("too long: %v", err)
	}
}

func FuzzDecodeMeta(f *testing.F) {
	good, err := encodeMeta(fullMember())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{1, 1, 1})
	f.Add(append(bytes.Clone(good), 1, 'z'))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		if err := m.validate(); err != nil {
			t.Fatalf("accepted %q: %v", b, err)
		}
		if again, err := encodeMeta(m); err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%q is read as %+v, which is written as %q", b, m, again)
		}
	})
}
