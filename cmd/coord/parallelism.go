package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cairn/api"
)

// parallelism is a flag.Value that collects N, for every operator, and OPERATOR=N.
type parallelism struct{ asked *api.Parallelism }

func newParallelism() parallelism { return parallelism{&api.Parallelism{}} }

// Set adds one N or OPERATOR=N. Each is given once.
func (p parallelism) Set(s string) error {
	operator, number, one := strings.Cut(s, "=")
	if !one {
		number = s
	}
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 1 || one && operator == "":
		return errors.New("want N or OPERATOR=N, with a positive whole number")
	case one && p.asked.Operators[operator] != 0:
		return fmt.Errorf("operator %s is given twice", operator)
	case !one && p.asked.All != 0:
		return errors.New("the parallelism of all operators is given twice")
	case !one:
		p.asked.All = n
		return nil
	}
	if p.asked.Operators == nil {
		p.asked.Operators = make(map[string]int)
	}
	p.asked.Operators[operator] = n
	return nil
}

// String is what cli shows as the flag's default.
func (p parallelism) String() string {
	if p.asked == nil {
		return ""
	}
	return strings.Join(parallelismLines(p.asked.Operators), ",")
}

// parallelismLines writes numbers by operator as sorted operator=N.
func parallelismLines(of map[string]int) []string {
	var lines []string
	for _, op := range slices.Sorted(maps.Keys(of)) {
		lines = append(lines, fmt.Sprintf("%s=%d", op, of[op]))
	}
	return lines
}
