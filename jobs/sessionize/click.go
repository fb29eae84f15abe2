package sessionize

import (
	"strconv"
	"time"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// Click is one request of a user.
type Click struct {
	User string             `json:"user"`
	At   dataflow.EventTime `json:"at"` // milliseconds since the Unix epoch
	Page string             `json:"page"`
}

// When returns the click's event time.
func (c Click) When() dataflow.EventTime { return c.At }

// ClickCodec is that of the clicks on their way.
var ClickCodec = codec.MustStruct[Click]()

// firstClick is when the generated clicks begin, about: 2026-01-01T00:00:00Z.
const firstClick dataflow.EventTime = 1767225600000

// visitors are the users that are there at a time; after so many clicks, others are.
const (
	visitors = 20
	visit    = 400
)

// clicks makes clicks, each by its number alone. They are in the order of time but for the disorder.
type clicks struct {
	perSecond int64 // of event time
	disorder  time.Duration
}

func (g clicks) at(i int64) Click {
	draw := scramble(uint64(i))
	at := firstClick + dataflow.EventTime(i/g.perSecond*1000+i%g.perSecond*1000/g.perSecond)
	if g.disorder > 0 {
		at -= dataflow.EventTime(draw % uint64(g.disorder.Milliseconds()+1))
	}
	user := i/visit%1000*visitors/2 + int64(scramble(draw)%visitors) // half of them come back for the next visit
	return Click{User: "u" + strconv.FormatInt(user, 10), At: at, Page: pages[draw>>32%uint64(len(pages))]}
}

var pages = []string{"/", "/search", "/item", "/cart", "/checkout", "/help"}

// scramble is the output function of SplitMix64: it makes a random number of a number.
func scramble(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
