package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

var personKey = codec.IntOf[PersonID]()

// localItems is q3: an incremental join. Persons and auctions come to the subtask of the person who sells.
func localItems(events dataflow.Stream[Event], o options) {
	wanted := dataflow.Filter(events, "local", func(e Event) bool {
		return e.Person != nil && isLocal(e.Person.State) || e.Auction != nil && e.Auction.Category == 10
	})
	bySeller := dataflow.KeyBy(wanted, personKey, personOf)
	items := dataflow.Process(bySeller, "join", itemCodec, newSellerJoin)
	write(items, o, formatItem)
}

func isLocal(state string) bool { return state == "OR" || state == "ID" || state == "CA" }

// item is an auction with who sells it.
type item struct {
	Seller  seller
	Auction AuctionID
}

type seller struct{ Name, City, State string }

var (
	itemCodec   = codec.MustStruct[item]()
	sellerCodec = codec.MustStruct[seller]()
)

// sellerJoin joins the persons of one subtask with what they sell. An auction waits for its seller, and a person for
// whatever comes.
type sellerJoin struct {
	seller  *dataflow.ValueState[PersonID, seller]
	waiting *dataflow.ListState[PersonID, AuctionID]
}

func newSellerJoin() dataflow.KeyedProcessor[PersonID, Event, item] { return &sellerJoin{} }

// Open declares the state.
func (j *sellerJoin) Open(ctx *dataflow.ProcessContext[PersonID]) error {
	j.seller = dataflow.NewValueState(ctx, "seller", sellerCodec)
	j.waiting = dataflow.NewListState(ctx, "waiting", codec.IntOf[AuctionID]())
	return nil
}

// Process joins what has come with what is there.
func (j *sellerJoin) Process(_ PersonID, e Event, emit func(item)) error {
	if p := e.Person; p != nil {
		s := seller{Name: p.Name, City: p.City, State: p.State}
		j.seller.Put(s)
		for auction := range j.waiting.All() {
			emit(item{s, auction})
		}
		j.waiting.Clear()
		return nil
	}
	if s, registered := j.seller.Get(); registered {
		emit(item{s, e.Auction.ID})
	} else {
		j.waiting.Add(e.Auction.ID)
	}
	return nil
}

// Finish has nothing to add.
func (j *sellerJoin) Finish(func(item)) error { return nil }

func formatItem(dst []byte, i item) []byte {
	for _, field := range []string{i.Seller.Name, i.Seller.City, i.Seller.State} {
		dst = append(append(dst, field...), '\t')
	}
	return appendFields(dst, int64(i.Auction))
}
