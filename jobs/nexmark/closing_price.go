package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

var auctionKey = codec.IntOf[AuctionID]()

// closing is an auction that has expired, with the highest bid made while it was open. Its event time is when it
// expired.
type closing struct {
	Category Category
	Price    int64
}

var closingCodec = codec.MustStruct[closing]()

// closingPrices joins auctions with their bids.
func closingPrices(events dataflow.Stream[Event]) dataflow.Stream[closing] {
	trade := dataflow.Filter(events, "trade", func(e Event) bool { return e.Person == nil })
	byAuction := dataflow.KeyBy(trade, auctionKey, func(e Event) AuctionID {
		if e.Auction != nil {
			return e.Auction.ID
		}
		return e.Bid.Auction
	})
	return dataflow.Process(byAuction, "close", closingCodec, func() dataflow.KeyedProcessor[AuctionID, Event, closing] { return &closer{} })
}

// closer follows the auctions of one subtask until they expire.
//
// A bid may come before its auction: both are on their way from different subtasks. So it is kept until the watermark
// has passed it; from then on an auction that had been open at its time would be there.
type closer struct {
	ctx   *dataflow.ProcessContext[AuctionID]
	open  *dataflow.ValueState[AuctionID, openAuction]
	early *dataflow.ListState[AuctionID, offer]
}

var _ dataflow.TimerProcessor[AuctionID, closing] = (*closer)(nil)

// openAuction is an auction for which bids may still come.
type openAuction struct {
	At, Expires dataflow.EventTime
	Category    Category
	Highest     int64 // 0 while there is none
}

// offer is a bid for an auction that has not come.
type offer struct {
	At    dataflow.EventTime
	Price int64
}

// with returns the auction with an offer taken into account, if it was made in time.
func (a openAuction) with(o offer) openAuction {
	if a.At <= o.At && o.At <= a.Expires {
		a.Highest = max(a.Highest, o.Price)
	}
	return a
}

var (
	openAuctionCodec = codec.MustStruct[openAuction]()
	offerCodec       = codec.MustStruct[offer]()
)

// Open declares the state.
func (c *closer) Open(ctx *dataflow.ProcessContext[AuctionID]) error {
	c.ctx = ctx
	c.open = dataflow.NewValueState(ctx, "open", openAuctionCodec)
	c.early = dataflow.NewListState(ctx, "early", offerCodec)
	return nil
}

// Process takes in an auction or a bid.
func (c *closer) Process(_ AuctionID, e Event, _ func(closing)) error {
	if e.Auction != nil {
		c.begin(e.Auction)
		return nil
	}
	o := offer{At: e.Bid.At, Price: e.Bid.Price}
	if a, open := c.open.Get(); open {
		if raised := a.with(o); raised != a {
			c.open.Put(raised)
		}
		return nil
	}
	if c.ctx.Watermark() < o.At {
		c.keep(o)
	}
	return nil
}

func (c *closer) begin(auction *Auction) {
	a := openAuction{At: auction.At, Expires: auction.Expires, Category: auction.Category}
	for o := range c.early.All() {
		a = a.with(o)
	}
	c.early.Clear()
	c.open.Put(a)
	c.ctx.RegisterEventTimer(a.Expires)
}

// keep puts a bid by for an auction that may come, with one timer for all that wait.
func (c *closer) keep(o offer) {
	waiting := false
	for range c.early.All() {
		waiting = true
		break
	}
	c.early.Add(o)
	if !waiting {
		c.ctx.RegisterEventTimer(o.At)
	}
}

// OnTimer closes the auction, or gives up the bids for which none has come.
func (c *closer) OnTimer(_ AuctionID, t dataflow.Timer, emit func(closing)) error {
	if a, open := c.open.Get(); open {
		if t.At == a.Expires {
			if a.Highest > 0 {
				emit(closing{Category: a.Category, Price: a.Highest})
			}
			c.open.Delete()
		}
		return nil
	}
	var left []offer
	latest := t.At
	for o := range c.early.All() {
		if o.At > c.ctx.Watermark() {
			left, latest = append(left, o), max(latest, o.At)
		}
	}
	c.early.Clear()
	if len(left) > 0 {
		c.early.Put(left)
		c.ctx.RegisterEventTimer(latest)
	}
	return nil
}

// Finish has nothing to add: at the end of the input every auction has expired.
func (c *closer) Finish(func(closing)) error { return nil }
