package nexmark

import (
	"iter"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// newUsers is q8: the persons and the sellers of a window are brought together.
func newUsers(events dataflow.Stream[Event], o options) {
	arrivals := dataflow.FlatMap(events, "arrivals", userCodec, func(e Event, emit func(user)) {
		if p := e.Person; p != nil {
			emit(user{ID: p.ID, Name: p.Name})
		}
	})
	sellers := dataflow.FlatMap(events, "sellers", personKey, func(e Event, emit func(PersonID)) {
		if a := e.Auction; a != nil {
			emit(a.Seller)
		}
	})
	users := dataflow.CoGroupWindow(
		dataflow.KeyBy(arrivals, personKey, func(u user) PersonID { return u.ID }),
		dataflow.KeyBy(sellers, personKey, func(id PersonID) PersonID { return id }),
		o.tumbling(), "join", userCodec,
		func(_ PersonID, w dataflow.TimeWindow, arrived iter.Seq[user], sales iter.Seq[PersonID], emit func(user)) {
			for range sales { // once is enough
				for u := range arrived {
					u.Start = w.Start
					emit(u)
				}
				return
			}
		})
	write(users, o, func(dst []byte, u user) []byte {
		dst = appendFields(dst, int64(u.Start), int64(u.ID))
		return append(append(dst, '\t'), u.Name...)
	})
}

// user is a person who has registered, and opened an auction, in the window that begins at Start.
type user struct {
	Start dataflow.EventTime // 0 until it is known
	ID    PersonID
	Name  string
}

var userCodec = codec.MustStruct[user]()
