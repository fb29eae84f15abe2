package checkpoint

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestIDsRoundTrip(t *testing.T) {
	job := JobID{0xab, 15: 0xcd}
	if got, err := ParseJobID(job.String()); err != nil || got != job {
		t.Errorf("job ID: %v, %v", got, err)
	}
	chunk := ChunkID{1, 31: 2}
	if got, err := ParseChunkID(chunk.String()); err != nil || got != chunk {
		t.Errorf("chunk ID: %v, %v", got, err)
	}
}

// A chunk's name becomes a file name: nothing but its one spelling may pass.
func TestBadNamesAreRefused(t *testing.T) {
	for _, s := range []string{"", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("g", 64), strings.Repeat("0", 63), strings.Repeat("0", 65)} {
		if _, err := ParseChunkID(s); err == nil {
			t.Errorf("chunk ID %q was accepted", s)
		}
	}
	for _, s := range []string{"", "xyz", strings.Repeat("z", 32)} {
		if _, err := ParseJobID(s); err == nil {
			t.Errorf("job ID %q was accepted", s)
		}
	}
}

// The ranges of all subtasks tile the key groups, and each group lies in its owner's range.
func TestR3_KeyGroupRangesTile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxP := rapid.IntRange(1, MaxMaxParallelism).Draw(t, "maxParallelism")
		p := rapid.IntRange(1, maxP).Draw(t, "parallelism")
		next := 0
		for i := range p {
			r := RangeOf(i, maxP, p)
			if r.First != next || r.Len() < 1 {
				t.Fatalf("subtask %d of %d has the range %v, want it to start at %d", i, p, r, next)
			}
			for _, group := range []int{r.First, r.Last} {
				if owner := OwnerOf(group, maxP, p); owner != i {
					t.Fatalf("group %d lies in the range of %d but belongs to %d", group, i, owner)
				}
			}
			next = r.Last + 1
		}
		if next != maxP {
			t.Fatalf("the ranges end at %d of %d groups", next, maxP)
		}
	})
}

func TestDefaultMaxParallelism(t *testing.T) {
	for p, want := range map[int]int{1: 128, 85: 128, 86: 256, 128: 256, 200: 512, 30000: 32768, 32768: 32768} {
		if got := DefaultMaxParallelism(p); got != want {
			t.Errorf("DefaultMaxParallelism(%d) = %d, want %d", p, got, want)
		}
	}
}

func TestTopologyValidate(t *testing.T) {
	good := func() Topology {
		v := func(id string, p int) Vertex {
			return Vertex{ID: VertexID(id), Operators: []OperatorID{OperatorID(id)}, Parallelism: p, MaxParallelism: 128}
		}
		return Topology{Vertices: []Vertex{v("a", 2), v("b", 3)}, Edges: []Edge{{From: 0, To: 1, Partitioning: Hash}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Topology){
		"no vertices":           func(t *Topology) { t.Vertices = nil },
		"appears twice":         func(t *Topology) { t.Vertices[1].ID, t.Vertices[1].Operators[0] = "a", "a" },
		"must be named by":      func(t *Topology) { t.Vertices[0].Operators = nil },
		"at least 1":            func(t *Topology) { t.Vertices[0].Parallelism = 0 },
		"max parallelism":       func(t *Topology) { t.Vertices[0].MaxParallelism = 1 },
		"does not lead forward": func(t *Topology) { t.Edges[0].To = 0 },
		"needs equal":           func(t *Topology) { t.Edges[0].Partitioning = Forward },
		"unknown partitioning":  func(t *Topology) { t.Edges[0].Partitioning = 0 },
	} {
		topology := good()
		spoil(&topology)
		if err := topology.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestOrdinalsFollowSubtasks(t *testing.T) {
	topology := Topology{Vertices: []Vertex{{ID: "a", Parallelism: 2}, {ID: "b", Parallelism: 3}}}
	for want, s := range topology.Subtasks() {
		if got := topology.Ordinal(s); got != want {
			t.Errorf("ordinal of %s is %d, want %d", s, got, want)
		}
	}
	for _, s := range []SubtaskID{{"a", 2}, {"c", 0}, {"a", -1}} {
		if got := topology.Ordinal(s); got != -1 {
			t.Errorf("ordinal of %s is %d, want -1", s, got)
		}
	}
	if n := topology.SlotsNeeded(); n != 3 {
		t.Errorf("needs %d slots, want 3: slots are shared", n)
	}
}

func testManifest() Manifest {
	return Manifest{
		Job: JobID{1, 2}, ID: 7, Attempt: 3, Kind: KindCheckpoint, TriggerTimestamp: 1234,
		Vertices: []Vertex{{ID: "read", Operators: []OperatorID{"read", "split"}, Parallelism: 1, MaxParallelism: 128}},
		Subtasks: []SubtaskState{{
			Subtask: SubtaskID{Vertex: "read"}, EndOfData: true,
			Handles: []Handle{{
				Operator: "read", Name: "splits", Kind: ListState, KeyGroups: KeyGroupRange{First: 0, Last: 127},
				Entries: 5, Chunks: []ChunkRef{{ID: ChunkID{9}, Size: 42}},
			}},
		}},
	}
}

// The golden file is what version 2 writes. It must stay readable for ever.
func TestManifestGolden(t *testing.T) {
	path := filepath.Join("testdata", "manifest-v2.bin")
	data, err := EncodeManifest(testManifest())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(golden) != string(data) {
		t.Error("the encoding has changed; a new form needs a new version")
	}
	m, err := DecodeManifest(golden)
	if err != nil || !reflect.DeepEqual(m, testManifest()) || m.StateSize() != 42 {
		t.Errorf("decoded %+v, %v", m, err)
	}
}

// Version 1 did not count the entries of lists.
func TestManifestOfVersion1(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "manifest-v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	want := testManifest()
	want.Subtasks[0].Handles[0].Entries = UnknownEntries
	if m, err := DecodeManifest(data); err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("decoded %+v, %v", m, err)
	}
}

func TestManifestRefusesWhatItDoesNotKnow(t *testing.T) {
	good, err := EncodeManifest(testManifest())
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte(nil), good...)
	newer[5] = 99
	if _, err := DecodeManifest(newer); !errors.Is(err, ErrManifestVersion) {
		t.Errorf("newer version: %v", err)
	}
	for name, b := range map[string][]byte{"empty": nil, "foreign": []byte("hello world"), "cut": good[:len(good)-3]} {
		if _, err := DecodeManifest(b); !errors.Is(err, ErrNotManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	good, err := EncodeManifest(testManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("CRNM\x00\x01"))
	f.Add([]byte("CRNM\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		if _, err := EncodeManifest(m); err != nil {
			t.Fatalf("decoded what cannot be encoded: %v", err)
		}
		_, _ = MatchState(m, Topology{Vertices: m.Vertices}, true) // no panic
	})
}
