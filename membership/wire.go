package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// decoder reads the package's binary forms. After the first read beyond the end it returns zero values
// only and failed is set, so that callers check once.
type decoder struct {
	rest   []byte
	failed bool
}

// take returns the next n bytes.
func (d *decoder) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// uvarint refuses forms that are longer than needed, so that equal values have equal bytes.
func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.failed || n <= 0 || n > 1 && d.rest[n-1] == 0 {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// messageKind tells apart what members say to each other besides memberlist's own messages. The numbers
// are part of the protocol.
type messageKind uint8

const (
	// msgLeaving: process fields[0] is about to leave; acknowledge to the gossip address fields[1].
	msgLeaving messageKind = 1
	// msgLeavingAck: process fields[1] knows that process fields[0] is leaving.
	msgLeavingAck messageKind = 2
	// msgLeft: the processes in fields have left. Exchanged whenever two members synchronise.
	msgLeft messageKind = 3
)

const messageVersion = 1

var errMessage = errors.New("bad gossip message")

// message is what a member sends through memberlist's user messages and state exchange.
type message struct {
	kind   messageKind
	fields []string
}

// encode returns version, kind, the number of fields, and each field with its length.
func (m message) encode() []byte {
	b := binary.AppendUvarint([]byte{messageVersion, byte(m.kind)}, uint64(len(m.fields)))
	for _, f := range m.fields {
		b = appendString(b, f)
	}
	return b
}

// decodeMessage reads what encode wrote and checks that the kind has the fields it needs. The result does
// not refer to b, which memberlist uses again.
func decodeMessage(b []byte) (message, error) {
	d := decoder{rest: b}
	if version := d.byte(); version != messageVersion {
		return message{}, fmt.Errorf("%w: version %d, this process reads %d", errMessage, version, messageVersion)
	}
	m := message{kind: messageKind(d.byte())}
	n := d.uvarint()
	if n > uint64(len(d.rest)) { // each field takes a byte at least: never allocate for a made-up count
		return message{}, fmt.Errorf("%w: %d fields in %d bytes", errMessage, n, len(d.rest))
	}
	for range n {
		m.fields = append(m.fields, d.string())
	}
	if d.failed || len(d.rest) != 0 {
		return message{}, fmt.Errorf("%w: truncated, or followed by %d more bytes", errMessage, len(d.rest))
	}
	return m, m.validate()
}

func (m message) validate() error {
	switch m.kind {
	case msgLeaving, msgLeavingAck:
		if len(m.fields) != 2 {
			return fmt.Errorf("%w: kind %d with %d fields, want 2", errMessage, m.kind, len(m.fields))
		}
		return nil
	case msgLeft:
		return nil
	}
	return fmt.Errorf("%w: unknown kind %d", errMessage, m.kind)
}
