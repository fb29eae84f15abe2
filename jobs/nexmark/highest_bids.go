package nexmark

import (
	"cmp"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// highestBids is q7: the highest bids of each auction are found first, by many subtasks, then those of the window.
func highestBids(events dataflow.Stream[Event], o options) {
	byAuction := dataflow.KeyBy(bidsOf(events), auctionKey, func(b Bid) AuctionID { return b.Auction })
	ofAuctions := inWindows(byAuction, "highest of auction", topCodec, windowing[AuctionID, Bid, best[Bid], top]{
		size: o.window, slide: o.window, collected: bestBidCodec,
		add: func(b best[Bid], v Bid) best[Bid] {
			return b.add(v, func(a, b Bid) int { return cmp.Compare(a.Price, b.Price) })
		},
		close: func(_ AuctionID, _, end dataflow.EventTime, b best[Bid], emit func(top)) {
			for _, bid := range b.Records {
				emit(top{end, bid})
			}
		},
	})
	byWindow := dataflow.KeyBy(ofAuctions, endKey, func(t top) dataflow.EventTime { return t.End })
	highest := inWindows(byWindow, "highest", topCodec, windowing[dataflow.EventTime, top, best[top], top]{
		size: o.window, slide: o.window, collected: bestTopCodec,
		add: func(b best[top], v top) best[top] {
			return b.add(v, func(a, b top) int { return cmp.Compare(a.Bid.Price, b.Bid.Price) })
		},
		close: func(_, _, _ dataflow.EventTime, b best[top], emit func(top)) { emitAll(b.Records, emit) },
	})
	write(highest, o, func(dst []byte, t top) []byte {
		return appendFields(dst, int64(t.End), int64(t.Bid.Auction), int64(t.Bid.Bidder), t.Bid.Price, int64(t.Bid.At))
	})
}

// top is a bid that is the highest of the window that ends at End, as far as is known.
type top struct {
	End dataflow.EventTime
	Bid Bid
}

var (
	topCodec     = codec.MustStruct[top]()
	bestBidCodec = codec.MustStruct[best[Bid]]()
	bestTopCodec = codec.MustStruct[best[top]]()
)
