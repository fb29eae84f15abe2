package statestore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
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

// BenchmarkLocalPutSmall stores 1,000 chunks of 500 bytes at the same time, as so many subtasks do.
func BenchmarkLocalPutSmall(b *testing.B) {
	const chunks = 1000
	s := benchLocal(b)
	contents := make([][]byte, chunks)
	for i := range contents {
		contents[i] = storetest.Chunk(uint64(i), 500)
	}
	var n uint64
	b.ReportAllocs()
	for b.Loop() {
		n++
		var puts sync.WaitGroup
		for _, data := range contents {
			binary.LittleEndian.PutUint64(data, n)
			puts.Go(func() {
				if _, err := s.Put(b.Context(), data); err != nil {
					b.Error(err)
				}
			})
		}
		puts.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}

// BenchmarkLocalPutCompressible stores 8 MiB that compress to about a third.
func BenchmarkLocalPutCompressible(b *testing.B) {
	s := benchLocal(b)
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 0, 8<<20+100)
	for len(data) < 8<<20 {
		data = fmt.Appendf(data, "key-%08d has value %d and count %d; ", rng.IntN(100_000_000), rng.IntN(10_000), rng.IntN(100))
	}
	data = data[:8<<20]
	var n uint64
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		n++
		binary.LittleEndian.PutUint64(data, n)
		if _, err := s.Put(b.Context(), data); err != nil {
			b.Fatal(err)
		}
	}
	stats, err := s.Stats()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(stats.Bytes)/float64(stats.StoredBytes), "ratio")
}

// BenchmarkOpen opens a store of 10,000 chunks in files of their own and in packs.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var puts sync.WaitGroup
	for i := range uint64(10_000) {
		puts.Go(func() {
			if _, err := s.Put(b.Context(), storetest.Chunk(i, 200)); err != nil {
				b.Error(err)
			}
		})
	}
	puts.Wait()
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if s, err = statestore.OpenLocal(dir, statestore.LocalOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRestoreFromPeers is what a task does that is restored on a node which has none of its state: eight chunks of
// 8 MiB from two peers, kept here as well, with as many asked for at a time as the sub-benchmark says.
func BenchmarkRestoreFromPeers(b *testing.B) {
	for _, atATime := range []int{1, 4} {
		b.Run(fmt.Sprintf("%dAtATime", atATime), func(b *testing.B) { benchRestore(b, atATime) })
	}
}

func benchRestore(b *testing.B, atATime int) {
	const chunks, size = 8, 8 << 20
	peers := livePeers{}
	for _, id := range []checkpoint.NodeID{"n2", "n3"} {
		peers = append(peers, statestore.PeerInfo{ID: id, Peer: statestore.AsPeer(benchLocal(b))})
	}
	writer := statestore.NewRemote(peers, statestore.Options{Replicas: 1})
	var refs []checkpoint.ChunkRef
	var ids []checkpoint.ChunkID
	for i := range chunks {
		ref, err := writer.Put(b.Context(), storetest.Chunk(uint64(i), size))
		if err != nil {
			b.Fatal(err)
		}
		refs, ids = append(refs, ref), append(ids, ref.ID)
	}
	own := benchLocal(b)
	reader := statestore.NewReplicated(own, "n1", peers, statestore.Options{})
	b.SetBytes(chunks * size)
	for b.Loop() {
		group, ctx := errgroup.WithContext(b.Context())
		group.SetLimit(atATime)
		for _, ref := range refs {
			group.Go(func() error { _, err := reader.Get(ctx, ref); return err })
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if _, _, err := own.Delete(b.Context(), ids, func(checkpoint.ChunkID) bool { return false }); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
