package membership

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"

	"cairn/checkpoint"
)

// metaVersion is the first byte of the metadata. The second is the protocol version, in every version.
const metaVersion = 1

var (
	// ErrProtocolVersion says that a member speaks another version of the protocol.
	ErrProtocolVersion = errors.New("incompatible protocol version")
	// ErrMetadata says that a member's metadata is damaged or foreign, or too long to be sent.
	ErrMetadata = errors.New("bad member metadata")
)

// Roles in the metadata. The numbers are part of the protocol.
const (
	metaCoordinator = 1
	metaNode        = 2
)

// encodeMeta returns what a member tells the others about itself: all of m but its gossip address, which
// memberlist carries, and its state. It fails when that is more than memberlist transports.
//
//	version, protocol, role: one byte each
//	incarnation: 8 bytes, big endian
//	started, bootstrap expect: uvarint
//	ID, RPC address, HTTP address, version: uvarint length and bytes
//	zone: the same, only where there is one
//
// A build from before there were zones refuses a member with one. So a cluster is upgraded before zones are given.
func encodeMeta(m Member) ([]byte, error) {
	role := byte(metaNode)
	if m.Role == RoleCoordinator {
		role = metaCoordinator
	}
	b := []byte{metaVersion, m.ProtocolVersion, role}
	b = binary.BigEndian.AppendUint64(b, uint64(m.Incarnation))
	b = binary.AppendUvarint(b, uint64(m.Started))
	b = binary.AppendUvarint(b, uint64(m.BootstrapExpect))
	for _, s := range []string{string(m.ID), m.RPCAddr, m.HTTPAddr, m.Version} {
		b = appendString(b, s)
	}
	if m.Zone != "" {
		b = appendString(b, m.Zone)
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("%w: %s needs %d bytes, the limit is %d: shorten its ID, addresses, version or zone",
			ErrMetadata, m.ID, len(b), memberlist.MetaMaxSize)
	}
	return b, nil
}

// decodeMeta reads what encodeMeta wrote; the result lacks GossipAddr and State. It returns an error that
// wraps ErrMetadata, or ErrProtocolVersion when only the version tells that the sender is not one of ours.
func decodeMeta(b []byte) (Member, error) {
	if len(b) < 2 {
		return Member{}, fmt.Errorf("%w: %d bytes", ErrMetadata, len(b))
	}
	if b[1] != ProtocolVersion {
		return Member{}, fmt.Errorf("%w: it speaks %d, this process speaks %d", ErrProtocolVersion, b[1], ProtocolVersion)
	}
	if b[0] != metaVersion {
		return Member{}, fmt.Errorf("%w: format %d, this process reads %d", ErrMetadata, b[0], metaVersion)
	}
	d := decoder{rest: b[2:]}
	role := d.byte()
	m := Member{
		ProtocolVersion: b[1],
		Incarnation:     checkpoint.Incarnation(d.uint64()),
		Started:         checkpoint.Timestamp(d.uvarint()),
		BootstrapExpect: int(d.uvarint()),
		ID:              checkpoint.NodeID(d.string()),
		RPCAddr:         d.string(),
		HTTPAddr:        d.string(),
		Version:         d.string(),
	}
	if len(d.rest) > 0 {
		m.Zone = d.string()
		d.failed = d.failed || m.Zone == "" // no zone is told by leaving it out
	}
	switch role {
	case metaCoordinator:
		m.Role = RoleCoordinator
	case metaNode:
		m.Role = RoleNode
	}
	if d.failed || len(d.rest) != 0 {
		return Member{}, fmt.Errorf("%w: truncated, or followed by %d more bytes", ErrMetadata, len(d.rest))
	}
	if err := m.validate(); err != nil {
		return Member{}, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	return m, nil
}

// memberOf reads the member that memberlist's node describes, as alive. It refuses nodes whose name does
// not follow from their metadata: they are not processes of Cairn.
func memberOf(n *memberlist.Node) (Member, error) {
	m, err := decodeMeta(n.Meta)
	if err != nil {
		return Member{}, fmt.Errorf("member %s at %s: %w", n.Name, n.Address(), err)
	}
	if name := m.process().String(); name != n.Name {
		return Member{}, fmt.Errorf("member %s at %s: %w: it describes %s", n.Name, n.Address(), ErrMetadata, name)
	}
	m.GossipAddr = n.Address()
	m.State = StateAlive
	return m, nil
}
