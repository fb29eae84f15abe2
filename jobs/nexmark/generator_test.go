package nexmark

import (
	"hash/fnv"
	"reflect"
	"strings"
	"testing"

	"cairn/dataflow"
)

func generator(t testing.TB, change func(*Config)) Generator {
	t.Helper()
	c := DefaultConfig()
	if change != nil {
		change(&c)
	}
	g, err := NewGenerator(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestProportions: of any 50 events in a row, one is a person and three are auctions, numbered without gaps.
func TestProportions(t *testing.T) {
	g := generator(t, nil)
	person, auction := FirstPerson, FirstAuction
	for i := range int64(5000) {
		e := g.Event(i)
		switch {
		case i%50 == 0 && (e.Person == nil || e.Person.ID != person):
			t.Fatalf("event %d is %+v, want person %d", i, e, person)
		case i%50 == 0:
			person++
		case i%50 <= 3 && (e.Auction == nil || e.Auction.ID != auction):
			t.Fatalf("event %d is %+v, want auction %d", i, e, auction)
		case i%50 <= 3:
			auction++
		case !e.IsBid():
			t.Fatalf("event %d is %+v, want a bid", i, e)
		}
	}
}

// TestEventsAreSound: numbers lie where they may, and sizes and ratios are about what they should be.
func TestEventsAreSound(t *testing.T) {
	const events = 200_000
	g := generator(t, nil)
	var hotAuction, hotBidder, hotSeller, persons, auctions, bids, size int64
	for i := range int64(events) {
		e := g.Event(i)
		latest, opened := FirstPerson+PersonID(i/50), FirstAuction+AuctionID(lastAuction(i))
		switch {
		case e.Person != nil:
			persons++
		case e.Auction != nil:
			auctions++
			a := e.Auction
			if a.Seller < FirstPerson || a.Seller > latest+lead || a.Seller < latest-1000 || a.Category < 10 || a.Category > 14 ||
				a.Expires <= a.At || a.Expires > a.At+2*167 || a.Reserve <= a.InitialBid || a.InitialBid < 100 || a.InitialBid > 100_000_000 {
				t.Fatalf("event %d: %+v", i, a)
			}
			if (a.Seller-FirstPerson)%hotEvery == 0 {
				hotSeller++
			}
		default:
			bids++
			b := e.Bid
			if b.Auction < FirstAuction || b.Auction > opened+lead || b.Auction < opened-100 || b.Bidder > latest+lead || b.Price < 100 {
				t.Fatalf("event %d: %+v", i, b)
			}
			if (b.Auction-FirstAuction)%hotEvery == 0 {
				hotAuction++
			}
			if (b.Bidder-FirstPerson)%hotEvery == 1 {
				hotBidder++
			}
			size += 32 + int64(len(b.Extra))
		}
	}
	if persons != events/50 || auctions != events/50*3 || bids != events/50*46 {
		t.Errorf("%d persons, %d auctions, %d bids", persons, auctions, bids)
	}
	near(t, "bids for hot auctions", hotAuction, bids/2)
	near(t, "bids by hot bidders", hotBidder, bids*3/4)
	near(t, "auctions by hot sellers", hotSeller, auctions*3/4)
	near(t, "bytes of bids", size, bids*usualBid)
}

// near allows 5 percent.
func near(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got < want*95/100 || got > want*105/100 {
		t.Errorf("%s: %d, want about %d", what, got, want)
	}
}

// TestEventsDependOnTheirPlaceAlone: the sequence can be entered anywhere, and is the same in every build.
func TestEventsDependOnTheirPlaceAlone(t *testing.T) {
	g := generator(t, func(c *Config) { c.Disorder = 100 })
	h := fnv.New64a()
	for i := range int64(1000) {
		if e := g.Event(999 - i); !reflect.DeepEqual(e, g.Event(999-i)) {
			t.Fatalf("event %d is now this and now that", 999-i)
		}
		h.Write(EventCodec.Append(nil, g.Event(i)))
	}
	if got := h.Sum64(); got != 0xc09135542358efbc {
		t.Errorf("the events have changed: their hash is %#x", got)
	}
	other := generator(t, func(c *Config) { c.Seed = 1; c.Disorder = 100 })
	if reflect.DeepEqual(g.Event(7), other.Event(7)) {
		t.Error("the seed changes nothing")
	}
}

// TestDisorder: the events are the same ones, and as far from their order as is said.
func TestDisorder(t *testing.T) {
	const groups, disorder = 20, 70
	ordered := generator(t, func(c *Config) { c.EventsPerSecond = 300 })
	shuffled := generator(t, func(c *Config) { c.EventsPerSecond, c.Disorder = 300, disorder })
	if ordered.MaxDisorder() != 0 {
		t.Errorf("without disorder it is %s", ordered.MaxDisorder())
	}
	seen := make(map[string]int)
	newest, behind := dataflow.MinEventTime, dataflow.EventTime(0)
	for i := range int64(groups * disorder) {
		seen[string(EventCodec.Append(nil, ordered.Event(i)))]++
		e := shuffled.Event(i)
		seen[string(EventCodec.Append(nil, e))]--
		newest = max(newest, e.At())
		behind = max(behind, newest-e.At())
	}
	for _, n := range seen {
		if n != 0 {
			t.Fatal("the events are not the same ones")
		}
	}
	if most := dataflow.EventTime(shuffled.MaxDisorder().Milliseconds()); behind > most || behind < most*9/10 {
		t.Errorf("an event is %d ms late, the bound is %d ms", behind, most)
	}
}

func TestTimes(t *testing.T) {
	g := generator(t, func(c *Config) { c.EventsPerSecond = 3 })
	for i, want := range []dataflow.EventTime{0, 333, 666, 1000, 1333} {
		if got := g.Event(int64(i)).At() - start; got != want {
			t.Errorf("event %d: %d ms, want %d", i, got, want)
		}
	}
	if late := g.Event(1 << 50).At(); late < start {
		t.Errorf("the time has overflown: %d", late)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"EventsPerSecond": func(c *Config) { c.EventsPerSecond = 0 },
		"Disorder":        func(c *Config) { c.Disorder = shuffle },
		"InFlight":        func(c *Config) { c.InFlight = -1 },
		"ActivePersons":   func(c *Config) { c.ActivePersons = 0 },
		"HotAuctions":     func(c *Config) { c.HotAuctions = 0 },
		"HotBidders":      func(c *Config) { c.HotBidders = 0 },
		"HotSellers":      func(c *Config) { c.HotSellers = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if _, err := NewGenerator(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBidsAllocateNothing: they are most of the events.
func TestBidsAllocateNothing(t *testing.T) {
	g := generator(t, nil)
	if n := testing.AllocsPerRun(100, func() { g.Event(10) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEvent(b *testing.B) {
	g := generator(b, nil)
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		g.Event(i)
		i++
	}
}
