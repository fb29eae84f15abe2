package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/internal/cliargs"
)

var update = flag.Bool("update", false, "write what the commands print to testdata instead of comparing it")

// fakeService answers from its fields. A method whose answer is of no interest to the test returns what
// exampleService has.
type fakeService struct {
	status      func(context.Context) (api.Status, error)
	members     []api.Member
	jobs        []api.Job
	job         api.JobDetail
	showJob     func(ctx context.Context, ref string) (api.JobDetail, error) // in place of job
	metrics     api.JobMetrics
	vertex      string // of the last JobMetrics
	submitted   []api.SubmitJobRequest
	canceled    []string
	cancel      api.Job
	checkpoints []api.Checkpoint
	checkpoint  api.CheckpointDetail
	trigger     func(context.Context) (api.Checkpoint, error)
	statistics  api.CheckpointStatistics
	set         []map[string]string
	savepoint   func(ctx context.Context, stop api.Stop) (api.Savepoint, error)
	savepoints  []api.Savepoint
	disposed    []string // JOB/ID
	removed     []string
	snapshot    api.SnapshotInfo
	snapshotOf  []byte // what SaveSnapshot writes
	restored    []byte // what RestoreSnapshot has read
	stale       bool   // the last read asked for it
	peers       []api.Voter
	leader      api.Leader
	target      *string // of the last TransferLeadership
	rescaled    api.Rescaled
	rescaledTo  []api.Parallelism
	programs    []api.Program
	nodes       []api.Node
	listNodes   func(context.Context) ([]api.Node, error) // in place of nodes
	undrained   []string
	store       api.StoreStatus
	location    api.CheckpointLocation
	locate      func(chunks []checkpoint.ChunkRef) api.ChunkLocations
	begun       []string // manifest and name of the job
	begin       func() error
	finished    []string // JOB/ID
	finish      error
	err         error // of every method that has no function
}

var _ api.Service = (*fakeService)(nil)

func (f *fakeService) Members(context.Context) ([]api.Member, error)  { return f.members, f.err }
func (f *fakeService) RaftPeers(context.Context) ([]api.Voter, error) { return f.peers, f.err }

func (f *fakeService) Status(ctx context.Context) (api.Status, error) {
	f.stale = api.Stale(ctx)
	return f.status(ctx)
}

func (f *fakeService) ListJobs(ctx context.Context) ([]api.Job, error) {
	f.stale = api.Stale(ctx)
	return f.jobs, f.err
}

func (f *fakeService) SetJob(_ context.Context, ref string, config map[string]string) (api.JobDetail, error) {
	if err := f.known(ref); err != nil {
		return api.JobDetail{}, err
	}
	f.set = append(f.set, config)
	job := f.job
	job.Config = maps.Clone(job.Config)
	maps.Copy(job.Config, config)
	return job, nil
}

func (f *fakeService) CheckpointStatistics(ctx context.Context, ref string) (api.CheckpointStatistics, error) {
	f.stale = api.Stale(ctx)
	return f.statistics, f.known(ref)
}

func (f *fakeService) TriggerSavepoint(ctx context.Context, ref string, stop api.Stop) (api.Savepoint, error) {
	if err := f.known(ref); err != nil {
		return api.Savepoint{}, err
	}
	return f.savepoint(ctx, stop)
}

func (f *fakeService) ListSavepoints(ctx context.Context, ref string) ([]api.Savepoint, error) {
	f.stale = api.Stale(ctx)
	if ref == "" {
		return f.savepoints, f.err
	}
	return f.savepoints, f.known(ref)
}

func (f *fakeService) DisposeSavepoint(_ context.Context, ref string, id uint64) error {
	f.disposed = append(f.disposed, fmt.Sprintf("%s/%d", ref, id))
	return f.known(ref)
}

func (f *fakeService) BeginImport(_ context.Context, manifest checkpoint.ChunkRef, jobName string) (api.Savepoint, error) {
	f.begun = append(f.begun, fmt.Sprintf("%s %d %s", manifest.ID.String()[:4], manifest.Size, jobName))
	if f.begin != nil {
		if err := f.begin(); err != nil {
			return api.Savepoint{}, err
		}
	}
	s := exampleImport()
	s.Incomplete, s.ImportedAt = true, 0
	return s, f.err
}

func (f *fakeService) FinishImport(_ context.Context, job string, id uint64) (api.Savepoint, error) {
	f.finished = append(f.finished, fmt.Sprintf("%s/%d", job, id))
	if f.finish != nil {
		return api.Savepoint{}, f.finish
	}
	return exampleImport(), f.err
}

func (f *fakeService) StoreStatus(context.Context) (api.StoreStatus, error) { return f.store, f.err }

func (f *fakeService) LocateCheckpoint(_ context.Context, job string, id uint64) (api.CheckpointLocation, error) {
	if err := f.known(job); err == nil && id != f.location.ID {
		return api.CheckpointLocation{}, api.Errorf(api.NotFound, "job %s has no checkpoint %d", job, id)
	}
	return f.location, f.known(job)
}

func (f *fakeService) LocateChunks(_ context.Context, chunks []checkpoint.ChunkRef) (api.ChunkLocations, error) {
	return f.locate(chunks), f.err
}

func (f *fakeService) RemovePeer(_ context.Context, id string) error {
	f.removed = append(f.removed, id)
	return f.err
}

func (f *fakeService) SaveSnapshot(_ context.Context, w io.Writer) (api.SnapshotInfo, error) {
	if f.err != nil {
		return api.SnapshotInfo{}, f.err
	}
	_, err := w.Write(f.snapshotOf)
	return f.snapshot, err
}

func (f *fakeService) RestoreSnapshot(_ context.Context, r io.Reader) (api.SnapshotInfo, error) {
	if f.err != nil {
		return api.SnapshotInfo{}, f.err
	}
	var err error
	f.restored, err = io.ReadAll(r)
	return f.snapshot, err
}

func (f *fakeService) SubmitJob(_ context.Context, req api.SubmitJobRequest) (api.Job, error) {
	f.submitted = append(f.submitted, req)
	return f.job.Job, f.err
}

func (f *fakeService) ShowJob(ctx context.Context, ref string) (api.JobDetail, error) {
	f.stale = api.Stale(ctx)
	if f.showJob != nil {
		return f.showJob(ctx, ref)
	}
	return f.job, f.known(ref)
}

func (f *fakeService) JobMetrics(ctx context.Context, ref, vertex string) (api.JobMetrics, error) {
	f.stale, f.vertex = api.Stale(ctx), vertex
	return f.metrics, f.known(ref)
}

func (f *fakeService) RescaleJob(_ context.Context, ref string, to api.Parallelism) (api.Rescaled, error) {
	f.rescaledTo = append(f.rescaledTo, to)
	f.runs(f.rescaled.Job)
	return f.rescaled, f.known(ref)
}

// runs lets a job run when it is asked for the second time: one of its subtasks is late.
func (f *fakeService) runs(job api.JobDetail) {
	if f.showJob != nil {
		return
	}
	asked := 0
	f.showJob = func(context.Context, string) (api.JobDetail, error) {
		asked++
		job.State, job.Reason, job.Attempt = "RUNNING", "", 3
		job.Subtasks = []api.Subtask{{ID: "source[0]", Node: "n1", Status: "RUNNING"}, {ID: "count[0]", Node: "n2", Status: "INITIALIZING"}}
		if asked > 1 {
			job.Subtasks[1].Status = "RUNNING"
		}
		return job, nil
	}
}

func (f *fakeService) ListPrograms(context.Context) ([]api.Program, error) { return f.programs, f.err }

func (f *fakeService) ListNodes(ctx context.Context) ([]api.Node, error) {
	f.stale = api.Stale(ctx)
	if f.listNodes != nil {
		return f.listNodes(ctx)
	}
	return f.nodes, f.err
}

func (f *fakeService) DrainNode(_ context.Context, id string) (api.Node, error) {
	return f.node(id)
}

func (f *fakeService) UndrainNode(_ context.Context, id string) (api.Node, error) {
	f.undrained = append(f.undrained, id)
	return f.node(id)
}

func (f *fakeService) node(id string) (api.Node, error) {
	for _, n := range f.nodes {
		if n.ID == id {
			return n, f.err
		}
	}
	return api.Node{}, api.Errorf(api.NotFound, "no node is named %q", id)
}

func (f *fakeService) CancelJob(_ context.Context, ref string) (api.Job, error) {
	f.canceled = append(f.canceled, ref)
	return f.cancel, f.known(ref)
}

func (f *fakeService) ListCheckpoints(ctx context.Context, ref string) ([]api.Checkpoint, error) {
	f.stale = api.Stale(ctx)
	return f.checkpoints, f.known(ref)
}

func (f *fakeService) ShowCheckpoint(ctx context.Context, ref string, id uint64) (api.CheckpointDetail, error) {
	f.stale = api.Stale(ctx)
	if id != f.checkpoint.ID {
		return api.CheckpointDetail{}, api.Errorf(api.NotFound, "job %s has no checkpoint %d", ref, id)
	}
	return f.checkpoint, f.known(ref)
}

func (f *fakeService) TriggerCheckpoint(ctx context.Context, ref string) (api.Checkpoint, error) {
	if err := f.known(ref); err != nil {
		return api.Checkpoint{}, err
	}
	return f.trigger(ctx)
}

func (f *fakeService) TransferLeadership(_ context.Context, target string) (api.Leader, error) {
	f.target = &target
	return f.leader, f.err
}

// known returns the error for a job that there is not.
func (f *fakeService) known(ref string) error {
	if f.err == nil && ref != f.job.Name && ref != f.job.ID {
		return api.Errorf(api.NotFound, "unknown job %q; known are %s", ref, f.job.Name)
	}
	return f.err
}

// bench runs commands against a fake service.
type bench struct {
	service     *fakeService
	terminal    bool
	interactive bool
	typed       string // what the user types
	directories *fakeDirectories
	replicas    *fakeReplicas
	now         func() time.Time
	out         io.Writer // what the commands write to besides the result, if not nil
	// interrupt, when closed, is the user's interrupt.
	interrupt chan struct{}

	dialed  []string      // addresses of the last dial
	timeout time.Duration // of the last dial
	closed  int
}

func newBench() *bench {
	return &bench{
		service: exampleService(), directories: &fakeDirectories{}, replicas: newFakeReplicas(), now: func() time.Time { return exampleNow },
		interrupt: make(chan struct{}),
	}
}

// result is what a run of coord leaves behind.
type result struct {
	code           int
	stdout, stderr string
}

func (b *bench) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	out := io.Writer(&stdout)
	if b.out != nil {
		out = io.MultiWriter(&stdout, b.out)
	}
	con := &console{
		out: out, terminal: b.terminal, in: strings.NewReader(b.typed), err: &stderr, interactive: b.interactive,
		now: b.now, dial: b.dial, directories: b.directories, replicas: b.replicas, untilInterrupted: b.untilInterrupted,
	}
	app := newApp(clientCommands(con))
	app.Writer, app.ErrWriter = out, &stderr
	code := cliargs.Run(t.Context(), app, args)
	return result{code, stdout.String(), stderr.String()}
}

func (b *bench) dial(addrs []string, timeout time.Duration) (api.Service, io.Closer, error) {
	b.dialed, b.timeout = addrs, timeout
	return b.service, closerFunc(func() error { b.closed++; return nil }), nil
}

func (b *bench) untilInterrupted(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{}) // closed when the goroutine has ended
	go func() {
		defer close(done)
		select {
		case <-b.interrupt:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// fakeDirectories remembers what it was told to copy.
type fakeDirectories struct {
	saved     []string // addresses, manifest, name of the job and directory
	opened    []string // directories
	manifests []string // addresses of the nodes that were given the manifest, and chunks of those that were given them
	chunks    []string
	stored    int // chunks that are not there
	err       error
	put       error // of storing chunks
}

func (d *fakeDirectories) save(_ context.Context, nodes []api.Node, from exportable, dir string, progress func(done, total int64)) (exported, error) {
	d.saved = append(d.saved, fmt.Sprintf("%s %s %d %s %s", addressesOf(nodes), from.manifest.ID.String()[:4], from.manifest.Size, from.jobName, dir))
	progress(1<<20, 3<<20)
	return exported{Directory: dir, Chunks: 15, Bytes: 3 << 20}, d.err
}

func (d *fakeDirectories) open(_ context.Context, dir string, progress func(done, total int64)) (importable, error) {
	d.opened = append(d.opened, dir)
	progress(1<<20, 3<<20)
	return d, d.err
}

func (d *fakeDirectories) about() aboutExported {
	return aboutExported{
		directory: "/backup", job: exampleImport().Job, jobName: "orders", id: 9, manifest: exampleManifestRef(), chunks: 15, bytes: 3 << 20,
	}
}

func (d *fakeDirectories) storeManifest(_ context.Context, nodes []api.Node) error {
	d.manifests = append(d.manifests, addressesOf(nodes))
	return nil
}

func (d *fakeDirectories) storeChunks(_ context.Context, nodes []api.Node, progress func(done, total int64)) (int, error) {
	d.chunks = append(d.chunks, addressesOf(nodes))
	progress(1<<20, 3<<20)
	return d.stored, d.put
}

func addressesOf(nodes []api.Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Address)
	}
	return strings.Join(all, ",")
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

// failingWriter is a standard output that is gone.
type failingWriter struct{}

var errGone = errors.New("nobody reads this")

func (failingWriter) Write([]byte) (int, error) { return 0, errGone }

// golden compares got with the file of that name in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant, as in %s:\n%s", got, path, want)
	}
}
