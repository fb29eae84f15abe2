package nexmark

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// newUsers is q8: persons and auctions of a window are joined by who sells.
func newUsers(events dataflow.Stream[Event], o options) {
	arrivals := dataflow.Filter(events, "arrivals", func(e Event) bool { return !e.IsBid() })
	byPerson := dataflow.KeyBy(arrivals, personKey, personOf)
	users := inWindows(byPerson, "join", userCodec, windowing[PersonID, Event, presence, user]{
		size: o.window, slide: o.window, collected: presenceCodec,
		add: presence.with,
		close: func(p PersonID, start, _ dataflow.EventTime, seen presence, emit func(user)) {
			if seen.Registered && seen.Sells {
				emit(user{start, p, seen.Name})
			}
		},
	})
	write(users, o, formatUser)
}

// personOf returns the person that an event other than a bid is about.
func personOf(e Event) PersonID {
	if e.Person != nil {
		return e.Person.ID
	}
	return e.Auction.Seller
}

// presence is what a person has done within a window.
type presence struct {
	Registered, Sells bool
	Name              string
}

func (p presence) with(e Event) presence {
	if e.Person != nil {
		p.Registered, p.Name = true, e.Person.Name
	} else {
		p.Sells = true
	}
	return p
}

// user is a person who has registered and opened an auction in the window that begins at Start.
type user struct {
	Start dataflow.EventTime
	ID    PersonID
	Name  string
}

var (
	presenceCodec = codec.MustStruct[presence]()
	userCodec     = codec.MustStruct[user]()
)

func formatUser(dst []byte, u user) []byte {
	dst = appendFields(dst, int64(u.Start), int64(u.ID))
	return append(append(dst, '\t'), u.Name...)
}
