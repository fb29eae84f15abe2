package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

var personKey = codec.IntOf[PersonID]()

// localItems is q3: an incremental join. Persons and auctions come to the subtask of the person who sells.
func localItems(events dataflow.Stream[Event], o options) {
	sellers := dataflow.FlatMap(events, "sellers", PersonCodec, func(e Event, emit func(Person)) {
		if p := e.Person; p != nil && isLocal(p.State) {
			emit(*p)
		}
	})
	items := dataflow.FlatMap(events, "items", AuctionCodec, func(e Event, emit func(Auction)) {
		if a := e.Auction; a != nil && a.Category == FirstCategory {
			emit(*a)
		}
	})
	suggestions := dataflow.ProcessConnected(
		dataflow.KeyBy(sellers, personKey, func(p Person) PersonID { return p.ID }),
		dataflow.KeyBy(items, personKey, func(a Auction) PersonID { return a.Seller }),
		"join", suggestionCodec, newSellerJoin)
	write(suggestions, o, formatSuggestion)
}

func isLocal(state string) bool { return state == "OR" || state == "ID" || state == "CA" }

// suggestion is an auction with who sells it.
type suggestion struct {
	Seller  seller
	Auction AuctionID
}

type seller struct{ Name, City, State string }

var (
	suggestionCodec = codec.MustStruct[suggestion]()
	sellerCodec     = codec.MustStruct[seller]()
)

// sellerJoin joins the persons of one subtask with what they sell. An auction waits for its seller, and a person for
// whatever comes.
type sellerJoin struct {
	seller  *dataflow.ValueState[PersonID, seller]
	waiting *dataflow.ListState[PersonID, AuctionID]
}

func newSellerJoin() dataflow.KeyedCoProcessor[PersonID, Person, Auction, suggestion] {
	return &sellerJoin{}
}

// Open declares the state.
func (j *sellerJoin) Open(ctx *dataflow.ProcessContext[PersonID]) error {
	j.seller = dataflow.NewValueState(ctx, "seller", sellerCodec)
	j.waiting = dataflow.NewListState(ctx, "waiting", codec.IntOf[AuctionID]())
	return nil
}

// ProcessFirst takes in a person, for whom auctions may have waited.
func (j *sellerJoin) ProcessFirst(_ PersonID, p Person, emit func(suggestion)) error {
	s := seller{Name: p.Name, City: p.City, State: p.State}
	j.seller.Put(s)
	for auction := range j.waiting.All() {
		emit(suggestion{s, auction})
	}
	j.waiting.Clear()
	return nil
}

// ProcessSecond takes in an auction.
func (j *sellerJoin) ProcessSecond(_ PersonID, a Auction, emit func(suggestion)) error {
	if s, registered := j.seller.Get(); registered {
		emit(suggestion{s, a.ID})
	} else {
		j.waiting.Add(a.ID)
	}
	return nil
}

// Finish has nothing to add.
func (j *sellerJoin) Finish(func(suggestion)) error { return nil }

func formatSuggestion(dst []byte, s suggestion) []byte {
	for _, field := range []string{s.Seller.Name, s.Seller.City, s.Seller.State} {
		dst = append(append(dst, field...), '\t')
	}
	return appendFields(dst, int64(s.Auction))
}
