package nexmark

import (
	"cmp"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

var endKey = codec.IntOf[dataflow.EventTime]()

// hotItems is q5: bids are counted by auction, then the counts of a window are compared.
func hotItems(events dataflow.Stream[Event], o options) {
	byAuction := dataflow.KeyBy(bidsOf(events), auctionKey, func(b Bid) AuctionID { return b.Auction })
	counts := inWindows(byAuction, "count", countCodec, windowing[AuctionID, Bid, int64, count]{
		size: o.window, slide: o.slide, collected: codec.Int64,
		add:   func(n int64, _ Bid) int64 { return n + 1 },
		close: func(a AuctionID, _, end dataflow.EventTime, n int64, emit func(count)) { emit(count{end, a, n}) },
	})
	byWindow := dataflow.KeyBy(counts, endKey, func(c count) dataflow.EventTime { return c.End })
	hottest := inWindows(byWindow, "compare", countCodec, windowing[dataflow.EventTime, count, best[count], count]{
		// Counts have the last moment of their window as their time, one in each slide.
		size: o.slide, slide: o.slide, collected: bestCountCodec,
		add:   func(b best[count], c count) best[count] { return b.add(c, moreBids) },
		close: func(_, _, _ dataflow.EventTime, b best[count], emit func(count)) { emitAll(b.Records, emit) },
	})
	write(hottest, o, func(dst []byte, c count) []byte { return appendFields(dst, int64(c.End), int64(c.Auction), c.Bids) })
}

// count is how many bids there were for an auction in the window that ends at End.
type count struct {
	End     dataflow.EventTime
	Auction AuctionID
	Bids    int64
}

func moreBids(a, b count) int { return cmp.Compare(a.Bids, b.Bids) }

var (
	countCodec     = codec.MustStruct[count]()
	bestCountCodec = codec.MustStruct[best[count]]()
)

func emitAll[T any](records []T, emit func(T)) {
	for _, r := range records {
		emit(r)
	}
}
