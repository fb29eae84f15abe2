package statestore

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"cairn/checkpoint"
)

// numShards is the number of directories that chunks are spread over, by the first byte of their ID.
const numShards = 256

const (
	tempPrefix = "chunk-"
	tempSuffix = ".tmp"
	zstdSuffix = ".zst"
	packSuffix = ".pack"
)

// layout says where things are below a store's directory:
//
//	LOCK                            held by the process that has the store open
//	SCRUB                           how far the present scrub has come
//	chunks/ab/abcdef...             one file per chunk, named by its ID
//	chunks/ab/abcdef....4096.zst    likewise, compressed, with the size of the content
//	packs/000000000000001f.pack     many small chunks
//	tmp/chunk-*.tmp                 files being written; swept when the store is opened
//	quarantine/abcdef...            copies that failed their check
//	quarantine/000000000000001f.pack
//
// A path is only ever made from a ChunkID or a number, so no name from outside can lead elsewhere. Anything else that lies
// around is somebody else's and is left alone.
type layout struct {
	dir string // absolute
}

func (l layout) lock() string       { return filepath.Join(l.dir, "LOCK") }
func (l layout) scrubState() string { return filepath.Join(l.dir, "SCRUB") }
func (l layout) chunks() string     { return filepath.Join(l.dir, "chunks") }
func (l layout) packs() string      { return filepath.Join(l.dir, "packs") }
func (l layout) temp() string       { return filepath.Join(l.dir, "tmp") }
func (l layout) quarantine() string { return filepath.Join(l.dir, "quarantine") }

func (l layout) shard(n byte) string { return filepath.Join(l.chunks(), fmt.Sprintf("%02x", n)) }

// chunk returns the path of a chunk that is stored as it is, in a file of its own.
func (l layout) chunk(id checkpoint.ChunkID) string {
	name := id.String()
	return filepath.Join(l.dir, "chunks", name[:2], name)
}

// loose returns the path of a chunk in a file of its own.
func (l layout) loose(id checkpoint.ChunkID, encoding Encoding, size uint32) string {
	if encoding == EncodingRaw {
		return l.chunk(id)
	}
	return l.chunk(id) + "." + strconv.FormatUint(uint64(size), 10) + zstdSuffix
}

func (l layout) pack(number uint64) string { return filepath.Join(l.packs(), packName(number)) }

func packName(number uint64) string { return fmt.Sprintf("%016x%s", number, packSuffix) }

func (l layout) quarantined(id checkpoint.ChunkID) string {
	return filepath.Join(l.quarantine(), id.String())
}

// tempFile returns the path of the n-th temporary file of this process.
func (l layout) tempFile(n uint64) string {
	return filepath.Join(l.temp(), tempPrefix+strconv.FormatUint(n, 10)+tempSuffix)
}

// isTemp reports whether an entry of the directory for temporary files is one of ours.
func isTemp(e dirEntry) bool {
	return e.regular && strings.HasPrefix(e.name, tempPrefix) && strings.HasSuffix(e.name, tempSuffix)
}

// chunkOf returns the chunk that a directory entry of a shard holds, or false when the entry is not a chunk of that
// shard.
func chunkOf(shard byte, e dirEntry) (id checkpoint.ChunkID, at place, ok bool) {
	if !e.regular {
		return id, at, false
	}
	name, suffix, compressed := strings.Cut(e.name, ".")
	id, err := checkpoint.ParseChunkID(name)
	if err != nil || id[0] != shard {
		return id, at, false
	}
	// A file that has grown beyond all bounds is in the index as one of too many bytes, and fails its check when it is read.
	at.stored = uint32(min(e.size, MaxChunkSize+1))
	if !compressed {
		at.size = at.stored
		return id, at, true
	}
	size, err := strconv.ParseUint(strings.TrimSuffix(suffix, zstdSuffix), 10, 32)
	at.size, at.encoding = uint32(size), EncodingZstd
	ok = err == nil && size <= MaxChunkSize && suffix == strconv.FormatUint(size, 10)+zstdSuffix
	return id, at, ok
}

// packOf returns the number of the pack that a directory entry is, or false when it is none.
func packOf(e dirEntry) (number uint64, ok bool) {
	if !e.regular {
		return 0, false
	}
	number, err := strconv.ParseUint(strings.TrimSuffix(e.name, packSuffix), 16, 64)
	return number, err == nil && number > 0 && e.name == packName(number)
}

// isQuarantined reports whether an entry of the quarantine was put there by a store.
func isQuarantined(e dirEntry) bool {
	if _, ok := packOf(e); ok {
		return true
	}
	_, err := checkpoint.ParseChunkID(e.name)
	return e.regular && err == nil
}
