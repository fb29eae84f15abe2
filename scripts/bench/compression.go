package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cairn/checkpoint"
)

// measureCompression takes full checkpoints of a state that can be compressed, and writes a plain file of as many bytes as
// its content has beside each. Only of the memory backend: Pebble compresses its tables itself.
func measureCompression(ctx context.Context, b *bench) (err error) {
	size := choose[int64](b, 64, 256)
	job := newRowsJob(size*mib, 1014)
	job.value = events
	w, err := startWriting(ctx, b, 1, checkpoint.BackendMemory, job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	snapshots, files, err := alternate(ctx, choose(b, 3, 11), w.snapshot, w.file)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("snapshot of %d MiB of JSON", size)
	b.add(ratioOf(name+", content", snapshots, "MiB/s", "a plain file", files))
	b.add(valueOf(name+", bytes on disk", w.stored, "per byte"))
	return nil
}

// events returns JSON that depends on nothing but the seed: events of about 70 bytes, one behind the other, of which the
// names of the fields come again and most values do not.
func events(seed uint64, size int) []byte {
	b := make([]byte, 0, size+128)
	for len(b) < size {
		random := noise(seed+uint64(len(b))<<32, 8)
		user, page := binary.LittleEndian.Uint32(random)%1_000_000, binary.LittleEndian.Uint16(random[4:])
		b = fmt.Appendf(b, `{"user":"u-%06d","page":"/items/%d","country":"%s","ms":%d}`,
			user, page, countries[random[6]%uint8(len(countries))], random[7])
	}
	return b[:size]
}

var countries = [...]string{"BR", "CN", "DE", "FR", "IN", "JP", "KE", "US"}
