// Package nexmark is the NEXMark benchmark: queries over the events of an auction house, as in Tucker, Tufte,
// Papadimos and Maier, "NEXMark: a benchmark for queries over data streams" (2008), and in the suites of Apache Beam and
// Apache Flink that came from it. Persons register, auctions are opened, bids are made, at 1 : 3 : 46.
//
// The events come from a Generator; which ones depends on the parameters alone. Times are event times: watermarks
// follow them at the distance that the generator's disorder asks for, so that no event is late, and what a query gives
// depends on nothing but the events. Package reference evaluates the same queries over a slice.
//
// # Queries
//
// The output of each query is lines of fields between tabs, in no particular order. Prices are whole cents, times are
// milliseconds since the Unix epoch. Windows begin at multiples of their length, or of the slide, since the epoch; they
// include their start and not their end.
//
// q0, pass through: what the runtime costs.
//
//	SELECT auction, bidder, price, at, extra FROM bid
//
// q1, currency conversion: a map. The price is rounded down.
//
//	SELECT auction, bidder, price * 908 / 1000, at, extra FROM bid
//
// q2, selection: a filter.
//
//	SELECT auction, price FROM bid WHERE auction % 123 = 0
//
// q3, local item suggestion: who is selling what, an incremental join of two streams. Persons stay for ever, and so do
// auctions whose seller has not come.
//
//	SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
//	WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
//
// q4, average price for a category: the closing price of an auction is its highest bid while it was open. It is known
// when the auction expires, and counts for the window that it expires in. Auctions without a bid do not count. The
// average is rounded down.
//
//	SELECT window_end, category, AVG(price) FROM (
//	  SELECT a.id, a.category, a.expires, MAX(b.price) AS price FROM auction a JOIN bid b ON b.auction = a.id
//	  WHERE b.at BETWEEN a.at AND a.expires GROUP BY a.id, a.category, a.expires)
//	GROUP BY TUMBLE(expires, window), category
//
// q5, hot items: the auctions with the most bids in each sliding window, several when they are equal.
//
//	SELECT window_end, auction, num FROM (
//	  SELECT window_end, auction, COUNT(*) AS num FROM bid GROUP BY HOP(at, slide, window), auction)
//	WHERE num = MAX(num) OVER (PARTITION BY window_end)
//
// q7, highest bid: the bids of the highest price in each window, several when they are equal.
//
//	SELECT window_end, auction, bidder, price, at FROM bid
//	WHERE price = MAX(price) OVER (PARTITION BY TUMBLE(at, window))
//
// q8, monitor new users: the persons that have opened an auction in the window in which they have registered, each
// once.
//
//	SELECT DISTINCT window_start, p.id, p.name FROM person p JOIN auction a
//	ON p.id = a.seller AND TUMBLE(p.at, window) = TUMBLE(a.at, window)
package nexmark
