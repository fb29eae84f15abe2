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

// install sends a snapshot of the given index, and returns how many bytes of it nobody read, and the answer.
func (h *handLed) install(index uint64) (unread int, err error) {
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
	return reader.Len(), err
}

// mustInstall sends a snapshot that has to be taken.
func (h *handLed) mustInstall(index uint64) {
	h.t.Helper()
	if _, err := h.install(index); err != nil || h.raft.AppliedIndex() != index {
		h.t.Fatalf("after the snapshot at %d: applied %d, %v", index, h.raft.AppliedIndex(), err)
	}
}

// appendTo sends the entries after one, up to the last, which is committed.
func (h *handLed) appendTo(after, last uint64) {
	h.t.Helper()
	request := raft.AppendEntriesRequest{
		RPCHeader: handLedHeader, Term: 1, PrevLogEntry: after, PrevLogTerm: 1, LeaderCommitIndex: last,
	}
	for i := after + 1; i <= last; i++ {
		request.Entries = append(request.Entries, &raft.Log{Index: i, Term: 1, Type: raft.LogBarrier})
	}
	var answer raft.AppendEntriesResponse
	if err := h.leader.AppendEntries("c1", "c1", &request, &answer); err != nil || !answer.Success {
		h.t.Errorf("appending %d to %d: %+v, %v", after+1, last, answer, err)
	}
}

// compact puts a snapshot of the replica's own in the place of its log, except for the last two entries.
func (h *handLed) compact() {
	h.t.Helper()
	synctest.Wait() // until what is committed has got to the state machine
	if err := h.raft.Snapshot().Error(); err != nil {
		h.t.Fatal(err)
	}
}

// A leader that has removed this replica and added it anew may send a snapshot once more for the one that it removed,
// seconds later, when the replica has long gone on. Taking it would put the replica back behind entries that are no
// longer in its log, and end it at the next one.
func TestReplicaDoesNotGoBackToAnOlderSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandLed(t, blankStores())
		defer h.stop()
		h.gate.open()
		h.mustInstall(5)
		if _, err := h.install(4); !errors.Is(err, errOutdated) {
			t.Errorf("an older snapshot before any entry: %v", err)
		}
		h.appendTo(5, 20)
		h.compact()
		unread, err := h.install(10)
		if !errors.Is(err, errOutdated) || unread > 0 || h.raft.AppliedIndex() != 20 {
			t.Fatalf("after the older snapshot: applied %d, %d bytes unread, %v", h.raft.AppliedIndex(), unread, err)
		}
		h.appendTo(20, 21)
		h.mustInstall(21) // once more where it is: raft puts right by that what a snapshot of its own has put back
		h.mustInstall(30)
		h.appendTo(30, 31)
		if h.isOutdated(&raft.InstallSnapshotRequest{LastLogIndex: 7, LastLogTerm: 2}) {
			t.Error("a snapshot of a newer term than all that is here is refused")
		}
	})
}

// heldLog is a log store that is slow: StoreLogs waits until it is released.
type heldLog struct {
	raft.LogStore
	released chan struct{}
}

func (l heldLog) StoreLogs(entries []*raft.Log) error {
	<-l.released
	return l.LogStore.StoreLogs(entries)
}

// The older snapshot may come while the entries that make it the older one are still being written.
func TestOlderSnapshotIsJudgedAfterWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := blankStores()
		held := heldLog{stores.Log, make(chan struct{})}
		stores.Log = held
		h := newHandLed(t, stores)
		defer h.stop()
		h.gate.open()
		h.mustInstall(5)
		appended, installed := make(chan struct{}), make(chan error, 1)
		go func() {
			defer close(appended)
			h.appendTo(5, 20)
		}()
		synctest.Wait() // until the entries are being written
		go func() {
			_, err := h.install(10)
			installed <- err
		}()
		synctest.Wait() // until the snapshot is there too
		close(held.released)
		<-appended
		if err := <-installed; !errors.Is(err, errOutdated) {
			t.Errorf("the older snapshot: %v", err)
		}
	})
}

// What a closed gate refuses is read all the same: the bytes of a snapshot that were left on the connection would be
// taken for the next message.
func TestClosedGateReadsWhatItRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandLed(t, blankStores())
		defer h.stop()
		if unread, err := h.install(5); !errors.Is(err, errNotAdmitted) || unread > 0 || h.raft.AppliedIndex() != 0 {
			t.Errorf("the closed gate: applied %d, %d bytes unread, %v", h.raft.AppliedIndex(), unread, err)
		}
	})
}
