package file

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/dataflow"
)

// csvOutcome is what one call of next gave: a row, or that a record could not be read.
type csvOutcome struct {
	row    string // the fields, quoted; empty when it could not be read
	offset int64  // behind it
}

// readCSV reads a split to its end, skipping what cannot be read.
func readCSV(r *csvReader, s split) (got []csvOutcome, err error) {
	if err := r.open(s); err != nil {
		return nil, errors.Join(err, r.close())
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for {
		row, err := r.next()
		var p *poisonError
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case errors.As(err, &p):
			if err := r.skip(p); err != nil {
				return got, err
			}
			got = append(got, csvOutcome{offset: r.split.offset})
		case err != nil:
			return got, err
		default:
			got = append(got, csvOutcome{row: fmt.Sprintf("%q", row), offset: r.split.offset})
		}
	}
}

// naiveCSV reads all with encoding/csv, without offsets. Rows that cannot be read are empty.
func naiveCSV(content string, fields int) (rows []string) {
	parser := csv.NewReader(strings.NewReader(content))
	parser.FieldsPerRecord = fields
	for {
		row, err := parser.Read()
		switch {
		case errors.Is(err, io.EOF):
			return rows
		case err != nil:
			rows = append(rows, "")
		default:
			rows = append(rows, fmt.Sprintf("%q", row))
		}
	}
}

func rowsOf(outcomes []csvOutcome) (rows []string) {
	for _, o := range outcomes {
		rows = append(rows, o.row)
	}
	return rows
}

// checkCSVOffsets checks that a file is read as encoding/csv reads it, and that reading from behind each record gives
// the records after it: what a restore relies on. Without quoted line breaks, cutting the file changes nothing either.
func checkCSVOffsets(t *testing.T, dir, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	whole := wholeFile("f", int64(len(content)))
	format := csvFormat{comma: ',', noHeader: true}
	r := newCSVReader(dir, format, 0, 1<<20)
	all, err := readCSV(r, whole)
	if want := naiveCSV(strings.TrimPrefix(content, "\ufeff"), -1); err != nil || !slices.Equal(rowsOf(all), want) {
		t.Fatalf("%q is read as %v, %v; encoding/csv reads %v", content, all, err, want)
	}
	for i, o := range all {
		s := whole
		s.offset = o.offset
		if rest, err := readCSV(r, s); err != nil || !slices.Equal(rest, all[i+1:]) {
			t.Fatalf("%q from offset %d: %v, %v, want %v", content, o.offset, rest, err, all[i+1:])
		}
	}
	format.oneLine = true
	r = newCSVReader(dir, format, 0, 1<<20)
	all, err = readCSV(r, whole)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 + whole.size/100; size <= whole.size; size += 1 + size/3 {
		var got []csvOutcome
		for _, s := range whole.ranges(size) {
			part, err := readCSV(r, s)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
		}
		if !slices.Equal(got, all) {
			t.Fatalf("%q in ranges of %d bytes: %v, want %v", content, size, got, all)
		}
	}
}

var csvContents = []string{
	"",
	"\n",
	"\r",
	"\n\r\n\n",
	"a,b\nc,d\n",
	"a,b\r\nc,d\r\n\r\n\r\ne,f",
	"a,\"b\nb\"\n\"c\r\nc\",d\n",
	"\"\"\n\"\"\"\"\n",
	"a,b\n\nc,d\n\n\n",
	"\ufeffa,b\nc,d\n",
	"bad \"quote\",b\nc,d\n",
	"\"bad\" quote,b\nc,d\n",
	"a,b\n\"never closed,c\nd,e\n",
	"ends in a quote\"",
	"x\r\r\ny\r",
	"é,ü\n\xff,\x00\n",
	"a,b,c\nd\n,\n",
}

func TestCSVOffsets(t *testing.T) {
	dir := t.TempDir()
	for _, content := range csvContents {
		checkCSVOffsets(t, dir, content)
	}
	long := "a,\"" + strings.Repeat(strings.Repeat("l", 999)+"\n", readBufferSize/500) + "\"\nb,c\n" // longer than the buffer
	checkCSVOffsets(t, dir, long)
}

func FuzzCSVOffsets(f *testing.F) {
	for _, content := range csvContents {
		f.Add(content)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content string) {
		if len(content) <= 200 { // the check is quadratic
			checkCSVOffsets(t, dir, content)
		}
	})
}

// The header is read again whatever the offset, and is no record of any range.
func TestCSVHeader(t *testing.T) {
	dir := t.TempDir()
	content := "\n\r\n\ufeffname,n\na,1\nb,2\n"
	writeFiles(t, dir, map[string]string{"f": content, "only": "name,n\n", "blank": "\n\n"})
	for size := int64(1); size < int64(len(content)); size++ {
		var got []string
		for _, s := range wholeFile("f", int64(len(content))).ranges(size) {
			rows, err := readCSV(newCSVReader(dir, csvFormat{comma: ',', oneLine: true}, 0, 1<<20), s)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rowsOf(rows)...)
		}
		if want := []string{`["a" "1"]`, `["b" "2"]`}; !slices.Equal(got, want) {
			t.Fatalf("ranges of %d: read %v, want %v", size, got, want)
		}
	}
	for name, size := range map[string]int64{"only": 7, "blank": 2} {
		if rows, err := readCSV(newCSVReader(dir, csvFormat{comma: ','}, 0, 1<<20), wholeFile(name, size)); err != nil || len(rows) != 0 {
			t.Errorf("%s: read %v, %v", name, rows, err)
		}
	}
}

func TestCSVRecordTooLong(t *testing.T) {
	dir := t.TempDir()
	open := "a,b\n\"" + strings.Repeat("never closed\n", 20_000)
	writeFiles(t, dir, map[string]string{"open": open, "long": "a,b\n" + strings.Repeat("x", 100) + "\nc,d\n"})
	const most = 64
	got, err := readCSV(newCSVReader(dir, csvFormat{comma: ',', noHeader: true}, 0, most), wholeFile("long", 109))
	if want := []string{`["a" "b"]`, "", `["c" "d"]`}; err != nil || !slices.Equal(rowsOf(got), want) {
		t.Errorf("a long record: read %v, %v, want %v", got, err, want)
	}
	r := newCSVReader(dir, csvFormat{comma: ',', noHeader: true}, 0, most)
	got, err = readCSV(r, wholeFile("open", int64(len(open))))
	if len(got) != 1 || err == nil || !strings.Contains(err.Error(), "open:4: ") || !strings.Contains(err.Error(), "cannot be skipped") {
		t.Errorf("a quote that is never closed: read %v, %v", got, err)
	}
	if r.source.offset > 4+most+2*readBufferSize {
		t.Errorf("for a record of at most %d bytes, %d were read", most, r.source.offset)
	}
	// Where records are single lines, such a quote costs its line.
	got, err = readCSV(newCSVReader(dir, csvFormat{comma: ',', noHeader: true, oneLine: true}, 0, most), wholeFile("open", int64(len(open))))
	if err != nil || len(got) != 20_001 || got[2].row != `["never closed"]` {
		t.Errorf("read %d records, %v", len(got), err)
	}
}

func TestCSVFileThatHasShrunk(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "a,b\nc,\"d\ne"})
	for size := range int64(30) {
		rows, err := readCSV(newCSVReader(dir, csvFormat{comma: ',', noHeader: true}, 0, 1<<20), wholeFile("f", size+11))
		if err == nil || !strings.Contains(err.Error(), "ends at offset 10") || len(rows) != 1 {
			t.Fatalf("of %d bytes: read %v, %v", size+11, rows, err)
		}
	}
}

type embedded struct{ Flag bool }

type csvRecord struct {
	Name string `csv:"name"`
	N    int16  `csv:"n"`
	U    uint8
	F    float32
	At   time.Time `csv:"at,optional"`
	embedded
	_    int
	Left int `csv:"-"`
}

func drainAll[T any](t *testing.T, s *Source[T], opts ...func(*dataflow.SourceContext)) (got []T, err error) {
	t.Helper()
	ctx := sourceContext(0, 1)
	for _, opt := range opts {
		opt(&ctx)
	}
	r, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		status, err := r.Next(func(v T) { got = append(got, v) })
		if err != nil || status == dataflow.End() {
			return got, err
		}
	}
}

func TestCSVStructs(t *testing.T) {
	dir := t.TempDir()
	noon := time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, content string
		opts          []SourceOption
		want          []csvRecord
		err           string
	}{
		{"any order", "F,Flag,U,n,more,name,at\n1.5,true,255,-32768,x,\"a \"\"b\"\"\",2024-05-17T12:00:00Z\n", nil,
			[]csvRecord{{Name: `a "b"`, N: -32768, U: 255, F: 1.5, At: noon, embedded: embedded{Flag: true}}}, ""},
		{"optional column", "name,n,U,F,Flag\na,1,2,3,0\n", nil, []csvRecord{{Name: "a", N: 1, U: 2, F: 3}}, ""},
		{"no header", "a,1,2,3,2024-05-17T12:00:00Z,1\n", []SourceOption{NoHeader()},
			[]csvRecord{{Name: "a", N: 1, U: 2, F: 3, At: noon, embedded: embedded{Flag: true}}}, ""},
		{"semicolons", "name;n;U;F;Flag\na,b;1;2;3;0\n", []SourceOption{Comma(';')}, []csvRecord{{Name: "a,b", N: 1, U: 2, F: 3}}, ""},
		{"column missing", "name,n,U,Flag\na,1,2,0\n", nil, nil, `no column "F"`},
		{"out of range", "name,n,U,F,Flag\na,1,2,3,0\na,1,256,3,0\n", nil, []csvRecord{{Name: "a", N: 1, U: 2, F: 3}},
			`f:26: record beginning with "a,1,256,3,0": column "U", "256": value out of range`},
		{"too few fields", "name,n,U,F,Flag\na,1,2,3\n", nil, nil, `f:16: record beginning with "a,1,2,3": wrong number of fields`},
		{"too few fields, no header", "a,1\n", []SourceOption{NoHeader()}, nil, "wrong number of fields"},
		{"header that cannot be read", "na\"me\n", nil, nil, "the header: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			writeFiles(t, dir, map[string]string{"f": test.content})
			got, err := drainAll(t, CSV[csvRecord](filepath.Join(dir, "f"), test.opts...))
			if !slices.Equal(got, test.want) {
				t.Errorf("read %+v, want %+v", got, test.want)
			}
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || !dataflow.FailureOf(err).Permanent) {
				t.Errorf("got the error %v, want %q", err, test.err)
			}
		})
	}
}

func TestCSVTypesThatDoNotDo(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "a\n"})
	for want, err := range map[string]error{
		"want a struct":      errorOf(drainAll(t, CSV[int](dir))),
		"type []int":         errorOf(drainAll(t, CSV[struct{ A []int }](dir))),
		"no exported fields": errorOf(drainAll(t, CSV[struct{ a int }](dir))),
		"another one": errorOf(drainAll(t, CSV[struct {
			A, B int `csv:"x"`
		}](dir))),
		`tag option "option"`: errorOf(drainAll(t, CSV[struct {
			A int `csv:"x,option"`
		}](dir))),
		"embedded pointer": errorOf(drainAll(t, CSV[struct{ *embedded }](dir))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !dataflow.FailureOf(err).Permanent {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// What the sink writes the source reads, whatever the fields hold.
func FuzzCSVRoundTrip(f *testing.F) {
	f.Add("a", "b,c", `"`)
	f.Add("", "", "")
	f.Add(`\.`, " x", "line\nline")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, row := range [][]string{{a}, {a, b, c}} {
			content := appendCSV(nil, row)
			if err := os.WriteFile(filepath.Join(dir, "f"), content, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := drainAll(t, CSVRows(dir, func(row []string) ([]string, error) { return slices.Clone(row), nil }, NoHeader()))
			want := make([]string, len(row))
			for i, field := range row {
				want[i] = strings.ReplaceAll(field, "\r\n", "\n") // encoding/csv's loss
			}
			if err != nil || len(got) != 1 || !slices.Equal(got[0], want) && !strings.HasPrefix(a, "\ufeff") {
				t.Errorf("%q is written as %q and read as %q, %v", row, content, got, err)
			}
		}
	})
}

func TestCSVStructRoundTrip(t *testing.T) {
	want := []csvRecord{
		{Name: "a,\"b\"\nc", N: -7, U: 9, F: 0.1, At: time.Unix(1e9, 5).UTC(), embedded: embedded{Flag: true}},
		{Name: ""},
	}
	fields, err := csvFields(reflect.TypeFor[csvRecord]())
	if err != nil {
		t.Fatal(err)
	}
	format := csvStructFormat[csvRecord](fields)
	content, encode := slices.Clone(format.header), format.newEncoder()
	for _, r := range want {
		if content, err = encode(content, r); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": string(content)})
	if got, err := drainAll(t, CSV[csvRecord](dir)); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s\nis read as %+v, %v, want %+v", content, got, err, want)
	}
}
