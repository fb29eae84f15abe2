package nexmark

import (
	"strconv"

	"cairn/dataflow"
)

// bidsOf keeps the bids.
func bidsOf(events dataflow.Stream[Event]) dataflow.Stream[Bid] {
	return dataflow.FlatMap(events, "bids", BidCodec, func(e Event, emit func(Bid)) {
		if e.IsBid() {
			emit(e.Bid)
		}
	})
}

// passThrough is q0.
func passThrough(events dataflow.Stream[Event], o options) { write(bidsOf(events), o, formatBid) }

// currencyConversion is q1.
func currencyConversion(events dataflow.Stream[Event], o options) {
	converted := dataflow.Map(bidsOf(events), "convert", BidCodec, func(b Bid) Bid {
		b.Price = b.Price * 908 / 1000
		return b
	})
	write(converted, o, formatBid)
}

// selection is q2.
func selection(events dataflow.Stream[Event], o options) {
	selected := dataflow.Filter(bidsOf(events), "select", func(b Bid) bool { return b.Auction%123 == 0 })
	write(selected, o, func(dst []byte, b Bid) []byte { return appendFields(dst, int64(b.Auction), b.Price) })
}

func formatBid(dst []byte, b Bid) []byte {
	dst = appendFields(dst, int64(b.Auction), int64(b.Bidder), b.Price, int64(b.At))
	return append(append(dst, '\t'), b.Extra...)
}

// appendFields appends numbers with tabs between them.
func appendFields(dst []byte, fields ...int64) []byte {
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, '\t')
		}
		dst = strconv.AppendInt(dst, f, 10)
	}
	return dst
}
