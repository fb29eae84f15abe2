package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// testDetail has every field set, to something of its own.
func testDetail() Detail {
	return Detail{Subtasks: []SubtaskDetail{
		{
			Node: "n2", Acknowledged: true, AckMillis: 12, StateSize: 1 << 40,
			Metrics: Metrics{
				StartDelayMillis: 1, AlignmentMillis: 2, SyncMillis: 3, AsyncMillis: 400, UploadMillis: 5,
				CheckpointedBytes: 600, ProcessedBytes: 7, PersistedBytes: 8,
			},
		},
		{Node: "n1", Acknowledged: true, Finished: true},
		{Node: "n2", Phase: PhaseUpload, Metrics: Metrics{StartDelayMillis: -4}},
	}}
}

// The golden file is what version 1 wrote. It must stay readable for ever.
func TestDetailGolden(t *testing.T) {
	path := filepath.Join("testdata", "detail-v1.bin")
	data := EncodeDetail(testDetail())
	if *update {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, data) {
		t.Error("the encoding has changed; a new form needs a new version")
	}
	if d, err := DecodeDetail(golden); err != nil || !reflect.DeepEqual(d, testDetail()) {
		t.Errorf("decoded %+v, %v", d, err)
	}
}

func TestDetailsRoundTrip(t *testing.T) {
	number := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 5000), rapid.Int64())
	subtask := rapid.Custom(func(t *rapid.T) SubtaskDetail {
		s := SubtaskDetail{
			Node:         NodeID(rapid.SampledFrom([]string{"", "n1", "n2", "a node with \xff"}).Draw(t, "node")),
			Acknowledged: rapid.Bool().Draw(t, "acknowledged"), Finished: rapid.Bool().Draw(t, "finished"),
			Phase: Phase(rapid.Byte().Draw(t, "phase")),
		}
		for _, v := range s.fields() {
			*v = number.Draw(t, "number")
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		var d Detail
		if list := rapid.SliceOfN(subtask, 0, 50).Draw(t, "subtasks"); len(list) > 0 {
			d.Subtasks = list
		}
		got, err := DecodeDetail(EncodeDetail(d))
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("%+v came back as %+v, %v", d, got, err)
		}
	})
}

func TestDetailRefusesWhatItDoesNotKnow(t *testing.T) {
	head := "CRND\x00\x01"
	good := EncodeDetail(testDetail())
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":                    {nil, ErrNotDetail},
		"foreign":                  {[]byte("hello world"), ErrNotDetail},
		"a manifest":               {[]byte("CRNM\x00\x01"), ErrNotDetail},
		"a newer version":          {append([]byte("CRND\x00\x02"), good[6:]...), ErrDetailVersion},
		"only a head":              {[]byte(head), ErrNotDetail},
		"cut":                      {good[:len(good)-1], ErrNotDetail},
		"bytes behind it":          {append(bytes.Clone(good), 0), ErrNotDetail},
		"more nodes than bytes":    {[]byte(head + "\xff\xff\xff\xff\x0f"), ErrNotDetail},
		"a name that never ends":   {[]byte(head + "\x01\x7fn1"), ErrNotDetail},
		"more subtasks than bytes": {[]byte(head + "\x00\xff\xff\xff\xff\x0f\x00"), ErrNotDetail},
		"nodes out of order":       {[]byte(head + "\x02\x01b\x01a\x02\x00\x80\x20\x02"), ErrNotDetail},
		"an unused node":           {[]byte(head + "\x02\x01a\x01b\x01\x00"), ErrNotDetail},
		"a node out of range":      {[]byte(head + "\x01\x01a\x01\x80\x20\x02"), ErrNotDetail},
		"a negative node":          {[]byte(head + "\x01\x01a\x01\x80\x20\x01"), ErrNotDetail},
		"an unknown field":         {[]byte(head + "\x01\x01a\x01\x80\x80\x01"), ErrNotDetail},
		"a phase beyond a byte":    {[]byte(head + "\x01\x01a\x01\x80\x40\x80\x04"), ErrNotDetail},
		"a zero that is stored":    {[]byte(head + "\x01\x01a\x01\x04\x00"), ErrNotDetail},
		"a number in a long form":  {[]byte(head + "\x01\x01a\x01\x04\x82\x00"), ErrNotDetail},
		"a number of 80 bits":      {[]byte(head + "\x01\x01a\x01\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ErrNotDetail},
	} {
		if d, err := DecodeDetail(test.b); !errors.Is(err, test.want) || d.Subtasks != nil {
			t.Errorf("%s: %+v, %v; want %v", name, d, err, test.want)
		}
	}
	// The cases above are refused for what their names say: without the flaw they are accepted.
	for _, b := range []string{
		"\x00\x00", "\x01\x01a\x01\x00", "\x02\x01a\x01b\x02\x00\x80\x20\x02", "\x01\x01a\x01\x80\x40\x04", "\x01\x01a\x01\x04\x02",
	} {
		if _, err := DecodeDetail([]byte(head + b)); err != nil {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// TestDetailsAreSmall: a few dozen subtasks fit into an entry of the Raft log, which has room for 1 KiB, and ten
// thousand are no burden to the state store.
func TestDetailsAreSmall(t *testing.T) {
	detail := func(subtasks int) Detail {
		var d Detail
		for i := range subtasks {
			n := int64(i)
			d.Subtasks = append(d.Subtasks, SubtaskDetail{
				Node: NodeID(fmt.Sprintf("task-node-%d.example.org", i*8/subtasks)), Acknowledged: true, AckMillis: 90 + n%50, StateSize: 70_000 + n,
				Metrics: Metrics{StartDelayMillis: 3 + n%7, AlignmentMillis: n % 11, SyncMillis: 1, AsyncMillis: 60, UploadMillis: 40, CheckpointedBytes: 9000 + n},
			})
		}
		return d
	}
	for subtasks, limit := range map[int]int{12: 512, 40: 1024, 10_000: 10_000 * 20} {
		if got := len(EncodeDetail(detail(subtasks))); got > limit {
			t.Errorf("%d subtasks take %d bytes, want at most %d", subtasks, got, limit)
		}
	}
}

func FuzzDecodeDetail(f *testing.F) {
	f.Add(EncodeDetail(Detail{}))
	f.Add(EncodeDetail(testDetail()))
	f.Add(EncodeDetail(Detail{Subtasks: []SubtaskDetail{{AckMillis: math.MinInt64, StateSize: math.MaxInt64, Phase: 255}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDetail(b)
		if err != nil {
			if !errors.Is(err, ErrNotDetail) && !errors.Is(err, ErrDetailVersion) {
				t.Errorf("error without a sentinel: %v", err)
			}
			return
		}
		if again := EncodeDetail(d); !bytes.Equal(again, b) {
			t.Errorf("%x was accepted and encodes as %x", b, again)
		}
	})
}
