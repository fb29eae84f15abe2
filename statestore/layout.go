package statestore

import (
	"fmt"
	"path/filepath"
	"strings"

	"cairn/checkpoint"
)

// numShards is the number of directories that chunks are spread over, by the first byte of their ID.
const numShards = 256

const (
	tempPrefix = "chunk-"
	tempSuffix = ".tmp"
)

// layout says where things are below a store's directory:
//
//	LOCK                 held by the process that has the store open
//	chunks/ab/abcdef...  one file per chunk, named by its ID
//	tmp/chunk-*.tmp      chunks being written; swept when the store is opened
//	quarantine/abcdef... copies that failed their check
//
// A path below chunks/ and quarantine/ is only ever made from a ChunkID, so no name from outside can lead
// elsewhere. Anything else that lies around is somebody else's and is left alone.
type layout struct {
	dir string // absolute
}

func (l layout) lock() string       { return filepath.Join(l.dir, "LOCK") }
func (l layout) chunks() string     { return filepath.Join(l.dir, "chunks") }
func (l layout) temp() string       { return filepath.Join(l.dir, "tmp") }
func (l layout) quarantine() string { return filepath.Join(l.dir, "quarantine") }

func (l layout) shard(n byte) string { return filepath.Join(l.chunks(), fmt.Sprintf("%02x", n)) }

func (l layout) chunk(id checkpoint.ChunkID) string {
	return filepath.Join(l.shard(id[0]), id.String())
}

func (l layout) quarantined(id checkpoint.ChunkID) string {
	return filepath.Join(l.quarantine(), id.String())
}

// tempFile returns the path of the n-th temporary file of this process.
func (l layout) tempFile(n uint64) string {
	return filepath.Join(l.temp(), fmt.Sprintf("%s%d%s", tempPrefix, n, tempSuffix))
}

// isTemp reports whether an entry of the directory for temporary files is one of ours.
func isTemp(e dirEntry) bool {
	return e.regular && strings.HasPrefix(e.name, tempPrefix) && strings.HasSuffix(e.name, tempSuffix)
}

// chunkOf returns the chunk that a directory entry of a shard holds, or false when the entry is not a chunk
// of that shard.
func chunkOf(shard byte, e dirEntry) (checkpoint.ChunkRef, bool) {
	id, err := checkpoint.ParseChunkID(e.name)
	if err != nil || !e.regular || id[0] != shard {
		return checkpoint.ChunkRef{}, false
	}
	return checkpoint.ChunkRef{ID: id, Size: e.size}, true
}
