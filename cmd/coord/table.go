package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// column is a column of a table. Numbers stand on the right.
type column struct {
	name  string
	align text.Align
}

func left(name string) column  { return column{name, text.AlignLeft} }
func right(name string) column { return column{name, text.AlignRight} }

// writeTable writes rows under their columns, without borders. A column in which every cell is empty is left
// out; without rows there is only a line that says so.
func writeTable(w io.Writer, none string, columns []column, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, none)
		return err
	}
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	t.SuppressEmptyColumns()
	t.SuppressTrailingSpaces()
	header, configs := table.Row{}, []table.ColumnConfig{}
	for i, c := range columns {
		header = append(header, c.name)
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: c.align, AlignHeader: c.align})
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(configs)
	for _, cells := range rows {
		row := table.Row{}
		for _, cell := range cells {
			row = append(row, oneLine(cell))
		}
		t.AppendRow(row)
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func plainStyle() table.Style {
	box := table.StyleBoxDefault
	box.PaddingLeft, box.PaddingRight = "", "  "
	return table.Style{
		Name: "plain", Box: box, Options: table.OptionsNoBordersAndSeparators,
		Format: table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault},
	}
}

// firstLine leaves out what follows the first line of a message: the stack of a panic.
func firstLine(message string) string {
	first, _, _ := strings.Cut(message, "\n")
	return first
}

// fact is a label and what is to be said under it. A fact without a value is left out; one with several has a
// line for each.
type fact struct {
	label  string
	values []string
}

func say(label string, values ...string) fact { return fact{label, values} }

// writeFacts writes facts one below the other, their values aligned.
func writeFacts(w io.Writer, facts ...fact) error {
	width := 0
	for _, f := range facts {
		width = max(width, len(f.label))
	}
	var b strings.Builder
	for _, f := range facts {
		label := f.label
		for _, value := range f.values {
			if value == "" {
				continue
			}
			fmt.Fprintf(&b, "%-*s  %s\n", width, label, oneLine(value))
			label = ""
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
