package coordinator

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/fsm"
)

// handLed is a replica whose leader is the test: it sends each of Raft's messages itself, and so in any order.
type handLed struct {
	t *testing.T
	*replica
	leader *raft.InmemTransport
}

// newHandLed starts a replica without state that keeps two entries when it compacts its log, and only does so when it
// is told to. It has to be shut down.
func newHandLed(t *testing.T, stores Stores) *handLed {
	t.Helper()
	_, transport := raft.NewInmemTransportWithTimeout("c1", time.Minute)
	_, leader := raft.NewInmemTransportWithTimeout("c2", time.Minute)
	leader.Connect("c1", transport)
	r, err := newReplica(Config{
		ID: "c1", Raft: DefaultRaftTiming(), Compaction: Compaction{Threshold: 1000, Interval: time.Hour, Trailing: 2},
	}, Deps{Stores: stores, Transport: transport}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &handLed{t: t, replica: r, leader: leader}
}

func (h *handLed) stop() {
	if err := h.shutdown(); err != nil {
		h.t.Error(err)
	}
}

var handLedHeader = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("c2"), Addr: []byte("c2")}

// install sends a snapshot of the given index, and returns the answer and how many bytes of it nobody read.
func (h *handLed) install(index uint64) (err error, unread int) {
	h.t.Helper()
	data, err := fsm.EncodeSnapshot(fsm.NewState())
	if err != nil {
		h.t.Fatal(err)
	}
	reader := bytes.NewReader(data)
	members := raft.Configuration{Servers: []raft.Server{
		{ID: "c2", Address: "c2"}, {ID: "c1", Address: "c1", Suffrage: raft.Nonvoter},
	}}
	var answer raft.InstallSnapshotResponse
	err = h.leader.InstallSnapshot("c1", "c1", &raft.InstallSnapshotRequest{
		RPCHeader: handLedHeader, SnapshotVersion: raft.SnapshotVersionMax, Term: 1, LastLogIndex: index, LastLogTerm: 1,
		Configuration: raft.EncodeConfiguration(members), ConfigurationIndex: 1, Size: int64(len(data)),
	}, &answer, reader)
	if err == nil && !answer.Success {
		h.t.Fatalf("the snapshot at %d was rejected without a reason", index)
	}
	return err, reader.Len()
}

// What a closed gate refuses is read all the same: the bytes of a snapshot that were left on the connection would be
// taken for the next message.
func TestClosedGateReadsWhatItRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandLed(t, blankStores())
		defer h.stop()
		if err, unread := h.install(5); !errors.Is(err, errNotAdmitted) || unread > 0 || h.raft.AppliedIndex() != 0 {
			t.Errorf("the closed gate: applied %d, %d bytes unread, %v", h.raft.AppliedIndex(), unread, err)
		}
	})
}
