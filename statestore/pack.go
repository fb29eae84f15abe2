package statestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// A pack is many small chunks in one file, written once:
//
//	magic     7 bytes  "CAIRNPK"
//	version   1 byte   1
//	length    uint32   of all up to the end of the checksum
//	entries            in the order of the data: ID (32 bytes), encoding (1), size (uint32), stored size (uint32)
//	checksum  16 bytes of BLAKE3 over all before it
//	data               the encoded chunks, one behind the other
//
// Integers are little-endian. Every version has the first three fields, and the checksum at the end of the length.
const (
	packMagic     = "CAIRNPK"
	packVersion   = 1
	packFixed     = len(packMagic) + 1 + 4
	packEntrySize = len(checkpoint.ChunkID{}) + 1 + 4 + 4
	packSumSize   = 16
)

const (
	// maxPacked is the encoded size in bytes up to which a chunk may share a file with others.
	maxPacked = 32 << 10
	// maxPackData bounds the data of a pack in bytes, and maxPackEntries its chunks.
	maxPackData    = 1 << 20
	maxPackEntries = 4096
	// maxPackHeader bounds what is read of a pack whose header says how long it is.
	maxPackHeader = packFixed + maxPackEntries*packEntrySize + packSumSize
	// maxPackFile bounds what is read of a pack whose file has grown beyond all bounds.
	maxPackFile = maxPackHeader + maxPackData
)

var (
	errPackDamaged = errors.New("the directory of the pack is damaged")
	errPackNewer   = errors.New("the pack is of a newer version")
)

// packEntry is a chunk in a pack.
type packEntry struct {
	id checkpoint.ChunkID
	at place
}

// packHeaderSize returns the size in bytes of the header of a pack of n chunks.
func packHeaderSize(n int) int { return packFixed + n*packEntrySize + packSumSize }

// appendPackHeader appends the header of a pack.
func appendPackHeader(dst []byte, entries []packEntry) []byte {
	start := len(dst)
	dst = append(append(dst, packMagic...), packVersion)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(packHeaderSize(len(entries))))
	for _, e := range entries {
		dst = append(append(dst, e.id[:]...), byte(e.at.encoding))
		dst = binary.LittleEndian.AppendUint32(dst, e.at.size)
		dst = binary.LittleEndian.AppendUint32(dst, e.at.stored)
	}
	sum := blake3.Sum256(dst[start:])
	return append(dst, sum[:packSumSize]...)
}

// packLength returns the length of the header that a pack begins with. It is known from its first packFixed bytes.
func packLength(pack []byte) (int, error) {
	if len(pack) < packFixed || string(pack[:len(packMagic)]) != packMagic {
		return 0, fmt.Errorf("%w: it does not begin like one", errPackDamaged)
	}
	length := binary.LittleEndian.Uint32(pack[packFixed-4:])
	if int64(length) < int64(packFixed+packSumSize) || int64(length) > int64(maxPackHeader) {
		return 0, fmt.Errorf("%w: it is %d bytes long, at most %d are allowed", errPackDamaged, length, maxPackHeader)
	}
	return int(length), nil
}

// decodePack reads the header of the pack with the given number: where its chunks are, if the file is long enough. The
// header is the beginning of pack, behind which there may be more. The places have that number.
func decodePack(pack []byte, number uint64) ([]packEntry, error) {
	length, err := packLength(pack)
	if err != nil {
		return nil, err
	}
	if length > len(pack) {
		return nil, fmt.Errorf("%w: it ends after %d of %d bytes", errPackDamaged, len(pack), length)
	}
	header := pack[:length-packSumSize]
	if sum := blake3.Sum256(header); !bytes.Equal(sum[:packSumSize], pack[len(header):length]) {
		return nil, fmt.Errorf("%w: wrong checksum", errPackDamaged)
	}
	if version := header[len(packMagic)]; version != packVersion {
		return nil, fmt.Errorf("%w: %d, this program knows %d", errPackNewer, version, packVersion)
	}
	return decodePackEntries(header[packFixed:], number, length)
}

func decodePackEntries(dir []byte, number uint64, offset int) ([]packEntry, error) {
	if len(dir)%packEntrySize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no whole number of entries", errPackDamaged, len(dir))
	}
	entries := make([]packEntry, len(dir)/packEntrySize)
	for i := range entries {
		e, raw := &entries[i], dir[i*packEntrySize:]
		n := copy(e.id[:], raw)
		e.at = place{
			pack: number, offset: uint32(offset), encoding: Encoding(raw[n]),
			size: binary.LittleEndian.Uint32(raw[n+1:]), stored: binary.LittleEndian.Uint32(raw[n+5:]),
		}
		if err := e.at.checkPacked(); err != nil {
			return nil, fmt.Errorf("%w: chunk %s: %w", errPackDamaged, e.id, err)
		}
		offset += int(e.at.stored)
	}
	return entries, nil
}

// packEnd returns the size in bytes that the file of a pack with these chunks has.
func packEnd(entries []packEntry) int64 {
	end := int64(packHeaderSize(len(entries)))
	for _, e := range entries {
		end += int64(e.at.stored)
	}
	return end
}

// checkPacked refuses what no chunk in a pack can be.
func (p place) checkPacked() error {
	switch {
	case p.size > MaxChunkSize || p.stored > maxPacked:
		return fmt.Errorf("%d bytes, %d of them stored", p.size, p.stored)
	case p.encoding == EncodingRaw && p.stored == p.size:
		return nil
	case p.encoding == EncodingZstd && 0 < p.stored && p.stored < p.size:
		return nil
	}
	return fmt.Errorf("%s of %d bytes, %d of them stored", p.encoding, p.size, p.stored)
}
