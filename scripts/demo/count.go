package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// counted is the result of the independent count.
type counted struct {
	files               int
	bytes, lines, words int64
	counts              map[string]int64
}

// countWords counts the words of every .go file below dir, one file after the other. A word is a run of
// letters, digits and underscores. It shares no code with the runtime that it is there to check.
func countWords(ctx context.Context, dir string) (counted, error) {
	c := counted{counts: make(map[string]int64)}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c.files++
		c.bytes += int64(len(data))
		c.add(data)
		return nil
	})
	return c, err
}

func (c *counted) add(data []byte) {
	start := -1 // of the word that is being read
	for i, b := range data {
		if b == '\n' {
			c.lines++
		}
		switch {
		case isWordByte(b) && start < 0:
			start = i
		case !isWordByte(b) && start >= 0:
			c.word(data[start:i])
			start = -1
		}
	}
	if start >= 0 {
		c.word(data[start:])
	}
}

func (c *counted) word(w []byte) {
	c.counts[string(w)]++
	c.words++
}

func isWordByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// expected calls yield with every line that the job has to have written for a word that occurs n times: an
// update at each power of two, and the total.
func expected(word string, n int64, yield func(word string, count int64)) {
	for p := int64(1); p <= n; p *= 2 {
		yield(word, p)
	}
	if n&(n-1) != 0 {
		yield(word, n)
	}
}
