package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// age says how long ago ms, milliseconds since the epoch, was: in its largest unit, rounded down. What lies in
// the future, by the clock of another host, was just now.
func age(now time.Time, ms int64) string {
	if ms == 0 {
		return "never"
	}
	d := max(0, now.Sub(time.UnixMilli(ms)))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", d/time.Hour)
	}
	return fmt.Sprintf("%dd ago", d/(24*time.Hour))
}

// duration writes milliseconds with the two units that matter.
func duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%d.%ds", d/time.Second, d%time.Second/(100*time.Millisecond))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// size writes bytes in the largest binary unit of which there is at least one.
func size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value := float64(bytes) / 1024
	// 1023.95 would be rounded up to 1024.0 of its unit.
	for len(units) > 1 && value >= 1023.95 {
		value, units = value/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// lastContact writes api.Voter.LastContactMillis.
func lastContact(state string, ms int64) string {
	switch {
	case ms < 0:
		return "unknown"
	case state == "leader":
		return "-"
	}
	return duration(ms) + " ago"
}

// count writes a number of things; noun is singular and takes an s.
func count(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// oneLine makes text of others fit for a line of ours: line breaks become "; " and whatever else a terminal
// could act on becomes a space.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, line))
	}
	return strings.Join(lines, "; ")
}
