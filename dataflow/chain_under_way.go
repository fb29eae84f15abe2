package dataflow

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// underWay is the record that a task works on, for errors and panics: a record that cannot be processed has to be found
// again. It is kept up to date by a few stores per record, and put into words only when something has failed.
type underWay struct {
	frame        []byte // the batch that the record came in; nil for none
	channel      int    // by which the batch came
	index, count int    // of the record among those of the batch
	from, to     int    // the record's bytes in frame; to is 0 until it has been decoded
	keyed        bool   // the keyed operator's current key is that of the record, or of the timer
}

// maxQuoted is how many bytes of a record, or of a key, an error shows.
const maxQuoted = 64

// reads notes that the next record of the batch is about to be decoded.
func (u *underWay) reads(index, from int) {
	u.index, u.from, u.to, u.keyed = index, from, 0, false
}

// nameUnderWay says what is under way, as a clause that begins with a comma; nothing if nothing is.
func (c *chain) nameUnderWay() string {
	var b strings.Builder
	u := &c.under
	if u.keyed && c.currentKey != nil {
		fmt.Fprintf(&b, ", key %s", c.currentKey())
	}
	if u.frame != nil {
		fmt.Fprintf(&b, ", record %d of %d", u.index+1, u.count)
		if c.channelName != nil {
			fmt.Fprintf(&b, " of %s", c.channelName(u.channel))
		}
		if u.to > 0 {
			fmt.Fprintf(&b, ", its %d bytes %s", u.to-u.from, quoteBytes(u.frame[u.from:u.to]))
		} else {
			fmt.Fprintf(&b, ", from the bytes %s on", quoteBytes(u.frame[u.from:]))
		}
	}
	return b.String()
}

// quoteBytes shows the first bytes: quoted when most of them are text, which is how strings look behind their lengths,
// else in hexadecimal.
func quoteBytes(b []byte) string {
	cut := ""
	if len(b) > maxQuoted {
		b, cut = b[:maxQuoted], "…"
	}
	all, printable := 0, 0
	for _, r := range string(b) {
		all++
		if r != utf8.RuneError && strconv.IsPrint(r) {
			printable++
		}
	}
	if 2*printable >= all {
		return strconv.Quote(string(b)) + cut
	}
	return fmt.Sprintf("%x%s", b, cut)
}

// quoteKey shows a key of any type.
func quoteKey[K any](key K) string {
	text := fmt.Sprintf("%v", key)
	if s, is := any(key).(string); is {
		text = strconv.Quote(s)
	}
	if len(text) > maxQuoted {
		return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return text
}
