package statestore_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cairn/statestore"
	"cairn/statestore/storetest"
)

var benchSizes = []int{4 << 10, 1 << 20, 8 << 20}

// eachSize runs a benchmark per chunk size. The content changes with every call of next, so that no Put
// finds its chunk already there.
func eachSize(b *testing.B, run func(b *testing.B, next func() []byte)) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			data := storetest.Chunk(1, size)
			var n uint64
			b.SetBytes(int64(size))
			b.ReportAllocs()
			run(b, func() []byte {
				n++
				binary.LittleEndian.PutUint64(data, n)
				return data
			})
		})
	}
}

func benchLocal(b *testing.B) *statestore.Local {
	b.Helper()
	s, err := statestore.OpenLocal(b.TempDir(), statestore.LocalOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func benchPut(b *testing.B, s statestore.Store, next func() []byte) {
	b.Helper()
	for b.Loop() {
		if _, err := s.Put(b.Context(), next()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlainWrite is what the disk can do: the same bytes, written and synced, and nothing else.
func BenchmarkPlainWrite(b *testing.B) {
	eachSize(b, func(b *testing.B, next func() []byte) {
		f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		for b.Loop() {
			if _, err := f.Write(next()); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLocalPut(b *testing.B) {
	eachSize(b, func(b *testing.B, next func() []byte) { benchPut(b, benchLocal(b), next) })
}

func BenchmarkReplicatedPut(b *testing.B) {
	eachSize(b, func(b *testing.B, next func() []byte) {
		peers := livePeers{{ID: "n2", Peer: statestore.AsPeer(benchLocal(b))}}
		benchPut(b, statestore.NewReplicated(benchLocal(b), "n1", peers, statestore.Options{}), next)
	})
}

func BenchmarkLocalGet(b *testing.B) {
	eachSize(b, func(b *testing.B, next func() []byte) {
		s := benchLocal(b)
		ref, err := s.Put(b.Context(), next())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.Get(b.Context(), ref); err != nil {
				b.Fatal(err)
			}
		}
	})
}
