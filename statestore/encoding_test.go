package statestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/zstd"

	"cairn/checkpoint"
)

func TestEncodeWhereItPays(t *testing.T) {
	for _, tc := range []struct {
		name string
		data []byte
		want Encoding
	}{
		{"nothing", nil, EncodingRaw},
		{"tiny", bytes.Repeat([]byte("a"), minCompressed-1), EncodingRaw},
		{"small prose", prose(1, 1000), EncodingZstd},
		{"small noise", noise(1, 1000), EncodingRaw},
		{"large prose", prose(1, 3<<20), EncodingZstd},
		{"large noise", noise(1, 3<<20), EncodingRaw},
		{"saves too little", append(noise(1, 90_000), prose(1, 10_000)...), EncodingRaw},
		{"small digits", digits(1, 1000), EncodingZstd},
		{"large digits", digits(1, 3<<20), EncodingZstd},
		{"zeros", make([]byte, 5<<20), EncodingZstd},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, ref := Encode(tc.data), RefOf(tc.data)
			if e.Encoding != tc.want || (tc.want == EncodingZstd && !pays(len(e.Data), len(tc.data))) {
				t.Fatalf("%s of %d bytes", e.Encoding, len(e.Data))
			}
			if got, err := e.Decode(ref); err != nil || !bytes.Equal(got, tc.data) {
				t.Fatalf("decoded: %d bytes, %v", len(got), err)
			}
			if err := e.verify(ref); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What does not decode to the chunk is refused, whatever it claims, and stored nowhere.
func TestBadEncodings(t *testing.T) {
	data := prose(1, 5000)
	ref, good := RefOf(data), Encode(data)
	frame := func(size int) []byte { return compress(nil, make([]byte, size)) }
	writer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	var streamed bytes.Buffer
	writer.Reset(&streamed)
	if _, err := writer.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := writer.Flush(); err != nil { // so that the frame does not say how much it holds
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good.Data)
	flipped[len(flipped)/2] ^= 4
	for name, bad := range map[string]Encoded{
		"unknown encoding":     {Encoding: 7, Data: good.Data},
		"raw as compressed":    {Encoding: EncodingZstd, Data: data},
		"compressed as raw":    {Encoding: EncodingRaw, Data: good.Data},
		"another chunk":        Encode(prose(2, 5000)),
		"another chunk, raw":   {Data: prose(2, 5000)},
		"of another size":      Encode(prose(1, 5001)),
		"bomb":                 {Encoding: EncodingZstd, Data: frame(MaxChunkSize)},
		"two frames":           {Encoding: EncodingZstd, Data: append(bytes.Clone(good.Data), frame(1000)...)},
		"cut short":            {Encoding: EncodingZstd, Data: good.Data[:len(good.Data)-1]},
		"nothing":              {Encoding: EncodingZstd},
		"flipped bit":          {Encoding: EncodingZstd, Data: flipped},
		"frame without a size": {Encoding: EncodingZstd, Data: streamed.Bytes()},
		"not a frame":          {Encoding: EncodingZstd, Data: noise(1, 1000)},
	} {
		if got, err := bad.Decode(ref); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		for store, s := range map[string]Store{"local": mustOpenCrashFS(t, newCrashFS()), "memory": NewMemory(), "swept": NewSwept(NewMemory())} {
			if err := AsPeer(s).Put(t.Context(), ref, bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %s: %v", store, name, err)
			}
			if has, err := s.Has(t.Context(), ref); has || err != nil {
				t.Errorf("%s, %s: stored, %v", store, name, err)
			}
		}
	}
	huge := checkpoint.ChunkRef{ID: ref.ID, Size: MaxChunkSize + 1}
	if _, err := good.Decode(huge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a reference beyond all bounds: %v", err)
	}
}

// What a peer has compressed is stored as it came, and handed on as it is stored.
func TestEncodedContentIsKeptAsItCame(t *testing.T) {
	s := mustOpenCrashFS(t, newCrashFS())
	for _, size := range []int{3000, 300_000} {
		data := prose(1, size)
		ref, e := RefOf(data), Encode(data)
		if err := s.WriteEncoded(t.Context(), ref, e); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetEncoded(t.Context(), ref)
		if err != nil || got.Encoding != EncodingZstd || !bytes.Equal(got.Data, e.Data) {
			t.Fatalf("%s of %d bytes, %v", got.Encoding, len(got.Data), err)
		}
		// The other form of a chunk that is there changes nothing.
		before, _ := s.index.lookup(ref.ID)
		if err := s.WriteEncoded(t.Context(), ref, Encoded{Data: data}); err != nil {
			t.Fatal(err)
		}
		if after, _ := s.index.lookup(ref.ID); after != before {
			t.Errorf("moved from %+v to %+v", before, after)
		}
		wantChunks(t, s, [][]byte{data})
	}
}

// Tests in bubbles of their own, one after the other, use the same encoders.
func TestEncodersBelongToNoBubble(t *testing.T) {
	for range 4 {
		synctest.Test(t, func(t *testing.T) {
			var all sync.WaitGroup
			for i := range uint64(16) {
				all.Go(func() {
					data := prose(i, 100_000)
					if got, err := Encode(data).Decode(RefOf(data)); err != nil || !bytes.Equal(got, data) {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}

func FuzzEncodedChunk(f *testing.F) {
	for _, data := range [][]byte{prose(1, 2000), make([]byte, 5000), noise(3, 300)} {
		e := Encode(data)
		f.Add(byte(e.Encoding), uint32(len(data)), e.Data)
		f.Add(byte(EncodingZstd), uint32(len(data)), compress(nil, data))
	}
	f.Add(byte(9), uint32(1), []byte{0})
	f.Fuzz(func(t *testing.T, encoding byte, size uint32, data []byte) {
		size %= 1 << 20
		ref := checkpoint.ChunkRef{Size: int64(size)}
		binary.LittleEndian.PutUint32(ref.ID[:], size)
		e := Encoded{Encoding: Encoding(encoding), Data: data}
		if _, err := e.Decode(ref); err == nil {
			t.Fatal("that is not the hash")
		}
		if e.check(ref) != nil || e.Encoding != EncodingZstd {
			return
		}
		content, err := decompress(make([]byte, 0, size), data)
		if cap(content) > int(size) {
			t.Fatalf("%d bytes of memory for %d", cap(content), size)
		}
		if err != nil || len(content) != int(size) {
			return
		}
		ref = RefOf(content)
		if got, err := e.Decode(ref); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	})
}
