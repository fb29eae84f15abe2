package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A detail starts with four bytes of magic and two of version (big-endian). Then come the table of the nodes' names and
// the subtasks, each as a mask of the fields that are not zero and the values of those: the breakdown of a few dozen
// subtasks has to fit into an entry of the Raft log, and that of ten thousand is written at every checkpoint.
const (
	detailMagic   = "CRND"
	detailVersion = 1
	detailHeader  = len(detailMagic) + 2
)

var (
	// ErrNotDetail says that the bytes are not a checkpoint's detail at all, or are damaged.
	ErrNotDetail = errors.New("not a checkpoint detail")
	// ErrDetailVersion says that a newer version of Cairn wrote the detail.
	ErrDetailVersion = errors.New("checkpoint detail of an unsupported version")
)

// The bits of a subtask's mask that are values by themselves. Bit n+2 says that field n follows.
const (
	maskAcknowledged = 1 << iota
	maskFinished
	maskBits = iota
)

// fields returns the numbers of a subtask in the order in which they are stored. The order is the format.
func (s *SubtaskDetail) fields() []*int64 {
	m := &s.Metrics
	return []*int64{
		&s.AckMillis, &s.StateSize, &m.StartDelayMillis, &m.AlignmentMillis, &m.SyncMillis, &m.AsyncMillis, &m.UploadMillis,
		&m.CheckpointedBytes, &m.ProcessedBytes, &m.PersistedBytes,
	}
}

// EncodeDetail returns the persisted form of d. Equal details give equal bytes.
func EncodeDetail(d Detail) []byte {
	b := binary.BigEndian.AppendUint16([]byte(detailMagic), detailVersion)
	nodes := d.nodes()
	b = binary.AppendUvarint(b, uint64(len(nodes)))
	for _, n := range nodes {
		b = binary.AppendUvarint(b, uint64(len(n)))
		b = append(b, n...)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Subtasks)))
	for _, s := range d.Subtasks {
		node, _ := slices.BinarySearch(nodes, s.Node)
		b = s.append(b, int64(node))
	}
	return b
}

// nodes returns the nodes that the detail names, in order, each once.
func (d Detail) nodes() []NodeID {
	var nodes []NodeID
	for i, s := range d.Subtasks {
		if i == 0 || s.Node != d.Subtasks[i-1].Node {
			nodes = append(nodes, s.Node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

func (s SubtaskDetail) append(b []byte, node int64) []byte {
	mask := uint64(0)
	if s.Acknowledged {
		mask |= maskAcknowledged
	}
	if s.Finished {
		mask |= maskFinished
	}
	phase := int64(s.Phase)
	values := append(s.fields(), &node, &phase)
	for n, v := range values {
		if *v != 0 {
			mask |= 1 << (n + maskBits)
		}
	}
	b = binary.AppendUvarint(b, mask)
	for _, v := range values {
		if *v != 0 {
			b = binary.AppendVarint(b, *v)
		}
	}
	return b
}

// DecodeDetail reads what EncodeDetail wrote. It returns an error that wraps ErrNotDetail or ErrDetailVersion for
// anything else: every detail has one encoding.
func DecodeDetail(b []byte) (Detail, error) {
	if len(b) < detailHeader || string(b[:len(detailMagic)]) != detailMagic {
		return Detail{}, fmt.Errorf("%w: %d bytes without its magic", ErrNotDetail, len(b))
	}
	if v := binary.BigEndian.Uint16(b[len(detailMagic):]); v != detailVersion {
		return Detail{}, fmt.Errorf("%w: %d, this build reads %d", ErrDetailVersion, v, detailVersion)
	}
	r := detailReader{rest: b[detailHeader:]}
	d := r.detail()
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes too many", len(r.rest))
	}
	if r.err != nil {
		return Detail{}, r.err
	}
	return d, nil
}

// detailReader takes values off the front of rest. After the first error it yields zeros.
type detailReader struct {
	rest []byte
	err  error
}

func (r *detailReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrNotDetail, fmt.Sprintf(format, args...))
	}
	r.rest = nil
}

// took removes a number of n bytes that the varint functions have read. They also read longer forms than the shortest,
// which end in a zero byte.
func (r *detailReader) took(n int) bool {
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail("a number is cut off or too long, %d bytes before the end", len(r.rest))
		return false
	}
	r.rest = r.rest[n:]
	return true
}

func (r *detailReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if !r.took(n) {
		return 0
	}
	return v
}

func (r *detailReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if !r.took(n) {
		return 0
	}
	return v
}

// count returns the number of things that follow, each at least a byte long.
func (r *detailReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail("%d of something in %d bytes", n, len(r.rest))
		return 0
	}
	return int(n)
}

func (r *detailReader) detail() Detail {
	nodes := make([]NodeID, r.count())
	for i := range nodes {
		length := r.count()
		nodes[i], r.rest = NodeID(r.rest[:length]), r.rest[length:]
		if i > 0 && nodes[i-1] >= nodes[i] {
			r.fail("node %q is out of order", nodes[i])
			break
		}
	}
	var d Detail
	used := make([]bool, len(nodes))
	if n := r.count(); n > 0 {
		d.Subtasks = make([]SubtaskDetail, n)
	}
	for i := range d.Subtasks {
		node := r.subtask(&d.Subtasks[i])
		if node < 0 || node >= int64(len(nodes)) {
			r.fail("subtask %d is on node %d of %d", i, node, len(nodes))
			break
		}
		d.Subtasks[i].Node, used[node] = nodes[node], true
	}
	if slices.Contains(used, false) {
		r.fail("it names a node without subtasks")
	}
	return d
}

// subtask reads one subtask and returns the position of its node in the table.
func (r *detailReader) subtask(s *SubtaskDetail) (node int64) {
	var phase int64
	values := append(s.fields(), &node, &phase)
	mask := r.uvarint()
	s.Acknowledged, s.Finished = mask&maskAcknowledged != 0, mask&maskFinished != 0
	for n, v := range values {
		if mask&(1<<(n+maskBits)) == 0 {
			continue
		}
		if *v = r.varint(); *v == 0 {
			r.fail("a subtask has a value of zero")
		}
	}
	if mask>>(len(values)+maskBits) != 0 || phase != int64(Phase(phase)) {
		r.fail("a subtask with the mask %#x and phase %d", mask, phase)
	}
	s.Phase = Phase(phase)
	return node
}
