package statestore

import (
	"fmt"
	"strconv"
	"strings"

	"cairn/checkpoint"
)

// The keys of a shared store:
//
//	chunks/ab/<chunk>.<size>.<owner>.<serial>[.zst]   a chunk's content, stored by one process, raw or as a zstd frame
//	owners/<owner>                                    empty while that process may store, else why it may not any more
//
// An owner is <node>-<incarnation>-<life>. A key is used for one upload only: what is deleted never comes back under its
// old name, so that a deletion which a slow network carries out late cannot hit what was stored since.
const (
	chunkPrefix = "chunks/"
	ownerPrefix = "owners/"
)

// objectName is what the key of a chunk's object says.
type objectName struct {
	chunk  checkpoint.ChunkRef
	owner  string
	serial uint64 // counts the uploads of the owner, from 1
	// encoding is the form in which the content is stored.
	encoding Encoding
}

func (n objectName) key() string {
	key := fmt.Sprintf("%s%d.%s.%x", prefixOf(n.chunk.ID), n.chunk.Size, n.owner, n.serial)
	if n.encoding == EncodingZstd {
		key += zstdSuffix
	}
	return key
}

// prefixOf is what the keys of all objects of a chunk begin with.
func prefixOf(id checkpoint.ChunkID) string { return fmt.Sprintf("%s%02x/%s.", chunkPrefix, id[0], id) }

// parseObjectName reads a key. It reports false for one that key has not made: it is somebody else's.
func parseObjectName(key string) (objectName, bool) {
	rest, found := strings.CutPrefix(key, chunkPrefix)
	if !found || len(rest) < 3 {
		return objectName{}, false
	}
	chunk, rest, _ := strings.Cut(rest[3:], ".")
	size, rest, _ := strings.Cut(rest, ".")
	rest, compressed := strings.CutSuffix(rest, zstdSuffix)
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return objectName{}, false
	}
	n := objectName{owner: rest[:dot]}
	if compressed {
		n.encoding = EncodingZstd
	}
	var chunkErr, sizeErr, serialErr error
	n.chunk.ID, chunkErr = checkpoint.ParseChunkID(chunk)
	n.chunk.Size, sizeErr = strconv.ParseInt(size, 10, 64)
	n.serial, serialErr = strconv.ParseUint(rest[dot+1:], 16, 64)
	if chunkErr != nil || sizeErr != nil || serialErr != nil || n.key() != key {
		return objectName{}, false
	}
	return n, true
}

func ownerKey(owner string) string { return ownerPrefix + owner }

// processName is the part of an owner's name that stands for its process.
func processName(node checkpoint.NodeRef) string {
	return fmt.Sprintf("%s-%016x", node.ID, uint64(node.Incarnation))
}

// parseOwner returns the process that an owner is a life of, without its address, or false when the name is not an owner's.
func parseOwner(owner string) (checkpoint.NodeRef, bool) {
	process := processOf(owner)
	dash := strings.LastIndexByte(process, '-')
	if dash < 1 {
		return checkpoint.NodeRef{}, false
	}
	incarnation, err := strconv.ParseUint(process[dash+1:], 16, 64)
	node := checkpoint.NodeRef{ID: checkpoint.NodeID(process[:dash]), Incarnation: checkpoint.Incarnation(incarnation)}
	return node, err == nil && processName(node) == process
}

func ownerName(process string, life int) string { return fmt.Sprintf("%s-%d", process, life) }

// processOf returns the process that an owner is a life of.
func processOf(owner string) string {
	if dash := strings.LastIndexByte(owner, '-'); dash >= 0 {
		return owner[:dash]
	}
	return owner
}
