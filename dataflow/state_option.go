package dataflow

import (
	"fmt"
	"time"

	"cairn/dataflow/codec"
)

// StateOption changes how one state of a processor is kept.
type StateOption func(*stateOptions)

type stateOptions struct {
	ttl time.Duration // 0: nothing expires
	set bool
}

// TTL lets what a state holds expire when it has not been written for d, by the processing time of the task. Each
// element of a list and each entry of a map expires by itself. Writing starts the time anew; reading does not. What has
// expired is never returned, whenever it is removed: that happens when it is come across, in memory at a write behind a
// snapshot, and on disk bit by bit with the writes. Snapshots in the canonical format leave it out.
//
// The time of the last write is part of the state: after a restore, d counts from then on, and a restart with another
// d applies to what is there. Flink's defaults are the same (OnCreateAndWrite, NeverReturnExpired).
func TTL(d time.Duration) StateOption {
	return func(o *stateOptions) { o.ttl, o.set = d, true }
}

// stateOptionsOf puts the options of a state together.
func stateOptionsOf(name string, opts []StateOption) (stateOptions, error) {
	var o stateOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.set && o.ttl < time.Millisecond {
		return o, fmt.Errorf("state %q: a TTL of %s: must be at least 1ms", name, o.ttl)
	}
	return o, nil
}

// stamped is a value with the processing time at which it was written.
type stamped[V any] struct {
	at int64 // milliseconds since the Unix epoch
	v  V
}

type stampedCodec[V any] struct{ values codec.Codec[V] }

func (c stampedCodec[V]) Append(dst []byte, s stamped[V]) []byte {
	return c.values.Append(codec.Int64.Append(dst, s.at), s.v)
}

func (c stampedCodec[V]) Decode(src []byte) (stamped[V], int, error) {
	at, n, err := codec.Int64.Decode(src)
	if err != nil {
		return stamped[V]{}, 0, err
	}
	v, m, err := c.values.Decode(src[n:])
	return stamped[V]{at: at, v: v}, n + m, err
}

// expiry stamps values and knows which have expired.
type expiry[V any] struct {
	ttl int64 // milliseconds
	now func() int64
}

func (e expiry[V]) stamp(v V) stamped[V] { return stamped[V]{at: e.now(), v: v} }

// live is a liveFunc.
func (e expiry[V]) live(s stamped[V], now int64) bool { return now-s.at < e.ttl }

func (e expiry[V]) isLive(s stamped[V]) bool { return e.live(s, e.now()) }
