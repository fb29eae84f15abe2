package coordinator

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// planned is the graph that the fake nodes build: the parameter "rename" gives the operator count another ID,
// "max_parallelism" is that of all vertices.
func planned(params map[string]string) checkpoint.Topology {
	if n, err := strconv.Atoi(params["wide"]); err == nil {
		return topologyOf(n)
	}
	t := testTopology()
	for i := range t.Vertices {
		v := &t.Vertices[i]
		if name := params["rename"]; name != "" && v.ID == "count" {
			v.ID, v.Operators = checkpoint.VertexID(name), []checkpoint.OperatorID{checkpoint.OperatorID(name)}
		}
		if n, err := strconv.Atoi(params["max_parallelism"]); err == nil {
			v.MaxParallelism = n
		}
	}
	return t
}

// idleCluster runs a job that takes no checkpoint by itself, so that nothing changes unless somebody asks for it.
func idleCluster(t *testing.T) (*testCluster, api.Service) {
	c := newTestCluster(t, "n1", "n2")
	c.awaitStatus("two nodes", twoAlive)
	submitManual(t, c.leader("").Service(), api.SubmitJobRequest{Name: "wc"})
	return c, c.leader("").Service()
}

func submitManual(t *testing.T, s api.Service, req api.SubmitJobRequest) api.Job {
	t.Helper()
	req.Program, req.Config = "test", map[string]string{"checkpointing.interval": "0s"}
	job, err := s.SubmitJob(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func (c *testCluster) awaitRunning(name string) {
	c.t.Helper()
	c.awaitStatus(name+" to run everywhere", func(s api.Status) bool {
		d, err := c.leader("").Service().ShowJob(context.Background(), name)
		return err == nil && d.State == "RUNNING" &&
			!slices.ContainsFunc(d.Subtasks, func(t api.Subtask) bool { return t.Status != "RUNNING" })
	})
}

func (c *testCluster) savepoint(s api.Service, job string, stop api.Stop) api.Savepoint {
	c.t.Helper()
	c.awaitRunning(job)
	savepoint, err := s.TriggerSavepoint(context.Background(), job, stop)
	if err != nil {
		c.t.Fatal(err)
	}
	return savepoint
}

// keyedManifest is a savepoint of a job of another cluster, with keyed state in the operator count.
func keyedManifest() checkpoint.Manifest {
	t := testTopology()
	m := checkpoint.Manifest{Job: checkpoint.JobID{0xfe, 0xed}, ID: 40, Attempt: 1, Kind: checkpoint.KindSavepoint, Vertices: t.Vertices}
	for _, s := range t.Subtasks() {
		state := checkpoint.SubtaskState{Subtask: s}
		if s.Vertex == "count" {
			state.Handles = []checkpoint.Handle{{
				Operator: "count", Kind: checkpoint.KeyedState, KeyGroups: checkpoint.RangeOf(s.Index, 128, 2),
				Chunks: []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{1, byte(s.Index)}, Size: 10}},
			}}
		}
		m.Subtasks = append(m.Subtasks, state)
	}
	return m
}

// storeManifest puts a manifest into the cluster's state store.
func (c *testCluster) storeManifest(m checkpoint.Manifest) checkpoint.ChunkRef {
	c.t.Helper()
	data, err := checkpoint.EncodeManifest(m)
	if err != nil {
		c.t.Fatal(err)
	}
	ref, err := c.store.Put(context.Background(), data)
	if err != nil {
		c.t.Fatal(err)
	}
	return ref
}

// importSavepoint imports a savepoint, and returns what a job is submitted from.
func (c *testCluster) importSavepoint(m checkpoint.Manifest) *api.Source {
	c.t.Helper()
	s := c.leader("").Service()
	savepoint, err := s.BeginImport(context.Background(), c.storeManifest(m), "elsewhere")
	if err == nil {
		_, err = s.FinishImport(context.Background(), savepoint.Job, savepoint.ID)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return &api.Source{Job: savepoint.Job, Checkpoint: savepoint.ID, Kind: "savepoint"}
}

// What is wrong with a request is said with its name, its value and what would be right, and changes nothing.
func TestBadInputChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		c.awaitRunning("wc")
		kept, err := s.TriggerCheckpoint(ctx, "wc") // 1
		if err != nil || kept.ID != 1 {
			t.Fatalf("%+v, %v", kept, err)
		}
		c.savepoint(s, "wc", api.StopNone) // 2
		imported := c.importSavepoint(keyedManifest())
		named := *imported
		named.Manifest = strings.Repeat("ab", 32)

		submit := func(params map[string]string, source api.Source) func() error {
			return func() error {
				_, err := s.SubmitJob(ctx, api.SubmitJobRequest{Program: "test", Name: "next", Params: params, Source: &source})
				return err
			}
		}
		configured := func(key, value string) func() error {
			return func() error {
				_, err := s.SubmitJob(ctx, api.SubmitJobRequest{Program: "test", Name: "next", Config: map[string]string{key: value}})
				return err
			}
		}
		set := func(job string, config map[string]string) func() error {
			return func() error { _, err := s.SetJob(ctx, job, config); return err }
		}
		of := func(kind string, id uint64) api.Source { return api.Source{Job: "wc", Checkpoint: id, Kind: kind} }
		before := c.leader("").replica.machine.Jobs()
		for _, tc := range []struct {
			name string
			call func() error
			code api.Code
			want string
		}{
			{"unknown key", configured("checkpointing.intervall", "1s"), api.Invalid, `unknown configuration key "checkpointing.intervall": known are checkpointing.interval, `},
			{"negative duration", configured("checkpointing.min_pause", "-1s"), api.Invalid, "checkpointing.min_pause -1s: must not be negative"},
			{"no duration", configured("checkpointing.timeout", "ten"), api.Invalid, `checkpointing.timeout: "ten" is not allowed: want a duration, for example 500ms or 10s`},
			{"interval below the pause", configured("checkpointing.min_pause", "1m"), api.Invalid, "checkpointing.interval 10s: must not be below checkpointing.min_pause 1m0s; raise the one or lower the other"},
			{"kind", submit(nil, of("backup", 1)), api.Invalid, `source of kind "backup": allowed are checkpoint and savepoint`},
			{"ID 0", submit(nil, of("savepoint", 0)), api.Invalid, "savepoint 0 of job wc: IDs begin at 1"},
			{"no job named", submit(nil, api.Source{Kind: "savepoint", Checkpoint: 1}), api.Invalid, "savepoint 1: name the job that took it"},
			{"unknown job", submit(nil, api.Source{Job: "wd", Checkpoint: 2, Kind: "savepoint"}), api.NotFound, `no job is named "wd"`},
			{"unknown savepoint", submit(nil, of("savepoint", 7)), api.NotFound, "job wc has no savepoint 7; it has 2"},
			{"unknown checkpoint", submit(nil, of("checkpoint", 7)), api.NotFound, "job wc has no checkpoint 7; it has 1"},
			{"a checkpoint as savepoint", submit(nil, of("savepoint", 1)), api.Invalid, "1 of job wc is a checkpoint, not a savepoint"},
			{"a savepoint as checkpoint", submit(nil, of("checkpoint", 2)), api.Invalid, "2 of job wc is a savepoint, not a checkpoint"},
			{"claiming what a running job needs", submit(nil, api.Source{Job: "wc", Checkpoint: 1, Kind: "checkpoint", Claim: true}), api.Conflict, "which is RUNNING: claim it when that has ended, or take a savepoint"},
			{"another graph", submit(map[string]string{"rename": "tally"}, *imported), api.Conflict, "cannot start from savepoint 40 of job " + imported.Job + ": the state does not fit the job: it has state of operator count, which the job does not have"},
			{"another max parallelism", submit(map[string]string{"max_parallelism": "256"}, *imported), api.Conflict, "operator count has max parallelism 256, but its keyed state was taken with 128, which can never change: set it to 128"},
			{"a manifest of the client's own", submit(nil, named), api.Invalid, "its manifest is not for clients to name; import the savepoint first"},
			{"an import under another ID", submit(nil, api.Source{Job: imported.Job, Checkpoint: 41, Kind: "savepoint"}), api.NotFound, "job " + imported.Job + " is not known here, and its savepoint 41 was not imported; there are 40"},
			{"an import as checkpoint", submit(nil, api.Source{Job: imported.Job, Checkpoint: 40, Kind: "checkpoint"}), api.NotFound, "only savepoints of it were imported: 40"},
			{"set an unknown job", set("wd", map[string]string{"checkpointing.retain": "2"}), api.NotFound, `no job is named "wd"`},
			{"set nothing", set("wc", nil), api.Invalid, "nothing to change"},
			{"set an unknown key", set("wc", map[string]string{"retain": "2"}), api.Invalid, `unknown configuration key "retain"`},
			{"set a fixed key", set("wc", map[string]string{"checkpointing.mode": "at_least_once", "checkpointing.retain": "2"}), api.Invalid, "job wc: checkpointing.mode is fixed at submission: it is exactly_once, and at_least_once was asked for"},
			{"set what does not fit the rest", set("wc", map[string]string{"checkpointing.interval": "1s", "checkpointing.min_pause": "2s"}), api.Invalid, "checkpointing.interval 1s: must not be below checkpointing.min_pause 2s"},
			{"stop in another way", func() error { _, err := s.TriggerSavepoint(ctx, "wc", "now"); return err }, api.Invalid, `stop "now": allowed are "suspend", "drain" and`},
			{"a savepoint of an unknown job", func() error { _, err := s.TriggerSavepoint(ctx, "wd", ""); return err }, api.NotFound, `no job is named "wd"`},
			{"dispose of nothing", func() error { return s.DisposeSavepoint(ctx, "wc", 7) }, api.NotFound, "job wc has no savepoint 7; it has 2"},
			{"dispose of a checkpoint", func() error { return s.DisposeSavepoint(ctx, "wc", 1) }, api.Invalid, "1 of job wc is a checkpoint, not a savepoint"},
			{"show nothing", func() error { _, err := s.ShowCheckpoint(ctx, "wc", 7); return err }, api.NotFound, "job wc has no checkpoint 7 among its pending and last 100"},
			{"count nothing", func() error { _, err := s.CheckpointStatistics(ctx, "wd"); return err }, api.NotFound, `no job is named "wd"`},
		} {
			err := tc.call()
			if err == nil || api.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got code %d: %v\nwant code %d: %s", tc.name, api.CodeOf(err), err, tc.code, tc.want)
			}
		}
		// Jobs are immutable: one that has changed is another value.
		if after := c.leader("").replica.machine.Jobs(); !slices.Equal(after, before) {
			t.Errorf("jobs changed: %+v", after)
		}
	})
}

func TestSubmitFromASavepoint(t *testing.T) {
	for _, claim := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, s := idleCluster(t)
			defer c.stop()
			ctx := context.Background()
			savepoint := c.savepoint(s, "wc", api.StopSuspend)
			job := submitManual(t, s, api.SubmitJobRequest{
				Name: "next", Source: &api.Source{Job: "wc", Checkpoint: savepoint.ID, Kind: "savepoint", Claim: claim},
			})
			d, err := s.ShowJob(ctx, "next")
			want := api.Source{
				Job: savepoint.Job, Checkpoint: savepoint.ID, Kind: "savepoint", Manifest: savepoint.Manifest, ManifestSize: savepoint.ManifestSize, Claim: claim,
			}
			if err != nil || d.Source == nil || *d.Source != want {
				t.Errorf("source %+v, %v; want %+v", d.Source, err, want)
			}
			list, err := s.ListSavepoints(ctx, "")
			if claim {
				if err != nil || len(list) != 0 {
					t.Errorf("claimed, and still listed: %+v, %v", list, err)
				}
				return
			}
			if err != nil || len(list) != 1 || !slices.Equal(list[0].UsedBy, []string{job.ID}) {
				t.Fatalf("listed %+v, %v; want it used by %s", list, err, job.ID)
			}
			err = s.DisposeSavepoint(ctx, "wc", savepoint.ID)
			if api.CodeOf(err) != api.Conflict || !strings.Contains(err.Error(), "job next ("+job.ID+") was submitted from it") {
				t.Errorf("disposed of what a job needs: %v", err)
			}
			// Its first checkpoint of its own frees it (L1: under a larger ID).
			c.awaitRunning("next")
			own, err := s.TriggerCheckpoint(ctx, "next")
			if err != nil || own.ID <= savepoint.ID {
				t.Errorf("%+v, %v", own, err)
			}
			if err := s.DisposeSavepoint(ctx, "wc", savepoint.ID); err != nil {
				t.Error(err)
			}
		})
	}
}

// A savepoint that a job has claimed is a checkpoint of that job. When the job ends without another one, it is all that
// there is to go on from.
func TestSubmitFromWhatAJobHasClaimed(t *testing.T) {
	for _, claim := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, s := idleCluster(t)
			defer c.stop()
			ctx := context.Background()
			savepoint := c.savepoint(s, "wc", api.StopSuspend)
			if _, err := s.SubmitJob(ctx, api.SubmitJobRequest{
				Program: "test", Name: "next", Config: map[string]string{"checkpointing.interval": "0s", "checkpointing.on_cancel": "retain"},
				Source: &api.Source{Job: "wc", Checkpoint: savepoint.ID, Kind: "savepoint", Claim: true},
			}); err != nil {
				t.Fatal(err)
			}
			c.awaitRunning("next")
			for _, n := range c.fabric.nodes {
				n.obeyCancel()
			}
			if _, err := s.CancelJob(ctx, "next"); err != nil {
				t.Fatal(err)
			}
			c.within(10*time.Second, "next to end", func() bool { return c.job("next").Status.Terminal() })
			submitManual(t, s, api.SubmitJobRequest{
				Name: "third", Source: &api.Source{Job: "next", Checkpoint: savepoint.ID, Kind: "checkpoint", Claim: claim},
			})
			c.awaitRunning("third")
			if own, err := s.TriggerCheckpoint(ctx, "third"); err != nil || own.ID <= savepoint.ID {
				t.Errorf("%+v, %v", own, err)
			}
		})
	}
}

func TestSubmitFromAnImportedSavepoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		s := c.leader("").Service()
		submitManual(t, s, api.SubmitJobRequest{Name: "wc", Source: c.importSavepoint(keyedManifest())})
		c.awaitRunning("wc")
		if own, err := s.TriggerCheckpoint(context.Background(), "wc"); err != nil || own.ID <= 40 {
			t.Errorf("%+v, %v", own, err)
		}
		if n := len(c.leader("").sessions.leading().view.cleaning.imports); n != 0 {
			t.Errorf("sweeps wait for %d imports", n)
		}
	})
}

// A submission waits for a manifest that the state store is slow to give, and nothing else does.
func TestSourceIsReadBesideTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		source := c.importSavepoint(keyedManifest())
		release := c.store.(*memoryStore).hold()
		submitted := make(chan error, 1)
		go func() {
			_, err := s.SubmitJob(context.Background(), api.SubmitJobRequest{Program: "test", Name: "next", Source: source})
			submitted <- err
		}()
		synctest.Wait()
		if _, err := s.ShowJob(context.Background(), "wc"); err != nil {
			t.Errorf("the leader waits for the store: %v", err)
		}
		release()
		if err := <-submitted; err != nil {
			t.Error(err)
		}
	})
}

// A submission whose client has gone is not made behind its back.
func TestSubmissionThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		source := c.importSavepoint(keyedManifest())
		release := c.store.(*memoryStore).hold()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_, err := s.SubmitJob(ctx, api.SubmitJobRequest{Program: "test", Name: "next", Source: source})
		if api.CodeOf(err) != api.Unavailable || !strings.Contains(err.Error(), "the state of savepoint 40") {
			t.Errorf("got %v", err)
		}
		release()
		synctest.Wait()
		if _, err := s.ShowJob(context.Background(), "next"); api.CodeOf(err) != api.NotFound {
			t.Errorf("it was submitted all the same: %v", err)
		}
	})
}

func TestNoSuchCheckpoint(t *testing.T) {
	j := &fsm.Job{
		Name: "wc", Pending: []fsm.Pending{{ID: 9, Kind: checkpoint.KindSavepoint}},
		History: []fsm.Outcome{
			{ID: 5, Kind: checkpoint.KindSavepoint, Status: fsm.OutcomeFailed}, {ID: 6, Kind: checkpoint.KindSavepoint, Status: fsm.OutcomeCompleted},
			{ID: 7, Kind: checkpoint.KindCheckpoint, Status: fsm.OutcomeCompleted},
		},
	}
	for id := range checkpoint.ID(12) {
		j.Completed = append(j.Completed, fsm.Completed{ID: 100 + id})
	}
	for _, tc := range []struct {
		kind checkpoint.Kind
		id   checkpoint.ID
		want string
	}{
		{checkpoint.KindSavepoint, 9, "savepoint 9 of job wc is still in progress"},
		{checkpoint.KindSavepoint, 5, "job wc has no savepoint 5: that one failed; it has none"},
		{checkpoint.KindSavepoint, 6, "job wc has no savepoint 6: that one was disposed of, or claimed by another job; it has none"},
		{checkpoint.KindSavepoint, 7, "job wc has no savepoint 7; it has none"},
		{checkpoint.KindCheckpoint, 7, "job wc has no checkpoint 7: that one was discarded, or claimed by another job; it has 2 older ones, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111"},
		{checkpoint.KindCheckpoint, 6, "job wc has no checkpoint 6; it has 2 older ones, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111"},
	} {
		if err := noSuchCheckpoint(j, tc.kind, tc.id); err.Error() != tc.want {
			t.Errorf("got  %v\nwant %s", err, tc.want)
		}
	}
}
