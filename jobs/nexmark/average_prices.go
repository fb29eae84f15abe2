package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// averagePrices is q4.
func averagePrices(events dataflow.Stream[Event], o options) {
	byCategory := dataflow.KeyBy(closingPrices(events), codec.IntOf[Category](), func(c closing) Category { return c.Category })
	averages := dataflow.AggregateWindow(dataflow.Window(byCategory, o.tumbling()), "average", averageCodec, sumCodec, mean{},
		func(c Category, w dataflow.TimeWindow, price int64, emit func(average)) {
			emit(average{w.End, c, price})
		})
	write(averages, o, func(dst []byte, a average) []byte { return appendFields(dst, int64(a.End), int64(a.Category), a.Price) })
}

// average is the mean of the closing prices of a category, of the window that ends at End.
type average struct {
	End      dataflow.EventTime
	Category Category
	Price    int64
}

// mean is the aggregate of closing prices, rounded down.
type mean struct{}

type sum struct{ Prices, Auctions int64 }

func (mean) New() sum                 { return sum{} }
func (mean) Add(s sum, c closing) sum { return sum{s.Prices + c.Price, s.Auctions + 1} }
func (mean) Result(s sum) int64       { return s.Prices / s.Auctions }
func (mean) Merge(a, b sum) sum       { return sum{a.Prices + b.Prices, a.Auctions + b.Auctions} }

var (
	averageCodec = codec.MustStruct[average]()
	sumCodec     = codec.MustStruct[sum]()
)
