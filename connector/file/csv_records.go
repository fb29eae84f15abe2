package file

import (
	"fmt"

	"cairn/dataflow"
)

// csvRecords turns records of CSV into those of the stream.
type csvRecords[T any] struct {
	*csvReader
	bind   csvBinder[T]
	decode csvDecoder[T] // for the open file
}

// csvBinder makes the decoder of a file whose header it is given; without one, columns is nil.
type csvBinder[T any] func(columns []string) (csvDecoder[T], error)

// csvDecoder makes a record of a row, which is valid until it returns. Its strings stay.
type csvDecoder[T any] func(row []string) (T, error)

func (r *csvRecords[T]) open(s split) (err error) {
	if err := r.csvReader.open(s); err != nil {
		return err
	}
	if r.columns == nil && !r.format.noHeader {
		return nil // there is no record either
	}
	if r.decode, err = r.bind(r.columns); err != nil {
		return dataflow.Permanent(fmt.Errorf("%s: %w", r.name(), err))
	}
	return nil
}

func (r *csvRecords[T]) next() (record T, err error) {
	row, err := r.csvReader.next()
	if err != nil {
		return record, err
	}
	start := r.source.record
	if record, err = r.decode(row); err != nil {
		return record, newPoison(r.name(), r.file, start, err)
	}
	return record, nil
}
