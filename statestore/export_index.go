package statestore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
)

// exportFormat is the version of an exported directory's layout and index. Version 2 added the job's name and the checksum
// of the index; version 1 is still read.
const exportFormat = 2

// exportDir says where things are in an exported directory:
//
//	savepoint.json   what it is, for people, and every file with its size and hash
//	manifest         the manifest, as the state store had it
//	chunks/<id>      one file per chunk, named by the BLAKE3-256 hash of its content
type exportDir struct{ path string }

func (d exportDir) index() string    { return filepath.Join(d.path, "savepoint.json") }
func (d exportDir) manifest() string { return filepath.Join(d.path, "manifest") }
func (d exportDir) chunks() string   { return filepath.Join(d.path, "chunks") }

// chunk returns the path of a chunk's file. It is only ever made from a ChunkID, so that no name from outside can
// lead elsewhere.
func (d exportDir) chunk(id checkpoint.ChunkID) string { return filepath.Join(d.chunks(), id.String()) }

// exportIndex is the content of savepoint.json. All of it but the job's name follows from the manifest: it is there to be
// read, and to say at once that a directory is not whole.
type exportIndex struct {
	Format     int              `json:"format"`
	Kind       string           `json:"kind"`
	Job        string           `json:"job"`
	JobName    string           `json:"job_name,omitempty"`
	Checkpoint uint64           `json:"checkpoint"`
	Attempt    uint32           `json:"attempt"`
	Created    string           `json:"created"` // when it was triggered, RFC 3339
	StateSize  int64            `json:"state_size"`
	Vertices   []exportedVertex `json:"vertices"`
	Manifest   exportedChunk    `json:"manifest"`
	Chunks     []exportedChunk  `json:"chunks"` // ascending by ID
	// Checksum is the BLAKE3-256 hash of this very text without the checksum's line.
	Checksum string `json:"checksum,omitempty"`
}

type exportedVertex struct {
	ID             string   `json:"id"`
	Operators      []string `json:"operators"`
	Parallelism    int      `json:"parallelism"`
	MaxParallelism int      `json:"max_parallelism"`
}

type exportedChunk struct {
	BLAKE3 string `json:"blake3"`
	Size   int64  `json:"size"`
}

func exportedRef(ref checkpoint.ChunkRef) exportedChunk {
	return exportedChunk{BLAKE3: ref.ID.String(), Size: ref.Size}
}

// indexOf returns the index of a manifest, whose chunk is ref, and its chunks.
func indexOf(m checkpoint.Manifest, ref checkpoint.ChunkRef, chunks []checkpoint.ChunkRef) exportIndex {
	index := exportIndex{
		Format: exportFormat, Kind: m.Kind.String(), Job: m.Job.String(), Checkpoint: uint64(m.ID), Attempt: uint32(m.Attempt),
		Created:   time.UnixMilli(int64(m.TriggerTimestamp)).UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		StateSize: m.StateSize(), Manifest: exportedRef(ref), Chunks: make([]exportedChunk, 0, len(chunks)),
	}
	for _, v := range m.Vertices {
		vertex := exportedVertex{ID: string(v.ID), Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism}
		for _, op := range v.Operators {
			vertex.Operators = append(vertex.Operators, string(op))
		}
		index.Vertices = append(index.Vertices, vertex)
	}
	for _, c := range chunks {
		index.Chunks = append(index.Chunks, exportedRef(c))
	}
	return index
}

// signed returns the index with the job's name and a checksum.
func (x exportIndex) signed(jobName string) exportIndex {
	x.JobName = strings.ToValidUTF8(jobName, "\uFFFD") // as JSON has it
	x.Checksum = x.sum()
	return x
}

// sum returns the checksum of all else in the index.
func (x exportIndex) sum() string {
	x.Checksum = ""
	text, _ := x.encode() // of strings and numbers alone
	return RefOf(text).ID.String()
}

func (x exportIndex) encode() ([]byte, error) {
	b, err := json.MarshalIndent(x, "", "  ")
	return append(b, '\n'), err
}

// decodeIndex reads what encode wrote. A newer format is refused before anything else of it is looked at.
func decodeIndex(b []byte) (exportIndex, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return exportIndex{}, err
	}
	if version.Format < 1 || version.Format > exportFormat {
		return exportIndex{}, fmt.Errorf("format %d, this build reads 1 to %d", version.Format, exportFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var index exportIndex
	if err := d.Decode(&index); err != nil {
		return exportIndex{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return exportIndex{}, errors.New("there is something behind its end")
	}
	if want := index.sum(); index.Format > 1 && index.Checksum != want {
		return exportIndex{}, fmt.Errorf("its checksum is %s, it says %q", want, index.Checksum)
	}
	return index, nil
}

// manifestRef returns the reference of the manifest that the index names.
func (x exportIndex) manifestRef() (checkpoint.ChunkRef, error) {
	id, err := checkpoint.ParseChunkID(x.Manifest.BLAKE3)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	ref := checkpoint.ChunkRef{ID: id, Size: x.Manifest.Size}
	return ref, checkRef(ref)
}

// equal reports whether two indexes say the same of a manifest.
func (x exportIndex) equal(other exportIndex) bool {
	x.Format, x.JobName, x.Checksum = other.Format, other.JobName, other.Checksum
	return reflect.DeepEqual(x, other)
}

// chunksOf returns every chunk that a manifest names, once, ascending by ID.
func chunksOf(m checkpoint.Manifest) ([]checkpoint.ChunkRef, error) {
	sizes := make(map[checkpoint.ChunkID]int64)
	var all []checkpoint.ChunkRef
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			for _, c := range h.Chunks {
				size, seen := sizes[c.ID]
				switch {
				case seen && size != c.Size:
					return nil, fmt.Errorf("chunk %s: %w: the manifest gives it %d and %d bytes", c.ID, ErrCorrupt, size, c.Size)
				case seen:
					continue
				}
				if err := checkRef(c); err != nil {
					return nil, err
				}
				sizes[c.ID] = c.Size
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, compareIDs)
	return all, nil
}

func bytesOf(refs []checkpoint.ChunkRef) int64 {
	var n int64
	for _, r := range refs {
		n += r.Size
	}
	return n
}
