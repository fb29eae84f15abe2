package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// PersonID is the number of a person, counted from FirstPerson.
type PersonID int64

// AuctionID is the number of an auction, counted from FirstAuction.
type AuctionID int64

// Category is what an auction's item belongs to: FirstCategory and the four behind it.
type Category int64

// Person is somebody who has just registered, to sell or to bid.
type Person struct {
	ID         PersonID
	Name       string
	Email      string
	CreditCard string
	City       string
	State      string // of the USA, as two letters
	At         dataflow.EventTime
	Extra      string // pads the event to its usual size
}

// Auction is an item that has just been put up for sale. Prices are in cents.
type Auction struct {
	ID          AuctionID
	Item        string
	Description string
	InitialBid  int64
	Reserve     int64
	At          dataflow.EventTime
	Expires     dataflow.EventTime // the last moment at which a bid counts
	Seller      PersonID
	Category    Category
	Extra       string
}

// Bid is an offer for an item, in cents.
type Bid struct {
	Auction AuctionID
	Bidder  PersonID
	Price   int64
	At      dataflow.EventTime
	Extra   string
}

// Event is one of the three. Bids, by far the most, are held in place.
type Event struct {
	Person  *Person
	Auction *Auction
	Bid     Bid // if neither of the others is there
}

// IsBid reports whether the event is a bid.
func (e Event) IsBid() bool { return e.Person == nil && e.Auction == nil }

// At returns when it happened.
func (e Event) At() dataflow.EventTime {
	switch {
	case e.Person != nil:
		return e.Person.At
	case e.Auction != nil:
		return e.Auction.At
	}
	return e.Bid.At
}

// The codecs of the model.
var (
	PersonCodec  = codec.MustStruct[Person]()
	AuctionCodec = codec.MustStruct[Auction]()
	BidCodec     = codec.MustStruct[Bid]()
	EventCodec   = codec.MustStruct[Event]()
)
