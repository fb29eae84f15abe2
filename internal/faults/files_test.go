package faults

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cairn/checkpoint"
	"cairn/statestore"
)

// chunkFile is a file of a node's store: a chunk, or a pack of some.
type chunkFile struct {
	node   checkpoint.NodeID
	path   string
	size   int64
	chunks []storedChunk
	packed bool
}

// storedChunk is a chunk in a file.
type storedChunk struct {
	ref          checkpoint.ChunkRef
	encoding     statestore.Encoding
	offset, size int64 // in the file
}

// chunkFiles returns the files of a node's directory that hold chunks. Anything else is an error, save for what the store
// is known to have beside them. quarantined counts the damaged copies that were put aside.
func chunkFiles(node checkpoint.NodeID, dir string) (files []chunkFile, quarantined int, err error) {
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		f := chunkFile{node: node, path: path, size: info.Size()}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch first, _, _ := strings.Cut(below, string(filepath.Separator)); first {
		case "chunks":
			err = f.readLoose()
		case "packs":
			err = f.readPack()
		case "quarantine":
			quarantined++
			return nil
		case "LOCK", "SCRUB":
			return nil
		default:
			err = fmt.Errorf("it has no business there")
		}
		if err != nil {
			return fmt.Errorf("file %s of node %s: %w", below, node, err)
		}
		files = append(files, f)
		return nil
	})
	return files, quarantined, err
}

// readLoose reads the name of a file with one chunk.
func (f *chunkFile) readLoose() error {
	name, suffix, compressed := strings.Cut(filepath.Base(f.path), ".")
	id, err := checkpoint.ParseChunkID(name)
	if err != nil {
		return err
	}
	c := storedChunk{ref: checkpoint.ChunkRef{ID: id, Size: f.size}, encoding: statestore.EncodingRaw, size: f.size}
	if compressed {
		c.encoding = statestore.EncodingZstd
		if c.ref.Size, err = strconv.ParseInt(strings.TrimSuffix(suffix, ".zst"), 10, 64); err != nil {
			return err
		}
	}
	f.chunks = []storedChunk{c}
	return nil
}

// The layout of a pack: magic and version, the length of the header, entries, a checksum; then the chunks.
const (
	packFixed = 7 + 1 + 4
	packEntry = 32 + 1 + 4 + 4
	packSum   = 16
)

// readPack reads the directory of a pack.
func (f *chunkFile) readPack() error {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(content[packFixed-4:]))
	offset := length
	for entry := range slices.Chunk(content[packFixed:length-packSum], packEntry) {
		c := storedChunk{encoding: statestore.Encoding(entry[32]), offset: offset, size: int64(binary.LittleEndian.Uint32(entry[37:]))}
		copy(c.ref.ID[:], entry)
		c.ref.Size = int64(binary.LittleEndian.Uint32(entry[33:]))
		offset += c.size
		f.chunks = append(f.chunks, c)
	}
	f.packed = true
	if offset != f.size {
		return fmt.Errorf("%d chunks end at %d of %d bytes", len(f.chunks), offset, f.size)
	}
	return nil
}

// diskAccounts says in what the files of the living nodes differ from what their stores list and count, nil when in
// nothing. So many damaged copies are known.
func (c *cluster) diskAccounts(damaged int) error {
	left := damaged
	for _, id := range c.aliveNodes() {
		local := c.nodeOf(id).local
		files, quarantined, err := chunkFiles(id, c.diskOf(id).dir)
		if err != nil {
			return err
		}
		stats, err := local.Stats()
		if err != nil {
			return err
		}
		var chunks, content, bytes int64
		for _, f := range files {
			bytes += f.size
			for _, one := range f.chunks {
				chunks, content = chunks+1, content+one.ref.Size
			}
		}
		left -= quarantined
		if chunks != stats.Chunks || content != stats.Bytes || bytes != stats.StoredBytes || int64(quarantined) != stats.Quarantined {
			return fmt.Errorf("node %s has files of %d bytes with %d chunks of %d bytes, and counts %+v; %d damaged", id, bytes, chunks, content,
				stats, quarantined)
		}
	}
	if left != 0 {
		return fmt.Errorf("%d damaged copies were put aside, want %d", damaged-left, damaged)
	}
	return nil
}
