package nexmark

import (
	"cmp"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// highestBids is q7: the highest bids for each auction are found first, by many subtasks, then those of the window.
func highestBids(events dataflow.Stream[Event], o options) {
	byAuction := dataflow.KeyBy(bidsOf(events), auctionKey, func(b Bid) AuctionID { return b.Auction })
	highestBid := best[Bid]{func(a, b Bid) int { return cmp.Compare(a.Price, b.Price) }}
	ofAuctions := dataflow.AggregateWindow(dataflow.Window(byAuction, o.tumbling()), "highest of auction", topCodec, bidsCodec, highestBid,
		func(_ AuctionID, w dataflow.TimeWindow, bids []Bid, emit func(top)) {
			for _, b := range bids {
				emit(top{w.End, b})
			}
		})

	byWindow := dataflow.KeyBy(ofAuctions, endKey, func(t top) dataflow.EventTime { return t.End })
	highestTop := best[top]{func(a, b top) int { return cmp.Compare(a.Bid.Price, b.Bid.Price) }}
	highest := dataflow.AggregateWindow(dataflow.Window(byWindow, o.tumbling()), "highest", topCodec, topsCodec, highestTop, emitAll[top])
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
	bidsCodec = codec.MustStruct[[]Bid]()
	topCodec  = codec.MustStruct[top]()
	topsCodec = codec.MustStruct[[]top]()
)
