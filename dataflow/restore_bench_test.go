package dataflow

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// distantStore serves chunks as peers do whose disks and connections are the limit: each takes its time, whatever else
// is asked of the others.
type distantStore struct {
	*memoryStore
	bytesPerSecond float64
}

func (s distantStore) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	select {
	case <-time.After(time.Millisecond + time.Duration(float64(ref.Size)/s.bytesPerSecond*float64(time.Second))):
		return s.memoryStore.Get(ctx, ref)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// BenchmarkRestoreFromDistantPeers reads 64 MiB of state from peers that send 200 MiB/s each: one chunk after the other,
// and as restores do.
func BenchmarkRestoreFromDistantPeers(b *testing.B) {
	for _, ahead := range []bool{false, true} {
		b.Run(fmt.Sprintf("ahead=%t", ahead), func(b *testing.B) {
			store := distantStore{newMemoryStore(), 200 << 20}
			var refs []checkpoint.ChunkRef
			for i := range 8 {
				data := bytes.Repeat([]byte{byte(i)}, 8<<20)
				ref := checkpoint.ChunkRef{ID: blake3.Sum256(data), Size: int64(len(data))}
				store.chunks[ref.ID] = data
				refs = append(refs, ref)
			}
			b.SetBytes(64 << 20)
			if !ahead {
				left := aheadOfAll.left
				aheadOfAll.left = 0
				defer func() { aheadOfAll.left = left }()
			}
			for b.Loop() {
				r := &chunkReader{ctx: b.Context(), store: store, refs: refs}
				if n, err := io.Copy(io.Discard, r); err != nil || n != 64<<20 {
					b.Fatal(n, err)
				}
			}
		})
	}
}
