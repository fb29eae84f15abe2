package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeUnits are the units that sizes are given in, the largest first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// parseSize reads a number of bytes: a whole number and a unit, such as 64MiB.
func parseSize(text string) (int64, error) {
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(strings.TrimSpace(text), unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		switch {
		case err != nil || n < 0:
			return 0, fmt.Errorf("%q is not a whole number", digits)
		case n > math.MaxInt64/unit.bytes:
			return 0, errors.New("is too large")
		}
		return n * unit.bytes, nil
	}
	return 0, errors.New("has no unit: give a whole number of B, KiB, MiB, GiB or TiB, such as 64MiB")
}

// sizeFlag writes a size as parseSize reads it.
func sizeFlag(bytes int64) string {
	for _, unit := range sizeUnits {
		if bytes%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", bytes/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%dB", bytes)
}
