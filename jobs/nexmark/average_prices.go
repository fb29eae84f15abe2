package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// averagePrices is q4.
func averagePrices(events dataflow.Stream[Event], o options) {
	byCategory := dataflow.KeyBy(closingPrices(events), codec.IntOf[Category](), func(c closing) Category { return c.Category })
	averages := inWindows(byCategory, "average", averageCodec, windowing[Category, closing, sum, average]{
		size: o.window, slide: o.window, collected: sumCodec,
		add: func(s sum, c closing) sum { return sum{s.Prices + c.Price, s.Auctions + 1} },
		close: func(c Category, _, end dataflow.EventTime, s sum, emit func(average)) {
			emit(average{end, c, s.Prices / s.Auctions})
		},
	})
	write(averages, o, func(dst []byte, a average) []byte { return appendFields(dst, int64(a.End), int64(a.Category), a.Price) })
}

// sum is the closing prices of a category and a window.
type sum struct{ Prices, Auctions int64 }

// average is their mean.
type average struct {
	End      dataflow.EventTime
	Category Category
	Price    int64
}

var (
	sumCodec     = codec.MustStruct[sum]()
	averageCodec = codec.MustStruct[average]()
)
