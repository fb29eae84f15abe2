package nexmark

import (
	"cmp"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// hotItems is q5: bids are counted by auction, then the counts of a window are compared.
func hotItems(events dataflow.Stream[Event], o options) {
	byAuction := dataflow.KeyBy(bidsOf(events), auctionKey, func(b Bid) AuctionID { return b.Auction })
	sliding := dataflow.SlidingWindows(o.window, o.slide, 0)
	counts := dataflow.AggregateWindow(dataflow.Window(byAuction, sliding), "count", countCodec, codec.Int64, counting[Bid]{},
		func(a AuctionID, w dataflow.TimeWindow, bids int64, emit func(count)) { emit(count{w.End, a, bids}) })

	byWindow := dataflow.KeyBy(counts, endKey, func(c count) dataflow.EventTime { return c.End })
	// A count has the last moment of its window as its time. Windows end in each slide once.
	slides := dataflow.TumblingWindows(o.slide, 0)
	most := best[count]{func(a, b count) int { return cmp.Compare(a.Bids, b.Bids) }}
	hottest := dataflow.AggregateWindow(dataflow.Window(byWindow, slides), "compare", countCodec, countsCodec, most, emitAll[count])
	write(hottest, o, func(dst []byte, c count) []byte { return appendFields(dst, int64(c.End), int64(c.Auction), c.Bids) })
}

// count is how many bids there were for an auction in the window that ends at End.
type count struct {
	End     dataflow.EventTime
	Auction AuctionID
	Bids    int64
}

var (
	countCodec  = codec.MustStruct[count]()
	countsCodec = codec.MustStruct[[]count]()
	endKey      = codec.IntOf[dataflow.EventTime]()
)

// counting is the aggregate of how many there are.
type counting[T any] struct{}

func (counting[T]) New() int64             { return 0 }
func (counting[T]) Add(n int64, _ T) int64 { return n + 1 }
func (counting[T]) Result(n int64) int64   { return n }
func (counting[T]) Merge(a, b int64) int64 { return a + b }

// emitAll emits the records that a window comes to.
func emitAll[T any](_ dataflow.EventTime, _ dataflow.TimeWindow, records []T, emit func(T)) {
	for _, r := range records {
		emit(r)
	}
}
