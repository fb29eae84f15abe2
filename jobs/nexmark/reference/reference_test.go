package reference

import (
	"slices"
	"testing"
	"time"

	"cairn/dataflow"
	"cairn/jobs/nexmark"
)

func person(id nexmark.PersonID, at dataflow.EventTime, name, state string) nexmark.Event {
	return nexmark.Event{Person: &nexmark.Person{ID: id, At: at, Name: name, City: "Bend", State: state}}
}

func auction(id nexmark.AuctionID, at, expires dataflow.EventTime, seller nexmark.PersonID, category nexmark.Category) nexmark.Event {
	return nexmark.Event{Auction: &nexmark.Auction{ID: id, At: at, Expires: expires, Seller: seller, Category: category}}
}

func bid(on nexmark.AuctionID, at dataflow.EventTime, price int64) nexmark.Event {
	return nexmark.Event{Bid: nexmark.Bid{Auction: on, Bidder: 7, At: at, Price: price, Extra: "x"}}
}

var events = []nexmark.Event{
	person(1, 100, "Ann", "OR"), person(2, 900, "Bob", "WY"), person(3, 1100, "Cid", "ID"),
	auction(123, 150, 1400, 1, 10), auction(124, 950, 1300, 2, 10), auction(125, 1200, 1999, 3, 11), auction(126, 1300, 2000, 1, 10),
	bid(123, 149, 900), bid(123, 150, 100), bid(123, 1400, 300), bid(123, 1401, 950), bid(124, 1000, 200), bid(125, 1500, 51),
	bid(125, 1501, 950), bid(126, 1800, 7), bid(999, 1850, 1),
}

func TestQueries(t *testing.T) {
	w := Windows{Size: time.Second, Slide: 500 * time.Millisecond}
	for query, want := range map[string][]string{
		"q0": {
			"123\t7\t100\t150\tx", "123\t7\t300\t1400\tx", "123\t7\t900\t149\tx", "123\t7\t950\t1401\tx", "124\t7\t200\t1000\tx",
			"125\t7\t51\t1500\tx", "125\t7\t950\t1501\tx", "126\t7\t7\t1800\tx", "999\t7\t1\t1850\tx",
		},
		"q1": {
			"123\t7\t272\t1400\tx", "123\t7\t817\t149\tx", "123\t7\t862\t1401\tx", "123\t7\t90\t150\tx", "124\t7\t181\t1000\tx",
			"125\t7\t46\t1500\tx", "125\t7\t862\t1501\tx", "126\t7\t6\t1800\tx", "999\t7\t0\t1850\tx",
		},
		"q2": {"123\t100", "123\t300", "123\t900", "123\t950"},
		"q3": {"Ann\tBend\tOR\t123", "Ann\tBend\tOR\t126"},
		// 123 closes at 300 and 124 at 200, 125 at 950; 126 expires with the first moment of the next window.
		"q4": {"2000\t10\t250", "2000\t11\t950", "3000\t10\t7"},
		"q5": {
			"1000\t123\t2", "1500\t123\t2", // of 0 to 1000, and of 500 to 1500: 123 at 1400 and 1401
			"2000\t123\t2", "2000\t125\t2", "2500\t125\t2", "500\t123\t2",
		},
		"q7": {"1000\t123\t7\t900\t149", "2000\t123\t7\t950\t1401", "2000\t125\t7\t950\t1501"},
		"q8": {"0\t1\tAnn", "0\t2\tBob", "1000\t3\tCid"},
	} {
		got, err := Evaluate(query, events, w)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s, %v:\ngot  %q\nwant %q", query, err, got, want)
		}
	}
	if _, err := Evaluate("q6", events, w); err == nil {
		t.Error("q6 is evaluated")
	}
}
