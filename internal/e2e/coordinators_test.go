package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/api"
	"cairn/internal/localcluster"
)

// votersAre reports whether exactly the named coordinators vote, and all follow.
func votersAre(names ...string) func(api.Status) bool {
	return func(s api.Status) bool {
		var voters []string
		for _, v := range s.Voters {
			if v.Voter && (v.State == "leader" || v.State == "follower") {
				voters = append(voters, v.ID)
			}
		}
		slices.Sort(voters)
		return slices.Equal(voters, names) && len(s.Voters) == len(names)
	}
}

// The coordinators of a running cluster are replaced one after the other, under a job that notices nothing: a fourth
// joins, a dead one goes, one whose disk was wiped comes back. Then the state that was saved before all that is
// restored, on other coordinators than it was taken of, and the job goes on with IDs that were never used.
func TestCoordinatorsAreReplaced(t *testing.T) {
	t.Setenv("CAIRN_RAFT_STABILIZATION", "2s")
	t.Setenv("CAIRN_RAFT_SNAPSHOT_THRESHOLD", "20")
	t.Setenv("CAIRN_RAFT_SNAPSHOT_INTERVAL", "200ms")
	t.Setenv("CAIRN_RAFT_TRAILING_LOGS", "10")
	c := prepared(t)
	start(t, c.All()...)
	await(t, "three voters", c.Status, votersAre("c1", "c2", "c3"))
	await(t, "three nodes", c.Status, func(s api.Status) bool { return localcluster.AliveNodes(s) == 3 })
	coord(t, c, "job", "submit", "wordcount", "--name", "words", "--param", "input="+source(t, "go"), "--param", "suffix=.go",
		"--param", "output="+filepath.Join(t.TempDir(), "output"), "--param", "rate=10", "--set", "checkpointing.interval=100ms")
	await(t, "checkpoints", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 20 })
	saved := filepath.Join(t.TempDir(), "state.snap")
	coord(t, c, "operator", "snapshot", "save", saved)
	if out := coord(t, c, "operator", "snapshot", "inspect", saved); !strings.Contains(out, "is whole") {
		t.Errorf("inspect: %s", out)
	}

	fourth, err := c.NewCoordinator("c4", filepath.Dir(c.Find("c1").Log))
	if err != nil {
		t.Fatal(err)
	}
	start(t, fourth)
	four := await(t, "four voters", c.Status, votersAre("c1", "c2", "c3", "c4"))
	dead := slices.DeleteFunc([]string{"c2", "c3"}, func(id string) bool { return id == four.Leader.ID })[0]
	if err := c.Find(dead).Kill(); err != nil {
		t.Fatal(err)
	}
	left := slices.DeleteFunc([]string{"c1", "c2", "c3", "c4"}, func(id string) bool { return id == dead })
	three := await(t, "the dead one to go", c.Status, votersAre(left...))

	wiped := slices.DeleteFunc(slices.Clone(left), func(id string) bool { return id == three.Leader.ID || id == "c4" })[0]
	if err := c.Find(wiped).Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(filepath.Dir(fourth.Log), wiped)); err != nil {
		t.Fatal(err)
	}
	start(t, c.Find(wiped))
	await(t, "the wiped one to lose its vote", c.Status, func(s api.Status) bool { return !votersAre(left...)(s) })
	await(t, "the wiped one to vote again", c.Status, votersAre(left...))
	before, err := c.Job(t.Context(), "words")
	if err != nil || before.Attempt != 1 || before.Checkpoints.Failed != 0 {
		t.Fatalf("the job noticed: %+v, %v", before, err)
	}

	coord(t, c, "operator", "snapshot", "restore", saved)
	after := await(t, "the job to go on", job(c, "words"), func(j api.JobDetail) bool {
		return j.Attempt == 2 && j.Checkpoints.LastCompletedID > before.Checkpoints.LastCompletedID+3
	})
	if after.RestoredFrom < before.Checkpoints.LastCompletedID {
		t.Errorf("it was restored from checkpoint %d, but %d had completed", after.RestoredFrom, before.Checkpoints.LastCompletedID)
	}
	// Who leads may change before the answer; that is another reason to refuse.
	if _, err := c.Coord(t.Context(), "operator", "raft", "remove-peer", "c4"); err == nil ||
		!strings.Contains(err.Error(), "stop it first") && !strings.Contains(err.Error(), "transfer the leadership") {
		t.Errorf("removing a coordinator that runs: %v", err)
	}
}
