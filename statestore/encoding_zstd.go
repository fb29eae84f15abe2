package statestore

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

const (
	// minCompressed is the size in bytes below which compressing is not tried: it would save next to nothing.
	minCompressed = 256
	// A chunk above probeAbove bytes is compressed only if probes of it, probeSize bytes each, can be.
	probeAbove = 128 << 10
	probeSize  = 16 << 10
	// zstdWindow is how far back a frame refers. It bounds what an encoder keeps in memory.
	zstdWindow = 1 << 20
)

// pays reports whether compressing saves at least an eighth. What saves less is not worth the time of every read.
func pays(compressed, size int) bool { return compressed <= size-size/8 }

// worthTrying reports whether data may be worth compressing. Of large data it compresses two pieces to see: encrypted
// and already compressed state, as in a table of a key-value store, shows there.
func worthTrying(data []byte) bool {
	if len(data) < minCompressed {
		return false
	}
	if len(data) <= probeAbove {
		return true
	}
	scratch := borrow(2*probeSize + compressedBound(2*probeSize))
	defer scratch.giveBack()
	probe := scratch.bytes[:0]
	for _, from := range [...]int{len(data) / 4, len(data) * 3 / 4} {
		probe = append(probe, data[from:from+probeSize]...)
	}
	return pays(len(compress(probe[len(probe):], probe)), len(probe))
}

// compressedBound is how large the frame of data of a size can get, about.
func compressedBound(size int) int { return size + size>>10 + 64 }

// encoder and decoder serve as many calls at a time as there are processors; more wait. They have no goroutines. They are
// made, channels and all, when the program starts: one that came to be inside a synctest bubble would be of no use outside.
var (
	encoder = newEncoder()
	decoder = newDecoder()
)

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false),
		// State keyed by hashes or UUIDs repeats no string, and yet is written with few letters.
		zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		panic(fmt.Sprintf("statestore: zstd encoder of fixed options: %v", err))
	}
	e.EncodeAll([]byte{0}, nil) // which makes what it is lazy about
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(MaxChunkSize), zstd.WithDecoderMaxMemory(MaxChunkSize))
	if err != nil {
		panic(fmt.Sprintf("statestore: zstd decoder of fixed options: %v", err))
	}
	return d
}

// compress appends the zstd frame of data to dst. It has no checksum: the hash of the content is one.
func compress(dst, data []byte) []byte { return encoder.EncodeAll(data, dst) }

// decompress appends the content of a frame to dst, and never more than dst has room for.
func decompress(dst, frame []byte) ([]byte, error) { return decoder.DecodeAll(frame, dst) }

// frameSize returns the size of the content in bytes that a frame claims to have.
func frameSize(frame []byte) (int64, error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return 0, err
	}
	if h.Skippable || !h.HasFCS || h.DictionaryID != 0 || h.FrameContentSize > MaxChunkSize {
		return 0, errors.New("not a frame of ours")
	}
	return int64(h.FrameContentSize), nil
}
