package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The built-in codecs of times.
var (
	// Time is the instant: seconds since the Unix epoch and nanoseconds, for every time that Go can hold. The location
	// and the monotonic reading are not kept: a time comes back in UTC, and equal instants have equal encodings.
	Time Codec[time.Time] = timeCodec{}
	// Duration is the number of nanoseconds, encoded as Int64 is.
	Duration Codec[time.Duration] = signedCodec[time.Duration]{}
)

type timeCodec struct{}

func (timeCodec) Append(dst []byte, v time.Time) []byte { return appendTime(dst, v) }

func (timeCodec) Decode(src []byte) (time.Time, int, error) { return decodeTime(src) }

func (timeCodec) Describe() string { return "time" }

func appendTime(dst []byte, v time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(dst, v.Unix()), uint64(v.Nanosecond()))
}

func decodeTime(src []byte) (time.Time, int, error) {
	seconds, n := binary.Varint(src)
	if n <= 0 {
		return time.Time{}, 0, varintError(n)
	}
	nanos, m := binary.Uvarint(src[n:])
	switch {
	case m <= 0:
		return time.Time{}, 0, varintError(m)
	case nanos >= uint64(time.Second):
		return time.Time{}, 0, fmt.Errorf("a time's nanoseconds are below a second, not %d", nanos)
	}
	t := time.Unix(seconds, int64(nanos)).UTC()
	if t.Unix() != seconds {
		return time.Time{}, 0, errors.New("a time is out of range")
	}
	return t, n + m, nil
}
