package nexmark

import (
	"testing"

	"cairn/dataflow"
)

// TestOffersCountWhileTheAuctionIsOpen: from its first moment to its last.
func TestOffersCountWhileTheAuctionIsOpen(t *testing.T) {
	a := openAuction{At: 100, Expires: 200, Highest: 50}
	for _, test := range []struct {
		at   dataflow.EventTime
		want int64
	}{{99, 50}, {100, 60}, {200, 60}, {201, 50}} {
		if got := a.with(offer{At: test.at, Price: 60}); got.Highest != test.want {
			t.Errorf("an offer at %d makes it %d, want %d", test.at, got.Highest, test.want)
		}
	}
	if got := a.with(offer{At: 150, Price: 40}); got != a {
		t.Errorf("a lower offer makes it %+v", got)
	}
}
