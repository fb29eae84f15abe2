// Package reference evaluates the queries of package nexmark over a slice of events, with maps, loops and sorting: the
// plainest way there is. It shares nothing with the streaming jobs but the events, to have something to compare them
// with.
package reference

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/jobs/nexmark"
)

// Windows are the lengths of the windows, whole milliseconds. Slide divides nothing and is no longer than Size.
type Windows struct {
	Size  time.Duration
	Slide time.Duration // between the starts of sliding windows
}

// Evaluate returns the query's lines, sorted. The query is one of q0, q1, q2, q3, q4, q5, q7, q8.
func Evaluate(query string, events []nexmark.Event, w Windows) ([]string, error) {
	queries := map[string]func(house, Windows) []string{
		"q0": passThrough, "q1": currencyConversion, "q2": selection, "q3": localItems, "q4": averagePrices, "q5": hotItems,
		"q7": highestBids, "q8": newUsers,
	}
	evaluate, known := queries[query]
	if !known {
		return nil, fmt.Errorf("there is no query %q", query)
	}
	lines := evaluate(sorted(events), w)
	slices.Sort(lines)
	return lines, nil
}

// house is all that has happened.
type house struct {
	persons  []nexmark.Person
	auctions []nexmark.Auction
	bids     []nexmark.Bid
}

// sorted tells the events apart.
func sorted(events []nexmark.Event) (h house) {
	for _, e := range events {
		switch {
		case e.Person != nil:
			h.persons = append(h.persons, *e.Person)
		case e.Auction != nil:
			h.auctions = append(h.auctions, *e.Auction)
		default:
			h.bids = append(h.bids, e.Bid)
		}
	}
	return h
}

// line joins fields with tabs.
func line(fields ...any) string {
	text := make([]string, len(fields))
	for i, f := range fields {
		text[i] = fmt.Sprint(f)
		if at, isTime := f.(interface{ Time() time.Time }); isTime {
			text[i] = fmt.Sprint(at.Time().UnixMilli())
		}
	}
	return strings.Join(text, "\t")
}

func passThrough(h house, _ Windows) (lines []string) {
	for _, b := range h.bids {
		lines = append(lines, line(b.Auction, b.Bidder, b.Price, b.At, b.Extra))
	}
	return lines
}

func currencyConversion(h house, _ Windows) (lines []string) {
	for _, b := range h.bids {
		lines = append(lines, line(b.Auction, b.Bidder, b.Price*908/1000, b.At, b.Extra))
	}
	return lines
}

func selection(h house, _ Windows) (lines []string) {
	for _, b := range h.bids {
		if b.Auction%123 == 0 {
			lines = append(lines, line(b.Auction, b.Price))
		}
	}
	return lines
}

func localItems(h house, _ Windows) (lines []string) {
	for _, a := range h.auctions {
		for _, p := range h.persons {
			local := p.State == "OR" || p.State == "ID" || p.State == "CA"
			if a.Category == 10 && a.Seller == p.ID && local {
				lines = append(lines, line(p.Name, p.City, p.State, a.ID))
			}
		}
	}
	return lines
}

// window is one window of one category, auction or nothing.
type window struct{ start, of int64 }

// starts returns where the windows begin that a time lies in.
func starts(at, size, slide int64) (all []int64) {
	for start := at - at%slide; start > at-size; start -= slide {
		all = append(all, start)
	}
	return all
}

func averagePrices(h house, w Windows) (lines []string) {
	size := w.Size.Milliseconds()
	bids := make(map[nexmark.AuctionID][]nexmark.Bid)
	for _, b := range h.bids {
		bids[b.Auction] = append(bids[b.Auction], b)
	}
	prices := make(map[window][]int64)
	for _, a := range h.auctions {
		highest, found := int64(0), false
		for _, b := range bids[a.ID] {
			if a.At <= b.At && b.At <= a.Expires {
				highest, found = max(highest, b.Price), true
			}
		}
		if found {
			of := window{starts(int64(a.Expires), size, size)[0], int64(a.Category)}
			prices[of] = append(prices[of], highest)
		}
	}
	for of, all := range prices {
		var sum int64
		for _, price := range all {
			sum += price
		}
		lines = append(lines, line(of.start+size, of.of, sum/int64(len(all))))
	}
	return lines
}

func hotItems(h house, w Windows) (lines []string) {
	size, slide := w.Size.Milliseconds(), w.Slide.Milliseconds()
	count, most := make(map[window]int), make(map[int64]int)
	for _, b := range h.bids {
		for _, start := range starts(int64(b.At), size, slide) {
			count[window{start, int64(b.Auction)}]++
		}
	}
	for of, n := range count {
		most[of.start] = max(most[of.start], n)
	}
	for of, n := range count {
		if n == most[of.start] {
			lines = append(lines, line(of.start+size, of.of, n))
		}
	}
	return lines
}

func highestBids(h house, w Windows) (lines []string) {
	size := w.Size.Milliseconds()
	highest := make(map[int64]int64)
	for _, b := range h.bids {
		start := starts(int64(b.At), size, size)[0]
		highest[start] = max(highest[start], b.Price)
	}
	for _, b := range h.bids {
		if start := starts(int64(b.At), size, size)[0]; b.Price == highest[start] {
			lines = append(lines, line(start+size, b.Auction, b.Bidder, b.Price, b.At))
		}
	}
	return lines
}

func newUsers(h house, w Windows) (lines []string) {
	size := w.Size.Milliseconds()
	selling := make(map[window]bool)
	for _, a := range h.auctions {
		selling[window{starts(int64(a.At), size, size)[0], int64(a.Seller)}] = true
	}
	for _, p := range h.persons {
		if start := starts(int64(p.At), size, size)[0]; selling[window{start, int64(p.ID)}] {
			lines = append(lines, line(start, p.ID, p.Name))
		}
	}
	return lines
}
