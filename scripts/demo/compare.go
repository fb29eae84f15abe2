package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// update is a line of the job's output.
type update struct {
	word  string
	count int64
}

// compare holds the committed output against the independent count: every line that must be there is there
// exactly once, and no other.
func (d *demo) compare(ctx context.Context) error {
	d.say.step("Comparing the committed output with the independent count")
	got, err := readOutput(ctx, d.output())
	if err != nil {
		return err
	}
	lines := 0
	for _, n := range got {
		lines += n
	}
	for word, n := range d.want.counts {
		expected(word, n, func(word string, count int64) { got[update{word, count}]-- })
	}
	var differences []string
	for u, n := range got {
		switch {
		case n > 0:
			differences = append(differences, fmt.Sprintf("%s %d: %d more than there should be", u.word, u.count, n))
		case n < 0:
			differences = append(differences, fmt.Sprintf("%s %d: missing %d", u.word, u.count, -n))
		}
	}
	if len(differences) > 0 {
		slices.Sort(differences)
		for _, difference := range differences[:min(10, len(differences))] {
			d.say.detail("%s", difference)
		}
		return fmt.Errorf("the output differs from the independent count in %d lines of %d", len(differences), lines)
	}
	d.say.detail("%d committed lines, identical", lines)
	return nil
}

// readOutput counts each line of the committed files. A file that is still pending or in progress at the end
// of the job is an error: it is output that was neither committed nor taken back.
func readOutput(ctx context.Context, dir string) (map[update]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	lines := make(map[update]int)
	for _, entry := range entries {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if strings.HasSuffix(entry.Name(), ".pending") || strings.HasSuffix(entry.Name(), ".inprogress") {
			return nil, fmt.Errorf("%s was left over", filepath.Join(dir, entry.Name()))
		}
		if err := readPart(filepath.Join(dir, entry.Name()), lines); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func readPart(path string, lines map[update]int) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		word, count, found := strings.Cut(scanner.Text(), "\t")
		n, err := strconv.ParseInt(count, 10, 64)
		if !found || err != nil {
			return fmt.Errorf("%s: line %q is not word<TAB>count", path, scanner.Text())
		}
		lines[update{word, n}]++
	}
	return scanner.Err()
}
