package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// figure is one line of the table.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // the median, in Unit
	Unit  string  `json:"unit"`
	Bar   bar     `json:"bar"`
	// Ratio is the median of the ratios to the yardstick, each taken side by side; absent where there is no yardstick.
	Ratio *float64 `json:"ratio"`
	OK    bool     `json:"ok"`
	// Min and Max are the spread of Ratio, or of Value where there is no ratio.
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
	Yardstick string  `json:"yardstick,omitempty"`
}

// valueOf is a figure without a yardstick.
func valueOf(name string, values sample, unit string) figure {
	return figure{Name: name, Value: values.median(), Unit: unit, Min: values.min(), Max: values.max()}
}

// ratioOf is a figure whose values stand beside others that were measured in turn with them: ratios are of pairs.
func ratioOf(name string, values sample, unit string, yardstick string, beside sample) figure {
	ratios := values.over(beside)
	f := figure{
		Name: name, Value: values.median(), Unit: unit, Min: ratios.min(), Max: ratios.max(),
		Yardstick: fmt.Sprintf("%s (%s %s)", yardstick, number(beside.median()), unit),
	}
	median := ratios.median()
	f.Ratio = &median
	return f
}

// with sets the bar.
func (f figure) with(b bar) figure {
	f.Bar = b
	return f
}

func (f figure) judged() figure {
	f.OK = f.Bar.holds(f)
	return f
}

// bar is what a figure is held to. The zero value holds always: the figure is only reported.
type bar struct {
	text string
	test func(figure) bool
}

func (b bar) holds(f figure) bool { return b.test == nil || b.test(f) }

// MarshalJSON writes the bar's text, which is empty for none.
func (b bar) MarshalJSON() ([]byte, error) { return json.Marshal(b.text) }

// ratioAtLeast is a bar of the median ratio.
func ratioAtLeast(limit float64) bar {
	return bar{fmt.Sprintf(">= %g", limit), func(f figure) bool { return *f.Ratio >= limit }}
}

// ratioAtMost is a bar of the median ratio.
func ratioAtMost(limit float64) bar {
	return bar{fmt.Sprintf("<= %g", limit), func(f figure) bool { return *f.Ratio <= limit }}
}

// valueBelow is a bar of the median value.
func valueBelow(limit float64, unit string) bar {
	return bar{fmt.Sprintf("< %g %s", limit, unit), func(f figure) bool { return f.Value < limit }}
}

// writeResults writes the figures as a JSON array.
func writeResults(path string, figures []figure) error {
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
