package coordinator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/fsm"
)

// saved saves a snapshot through a follower.
func (c *testCluster) saved() ([]byte, api.SnapshotInfo) {
	c.t.Helper()
	var file bytes.Buffer
	info, err := c.follower().Service().SaveSnapshot(context.Background(), &file)
	if err != nil {
		c.t.Fatal(err)
	}
	return file.Bytes(), info
}

func (c *testCluster) restore(file []byte) error {
	_, err := c.follower().Service().RestoreSnapshot(context.Background(), bytes.NewReader(file))
	return err
}

// job returns a job as the leader has it.
func (c *testCluster) job(name string) *fsm.Job {
	c.t.Helper()
	return c.leader("").replica.machine.JobByName(name)
}

// runningCluster runs a job that has completed three checkpoints.
func runningCluster(t *testing.T) *testCluster {
	t.Helper()
	c := newTestCluster(t, "n1", "n2")
	c.awaitStatus("two nodes", twoAlive)
	submitTestJob(c)
	c.awaitStatus("three checkpoints", completedAtLeast(3))
	return c
}

// I1, I2: after an older snapshot is restored, no checkpoint ID and no attempt is used again, and what completed since
// the snapshot has still completed.
func TestI1_RestoreNeverReusesAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := runningCluster(t)
		defer c.stop()
		file, info := c.saved()
		if info.Jobs != 1 || info.Checkpoints == 0 || info.Size != int64(len(file)) {
			t.Errorf("saved: %+v, %d bytes", info, len(file))
		}
		whole := sha256.Sum256(file)
		if inspected, err := InspectSnapshot(bytes.NewReader(file)); err != nil || inspected != info || info.SHA256 != hex.EncodeToString(whole[:]) {
			t.Errorf("inspected %+v, %v; saved %+v", inspected, err, info)
		}
		atSave := c.job("test").LastID
		c.awaitStatus("more checkpoints", completedAtLeast(10))
		before := c.job("test")
		if err := c.restore(file); err != nil {
			t.Fatal(err)
		}
		after := c.job("test")
		if after.LastID < before.LastID || after.LastID <= atSave || after.LastSuccess < before.LastSuccess || len(after.Pending) > 0 {
			t.Errorf("after the restore: last ID %d, last success %d; before it %d, %d", after.LastID, after.LastSuccess, before.LastID, before.LastSuccess)
		}
		restored := after.Counters.Completed
		c.within(5*time.Second, "the job to go on", func() bool { return c.job("test").Counters.Completed >= restored+3 })
		now := c.job("test")
		if now.Attempt <= before.Attempt || now.RestoredFrom < before.LastSuccess {
			t.Errorf("attempt %d from checkpoint %d, before the restore attempt %d had completed %d", now.Attempt, now.RestoredFrom,
				before.Attempt, before.LastSuccess)
		}
		for _, n := range c.fabric.nodes {
			n.mu.Lock()
			if !slices.IsSorted(n.notified) {
				t.Errorf("node %s was notified of %v", n.id, n.notified)
			}
			n.mu.Unlock()
		}
		// Every replica has it, and it outlives the leader.
		c.crash(c.leader("").cfg.ID)
		c.within(5*time.Second, "the next leader", func() bool { return c.leading("") != nil })
		c.within(5*time.Second, "checkpoints under it", func() bool { return c.job("test").LastID > now.LastID })
	})
}

// heldSnapshots is a store whose next snapshot does not end before it is released.
type heldSnapshots struct {
	raft.SnapshotStore
	begun, released chan struct{} // closed by the store, and by the test
}

type heldSink struct {
	raft.SnapshotSink
	store *heldSnapshots
}

func (s *heldSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(v, index, term, c, ci, t)
	select {
	case <-s.begun:
		return sink, err
	default:
		close(s.begun)
		return heldSink{sink, s}, err
	}
}

func (s heldSink) Close() error {
	<-s.store.released
	return s.SnapshotSink.Close()
}

// A snapshot of the leader's own that is under way when a restore comes does not make the leader forget the restored
// one: a follower that was away gets it, and goes on from there.
func TestRestoreWaitsForTheSnapshotUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := runningCluster(t)
		defer c.stop()
		file, _ := c.saved()
		leader, away := c.leader(""), c.follower()
		c.cut(away)
		held := leader.replica.stores.Snapshots.(*heldSnapshots)
		held.begun, held.released = make(chan struct{}), make(chan struct{})
		c.running.Go(func() { leader.replica.raft.Snapshot().Error() })
		<-held.begun
		restored := make(chan error, 1)
		c.running.Go(func() {
			_, err := leader.Service().RestoreSnapshot(context.Background(), bytes.NewReader(file))
			restored <- err
		})
		time.Sleep(time.Second) // virtual time: what can happen while the snapshot is under way has happened
		close(held.released)
		if err := <-restored; err != nil {
			t.Fatal(err)
		}
		c.connect(away)
		before := c.job("test").LastID
		c.within(10*time.Second, "the follower that was away to go on with the others", func() bool {
			j := away.replica.machine.JobByName("test")
			return j != nil && j.LastID > before+3
		})
	})
}

// A job that the snapshot does not know ends, and keeps its checkpoints; one that was cancelled since comes back.
func TestRestoreBringsTheJobsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := runningCluster(t)
		defer c.stop()
		file, _ := c.saved()
		old := c.job("test").ID
		for _, n := range c.fabric.nodes {
			n.obeyCancel()
		}
		if _, err := c.leader("").Service().CancelJob(context.Background(), "test"); err != nil {
			t.Fatal(err)
		}
		c.within(20*time.Second, "the end of the job", func() bool { return c.job("test").Status.Terminal() })
		submitTestJob(c) // of the same name
		c.within(5*time.Second, "its checkpoints", func() bool {
			j := c.job("test")
			return j.ID != old && j.Counters.Completed >= 3
		})
		young := c.job("test")
		if err := c.restore(file); err != nil {
			t.Fatal(err)
		}
		j := c.leader("").replica.machine.Job(young.ID)
		if j.Status != fsm.JobFailed || len(j.Completed) == 0 || !strings.Contains(j.Failure, "snapshot") {
			t.Errorf("the job that the snapshot does not know is %s with %d checkpoints: %s", j.Status, len(j.Completed), j.Failure)
		}
		c.within(5*time.Second, "the old job to run", func() bool {
			j := c.job("test")
			return j.ID == old && j.Status == fsm.JobRunning && j.Attempt > 1
		})
	})
}

// A cluster that never knew the job cannot know how far its counters had come: they leap.
func TestI1_RestoreOnANewClusterLeaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := runningCluster(t)
		file, _ := first.saved()
		lastID := first.job("test").LastID
		first.stop()
		c := emptyCluster(t)
		c.store = first.store
		c.startThree("n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		if err := c.restore(file); err != nil {
			t.Fatal(err)
		}
		c.within(5*time.Second, "the job to go on", func() bool { return len(c.job("test").Completed) > 0 && c.job("test").Attempt > fsm.AttemptLeap+1 })
		c.within(5*time.Second, "checkpoints", func() bool { return c.job("test").LastSuccess > lastID+fsm.IDLeap })
	})
}

// Bytes that are not a whole snapshot of a version that is understood change nothing, and the error says why.
func TestRestoreRefusesBadBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := runningCluster(t)
		defer c.stop()
		good, _ := c.saved()
		before := c.job("test")
		flipped := slices.Clone(good)
		flipped[len(flipped)/2] ^= 1
		newerFile := slices.Clone(good)
		newerFile[len(fileMagic)+1] = 99
		state := slices.Clone(good[fileHeader : len(good)-sha256.Size])
		newerState := slices.Clone(state)
		binary.BigEndian.PutUint16(newerState[4:], 999)
		for name, test := range map[string]struct {
			file []byte
			want error
		}{
			"empty":            {nil, errForeignSnapshot},
			"foreign":          {[]byte("PK\x03\x04 something else altogether"), errForeignSnapshot},
			"without envelope": {state, errForeignSnapshot},
			"header cut":       {good[:10], errCorruptSnapshot},
			"truncated":        {good[:len(good)-1], errCorruptSnapshot},
			"too long":         {append(slices.Clone(good), 0), errCorruptSnapshot},
			"one bit":          {flipped, errCorruptSnapshot},
			"state is garbage": {encodeSnapshotFile(1, []byte("CRNF\x00\x02garbage")), errCorruptSnapshot},
			"newer envelope":   {newerFile, errNewerSnapshot},
			"newer state":      {encodeSnapshotFile(1, newerState), errNewerSnapshot},
		} {
			if _, err := InspectSnapshot(bytes.NewReader(test.file)); !errors.Is(err, test.want) {
				t.Errorf("%s: inspected: %v, want %v", name, err, test.want)
			}
			err := c.restore(test.file)
			if api.CodeOf(err) != api.Invalid || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s: restored: %v", name, err)
			}
		}
		if _, err := c.follower().Service().RestoreSnapshot(t.Context(), io.MultiReader(bytes.NewReader(good[:50]), brokenStream{})); err == nil {
			t.Error("a stream that broke off was restored")
		}
		if after := c.job("test"); after.Attempt != before.Attempt || after.Status != fsm.JobRunning {
			t.Errorf("the job is %s in attempt %d", after.Status, after.Attempt)
		}
	})
}

// A file of version 1 stays readable. It was put together independently of this package.
func TestSnapshotFileGolden(t *testing.T) {
	file, err := os.ReadFile("testdata/snapshot_file_v1.bin")
	if err != nil {
		t.Fatal(err)
	}
	state, info, err := decodeSnapshotFile(file)
	if err != nil || info.Term != 7 || info.Version != 2 || info.Jobs == 0 || info.Checkpoints == 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	if !bytes.Equal(encodeSnapshotFile(7, state), file) {
		t.Error("the form has changed without a new version")
	}
}

type brokenStream struct{}

func (brokenStream) Read([]byte) (int, error) { return 0, fmt.Errorf("connection reset") }

// The log is cut off behind a snapshot of the state, and a coordinator that joins then starts from it: with all
// counters, so that no ID is used twice when it leads.
func TestLogIsCompactedAndNewcomerStartsFromTheSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		compact := func(cfg *Config) { cfg.Compaction = Compaction{Threshold: 50, Interval: time.Second, Trailing: 10} }
		c := newConfiguredCluster(t, compact, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		leader := c.leader("")
		c.within(2*time.Minute, "300 checkpoints", func() bool { return c.job("test").Counters.Completed >= 300 })
		for id, coord := range c.coordinators {
			first, err := coord.stores.Log.FirstIndex()
			if err != nil {
				t.Fatal(err)
			}
			if last := coord.replica.raft.LastIndex(); last < 600 || last-first > 250 {
				t.Errorf("%s keeps the log from %d to %d", id, first, last)
			}
		}
		newcomer := c.start("c4", "c4", blankStores())
		c.gossip()
		c.within(DefaultUpkeep().Stabilization+lag, "its vote", func() bool {
			return strings.Contains(c.members(), "c4@c4") && !strings.Contains(c.members(), "no vote")
		})
		if snapshots, err := newcomer.stores.Snapshots.List(); err != nil || len(snapshots) == 0 {
			t.Errorf("the newcomer has no snapshot: %v, %v", snapshots, err)
		}
		if first, err := newcomer.stores.Log.FirstIndex(); err != nil || first < 100 {
			t.Errorf("the newcomer got the log from %d on: %v", first, err)
		}
		before := leader.replica.jobs()[0]
		if err := leader.replica.transfer(t.Context(), "c4", time.Second); err != nil {
			t.Fatal(err)
		}
		c.within(5*time.Second, "the newcomer to lead", func() bool { return c.leading("") == newcomer })
		c.within(5*time.Second, "checkpoints under it", func() bool { return c.job("test").Counters.Completed > before.Counters.Completed+3 })
		after := newcomer.replica.jobs()[0]
		if after.Attempt != 1 || after.Counters.Failed != 0 || uint64(after.LastID) < after.Counters.Completed {
			t.Errorf("under the newcomer: attempt %d, last ID %d, %+v", after.Attempt, after.LastID, after.Counters)
		}
	})
}

func FuzzDecodeSnapshotFile(f *testing.F) {
	state, err := fsm.EncodeSnapshot(fsm.NewState())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeSnapshotFile(3, state))
	f.Add([]byte(fileMagic))
	f.Fuzz(func(t *testing.T, file []byte) {
		state, info, err := decodeSnapshotFile(file)
		if err != nil {
			return
		}
		if again := encodeSnapshotFile(info.Term, state); !bytes.Equal(again, file) {
			t.Errorf("%x is not what its content encodes to", file)
		}
	})
}
