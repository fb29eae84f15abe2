package nexmark

import (
	"fmt"
	"time"

	"cairn/dataflow"
)

// Of every 50 events, the first is a person, the next three are auctions, and the rest bids.
const (
	personsOf50  = 1
	auctionsOf50 = 3
	group        = 50
)

// Where the numbers start.
const (
	FirstPerson   PersonID  = 1000
	FirstAuction  AuctionID = 1000
	FirstCategory Category  = 10
)

const (
	categories = 5
	// Auctions and bids may name what does not exist yet, but soon will: events that come out of order in a real system.
	lead = 10
	// One in so many persons and auctions is a hot one for a while.
	hotEvery = 100

	usualPerson, usualAuction, usualBid = 200, 500, 100 // bytes
)

// start is the time of the first event: 2015-07-15T00:00:00Z, as in other generators.
const start dataflow.EventTime = 1436918400000

// Config says which events a Generator makes. The figures are those of the public generator's options.
type Config struct {
	Seed            uint64
	EventsPerSecond int64 // of event time
	Disorder        int64 // the events of each group of so many are shuffled; 1 for none
	InFlight        int64 // auctions that are open at a time, about
	ActivePersons   int64 // persons that sell and bid at a time, at most
	// One auction in HotSellers is by any active person, the others by a hot one; likewise for bids.
	HotAuctions, HotBidders, HotSellers int64
}

// DefaultConfig returns the defaults of the public generator.
func DefaultConfig() Config {
	return Config{
		EventsPerSecond: 10_000, Disorder: 1, InFlight: 100, ActivePersons: 1000, HotAuctions: 2, HotBidders: 4, HotSellers: 4,
	}
}

// shuffle is the step from one event of a group to the next, a prime. It shuffles groups that are not multiples of it.
const shuffle = 1_000_003

// Validate reports the first figure that is not allowed.
func (c Config) Validate() error {
	for _, figure := range []struct {
		name     string
		n, least int64
		most     int64
	}{
		{"EventsPerSecond", c.EventsPerSecond, 1, 1e9},
		{"Disorder", c.Disorder, 1, shuffle - 1},
		{"InFlight", c.InFlight, 1, 1e9},
		{"ActivePersons", c.ActivePersons, 1, 1e9},
		{"HotAuctions", c.HotAuctions, 1, 1e9},
		{"HotBidders", c.HotBidders, 1, 1e9},
		{"HotSellers", c.HotSellers, 1, 1e9},
	} {
		if figure.n < figure.least || figure.n > figure.most {
			return fmt.Errorf("generator: %s is %d: allowed are %d to %d", figure.name, figure.n, figure.least, figure.most)
		}
	}
	return nil
}

// Generator makes the events of an auction house. Which event comes at which place depends on nothing but the
// configuration and the place: the sequence can be entered anywhere and dealt out to any number of readers. It is a
// value that does not change.
type Generator struct{ config Config }

// NewGenerator returns a generator, or an error when a figure is not allowed.
func NewGenerator(c Config) (Generator, error) { return Generator{c}, c.Validate() }

// MaxDisorder returns how far an event's time may lie behind that of an earlier one.
func (g Generator) MaxDisorder() time.Duration {
	if g.config.Disorder == 1 {
		return 0
	}
	return time.Duration(g.at(g.config.Disorder-1)-start+1) * time.Millisecond // 1 for the rounding of times
}

// Event returns the event at place i, counted from 0.
func (g Generator) Event(i int64) Event {
	n := g.number(i)
	r := randomOf(g.config.Seed, n)
	switch offset := n % group; {
	case offset < personsOf50:
		return Event{Person: g.person(n, &r)}
	case offset < personsOf50+auctionsOf50:
		return Event{Auction: g.auction(n, &r)}
	}
	return Event{Bid: g.bid(n, &r)}
}

// number returns which event comes at place i. Events have their numbers, and their times, in order.
func (g Generator) number(i int64) int64 {
	offset := i % g.config.Disorder
	return i - offset + offset*shuffle%g.config.Disorder
}

// at returns the time of event n.
func (g Generator) at(n int64) dataflow.EventTime {
	rate := g.config.EventsPerSecond
	return start + dataflow.EventTime(n/rate*1000+n%rate*1000/rate)
}

var (
	firstNames = []string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	lastNames  = []string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	cities     = []string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	states     = []string{"AZ", "CA", "ID", "OR", "WA", "WY"}
)

func (g Generator) person(n int64, r *random) *Person {
	p := &Person{
		ID:         FirstPerson + PersonID(lastPerson(n)),
		Name:       r.pick(firstNames) + " " + r.pick(lastNames),
		Email:      r.text(3, 8) + "@" + r.text(3, 6) + ".com",
		CreditCard: fmt.Sprintf("%04d %04d %04d %04d", r.below(10_000), r.below(10_000), r.below(10_000), r.below(10_000)),
		City:       r.pick(cities),
		State:      r.pick(states),
		At:         g.at(n),
	}
	p.Extra = r.padding(16+len(p.Name)+len(p.Email)+len(p.CreditCard)+len(p.City)+len(p.State), usualPerson)
	return p
}

func (g Generator) auction(n int64, r *random) *Auction {
	a := &Auction{
		ID:          FirstAuction + AuctionID(lastAuction(n)),
		Item:        r.text(3, 20),
		Description: r.text(3, 100),
		InitialBid:  r.price(),
		At:          g.at(n),
		Seller:      g.somebody(n, r, g.config.HotSellers, 0),
		Category:    FirstCategory + Category(r.below(categories)),
	}
	a.Reserve = a.InitialBid + r.price()
	// So long that about InFlight auctions are open at a time.
	horizon := int64(g.at(n+g.config.InFlight*group/auctionsOf50) - a.At)
	a.Expires = a.At + 1 + dataflow.EventTime(r.below(max(2*horizon, 1)))
	a.Extra = r.padding(56+len(a.Item)+len(a.Description), usualAuction)
	return a
}

func (g Generator) bid(n int64, r *random) Bid {
	last := lastAuction(n)
	auction := last / hotEvery * hotEvery
	if r.oneIn(g.config.HotAuctions) {
		oldest := max(last-g.config.InFlight, 0)
		auction = oldest + r.below(last-oldest+1+lead)
	}
	return Bid{
		Auction: FirstAuction + AuctionID(auction),
		Bidder:  g.somebody(n, r, g.config.HotBidders, 1), // not the hot seller
		Price:   r.price(),
		At:      g.at(n),
		Extra:   r.padding(32, usualBid),
	}
}

// somebody returns a hot person, the one at the given place of the latest hundred, or one time in ratio any active one.
func (g Generator) somebody(n int64, r *random, ratio, place int64) PersonID {
	last := lastPerson(n)
	person := last/hotEvery*hotEvery + place
	if r.oneIn(ratio) {
		active := min(last+1, g.config.ActivePersons)
		person = last + 1 - active + r.below(active+lead)
	}
	return FirstPerson + PersonID(person)
}

// lastPerson returns the number of the last person up to event n, counted from 0: each group begins with one.
func lastPerson(n int64) int64 { return n / group }

// lastAuction returns the number of the last auction up to event n, counted from 0, or -1 when there is none yet.
func lastAuction(n int64) int64 {
	return n/group*auctionsOf50 + min(n%group, personsOf50+auctionsOf50-1) - personsOf50
}
