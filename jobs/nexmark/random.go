package nexmark

import (
	"math"
	"math/bits"
)

// random is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): any state gives a
// good sequence, so that each event can have one of its own, by its number.
type random struct{ state uint64 }

// randomOf returns the sequence of event n.
func randomOf(seed uint64, n int64) random {
	r := random{state: seed}
	return random{state: r.next() + uint64(n)*golden}
}

const golden = 0x9e3779b97f4a7c15

func (r *random) next() uint64 {
	r.state += golden
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 up to n, which is positive.
func (r *random) below(n int64) int64 {
	high, _ := bits.Mul64(r.next(), uint64(n))
	return int64(high)
}

// oneIn is true once in n times.
func (r *random) oneIn(n int64) bool { return r.below(n) == 0 }

// price returns cents, from 1.00 to 1,000,000.00, with as many below 10.00 as between that and 100.00, and so on.
func (r *random) price() int64 {
	return int64(math.Round(100 * math.Pow(10, 6*float64(r.next()>>11)/(1<<53))))
}

func (r *random) pick(from []string) string { return from[r.below(int64(len(from)))] }

// text returns letters, at least least and below most of them. They are a piece of a text that is always there.
func (r *random) text(least, most int64) string {
	length := min(least+r.below(max(most-least, 1)), textLength)
	start := r.below(textLength - length + 1)
	return letters[start : start+length]
}

// padding returns text that brings an event of the given size to about the usual one, a fifth more or less.
func (r *random) padding(size int, usual int64) string {
	missing := usual - int64(size)
	if missing <= 0 {
		return ""
	}
	return r.text(missing-missing/5, missing+missing/5)
}

const textLength = 1 << 14

var letters = func() string {
	r, b := random{}, make([]byte, textLength)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz "[r.below(27)]
	}
	return string(b)
}()
