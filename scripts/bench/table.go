package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// printTable writes a line per figure.
func printTable(w io.Writer, figures []figure) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "FIGURE\tVALUE\tRATIO\tSPREAD\tBAR\t\tYARDSTICK")
	for _, f := range figures {
		ratio := "-"
		if f.Ratio != nil {
			ratio = number(*f.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s..%s\t%s\t%s\t%s\n",
			f.Name, number(f.Value), f.Unit, ratio, number(f.Min), number(f.Max), orDash(f.Bar.text), f.verdict(), orDash(f.Yardstick))
	}
}

func (f figure) verdict() string {
	switch {
	case f.Bar.text == "":
		return "reported"
	case f.OK:
		return "ok"
	}
	return "MISSED"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// number writes a figure with three or four digits that count.
func number(v float64) string {
	switch {
	case v >= 1000 || v <= -1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
