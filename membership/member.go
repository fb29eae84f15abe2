package membership

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"cairn/checkpoint"
)

// ProtocolVersion is the version of what members of Cairn say to each other, in gossip and over RPC.
// Members of different versions refuse each other.
const ProtocolVersion uint8 = 1

// Role says what a member does.
type Role string

const (
	// RoleCoordinator is a replica of the checkpoint coordinator.
	RoleCoordinator Role = "coordinator"
	// RoleNode is a task node.
	RoleNode Role = "node"
)

// State is what this process knows of a member.
type State uint8

const (
	// StateAlive members answer, or have been silent too briefly to be given up.
	StateAlive State = 1
	// StateLeft members have said goodbye.
	StateLeft State = 2
	// StateFailed members stopped answering without a goodbye.
	StateFailed State = 3
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case StateAlive:
		return "alive"
	case StateLeft:
		return "left"
	case StateFailed:
		return "failed"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Member is one process of the cluster as its gossip describes it.
type Member struct {
	ID              checkpoint.NodeID
	Role            Role
	RPCAddr         string                 // host:port of Raft and gRPC; empty until it is known
	GossipAddr      string                 // IP:port, as others reach it
	HTTPAddr        string                 // host:port, may be empty
	Incarnation     checkpoint.Incarnation // never zero
	Started         checkpoint.Timestamp   // when the process started, by its own clock
	BootstrapExpect int                    // coordinators: replicas to wait for before the first boot; 0 for nodes
	Version         string                 // of the binary, for people
	Zone            string                 // what a node fails together with, empty when it was told none
	ProtocolVersion uint8
	State           State
}

// process returns the name of the run of the member that m describes.
func (m Member) process() process { return process{ID: m.ID, Incarnation: m.Incarnation} }

// validate checks what a member says of itself.
func (m Member) validate() error {
	if err := validateID(m.ID); err != nil {
		return err
	}
	switch {
	case m.Role != RoleCoordinator && m.Role != RoleNode:
		return fmt.Errorf("role %q: allowed are %s and %s", m.Role, RoleCoordinator, RoleNode)
	case m.Incarnation == 0:
		return fmt.Errorf("incarnation 0 of %s: draw a random one at start-up", m.ID)
	case m.BootstrapExpect < 0:
		return fmt.Errorf("bootstrap_expect %d of %s: must not be negative", m.BootstrapExpect, m.ID)
	case m.Role == RoleNode && m.BootstrapExpect != 0:
		return fmt.Errorf("bootstrap_expect %d of %s: only coordinators bootstrap, leave it 0", m.BootstrapExpect, m.ID)
	case m.Zone != "":
		return ValidateZone(m.Zone)
	}
	return nil
}

const maxZoneLen = 64

// ValidateZone returns an error unless zone can name a zone: it has the characters of a node ID.
func ValidateZone(zone string) error {
	if zone == "" || len(zone) > maxZoneLen {
		return fmt.Errorf("zone of %d characters: must have 1 to %d", len(zone), maxZoneLen)
	}
	if c, found := unsafeCharacter(zone); found {
		return fmt.Errorf("zone %q: %q is not allowed: only letters, digits, '.', '_' and '-' are", zone, c)
	}
	return nil
}

const maxIDLen = 128

// validateID keeps IDs to characters that are safe in process names, file names, URLs and logs.
func validateID(id checkpoint.NodeID) error {
	if id == "" || len(id) > maxIDLen {
		return fmt.Errorf("node ID of %d characters: must have 1 to %d", len(id), maxIDLen)
	}
	if _, found := unsafeCharacter(string(id)); found {
		return fmt.Errorf("node ID %q: only letters, digits, '.', '_' and '-' are allowed", id)
	}
	return nil
}

// unsafeCharacter returns the first character of a name that is none of the safe ones, if there is one.
func unsafeCharacter(name string) (c rune, found bool) {
	for _, c := range name {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("._-", c) {
			return c, true
		}
	}
	return 0, false
}

// compareMembers orders by role, then ID: the order of listings.
func compareMembers(a, b Member) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.ID, b.ID))
}

// process names one run of a member. Its String form is memberlist's node name.
type process struct {
	ID          checkpoint.NodeID
	Incarnation checkpoint.Incarnation
}

// String returns "ID#incarnation", the incarnation as 16 hexadecimal digits.
func (p process) String() string { return fmt.Sprintf("%s#%016x", p.ID, uint64(p.Incarnation)) }

// parseProcess reads the form that String writes, and nothing else.
func parseProcess(s string) (process, error) {
	id, digits, _ := strings.Cut(s, "#")
	inc, err := strconv.ParseUint(digits, 16, 64)
	p := process{ID: checkpoint.NodeID(id), Incarnation: checkpoint.Incarnation(inc)}
	if err != nil || p.String() != s {
		return process{}, fmt.Errorf("process name %q: want ID#incarnation with 16 hexadecimal digits", s)
	}
	if err := validateID(p.ID); err != nil {
		return process{}, fmt.Errorf("process name %q: %w", s, err)
	}
	return p, nil
}
