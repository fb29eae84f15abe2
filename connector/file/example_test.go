package file_test

import (
	"time"

	"cairn/connector/file"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

type payment struct {
	At     time.Time `csv:"at"`
	Shop   string    `csv:"shop"`
	Amount float64   `csv:"amount"`
	Note   string    `csv:"note,optional" json:",omitempty"`
}

type paymentCodec struct{}

func (paymentCodec) Append(dst []byte, p payment) []byte {
	dst = codec.Int64.Append(dst, p.At.UnixMilli())
	dst = codec.String.Append(dst, p.Shop)
	return codec.Float64.Append(dst, p.Amount)
}

func (paymentCodec) Decode(src []byte) (p payment, n int, err error) {
	at, n, err := codec.Int64.Decode(src)
	if err != nil {
		return p, 0, err
	}
	shop, m, err := codec.String.Decode(src[n:])
	if err != nil {
		return p, 0, err
	}
	amount, k, err := codec.Float64.Decode(src[n+m:])
	return payment{At: time.UnixMilli(at).UTC(), Shop: shop, Amount: amount}, n + m + k, err
}

// A job that reads files of CSV as they appear in a directory, and writes them as compressed JSON lines, a directory for
// each day.
func Example() {
	build := func(g *dataflow.Graph, p *dataflow.Params) error {
		input, err := p.Required("input")
		if err != nil {
			return err
		}
		output, err := p.Required("output")
		if err != nil {
			return err
		}
		source := file.CSV[payment](input, file.Suffix(".csv"), file.Watch(10*time.Second), file.SkipPoison())
		sink := file.NewJSONSink[payment](output, file.RollSize(128<<20), file.RollEvery(time.Hour), file.Gzip()).
			Bucket(func(p payment) string { return p.At.Format(time.DateOnly) })
		payments := dataflow.From(g, "read", source, paymentCodec{}, dataflow.Parallelism(2))
		dataflow.To(payments, "write", sink, dataflow.Parallelism(2))
		return nil
	}
	_ = dataflow.Program{Name: "archive", Doc: "turns CSV into JSON lines", Build: build}
}

// Lines of large files, read by several subtasks.
func ExampleNewSource() {
	source := file.NewSource("/data/logs", file.Suffix(".log"), file.SplitSize(256<<20))
	sink := file.NewSink("/data/copy", func(dst []byte, line string) []byte { return append(dst, line...) })
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		lines := dataflow.From(g, "read", source, codec.String, dataflow.Parallelism(8))
		dataflow.To(lines, "write", sink, dataflow.Parallelism(8))
		return nil
	}
	_ = dataflow.Program{Name: "copy", Doc: "copies lines", Build: build}
}

// Rows of CSV without a header, turned into records by a function.
func ExampleCSVRows() {
	_ = file.CSVRows("/data/points", func(row []string) (string, error) { return row[0] + "/" + row[1], nil },
		file.NoHeader(), file.Comma(';'), file.NoQuotedNewlines(), file.SplitSize(64<<20))
}
