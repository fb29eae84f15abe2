package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn/api"
	"cairn/checkpoint"
)

// fakeService answers every method with respond, which is told the method and its argument.
type fakeService struct {
	respond func(ctx context.Context, method string, argument any) (any, error)
}

func answer[T any](ctx context.Context, f *fakeService, method string, argument any) (T, error) {
	v, err := f.respond(ctx, method, argument)
	t, _ := v.(T)
	return t, err
}

func (f *fakeService) Status(ctx context.Context) (api.Status, error) {
	return answer[api.Status](ctx, f, "Status", nil)
}
func (f *fakeService) Members(ctx context.Context) ([]api.Member, error) {
	return answer[[]api.Member](ctx, f, "Members", nil)
}
func (f *fakeService) SubmitJob(ctx context.Context, req api.SubmitJobRequest) (api.Job, error) {
	return answer[api.Job](ctx, f, "SubmitJob", req)
}
func (f *fakeService) ListJobs(ctx context.Context) ([]api.Job, error) {
	return answer[[]api.Job](ctx, f, "ListJobs", nil)
}
func (f *fakeService) ShowJob(ctx context.Context, job string) (api.JobDetail, error) {
	return answer[api.JobDetail](ctx, f, "ShowJob", job)
}
func (f *fakeService) JobMetrics(ctx context.Context, job, vertex string) (api.JobMetrics, error) {
	return answer[api.JobMetrics](ctx, f, "JobMetrics", []any{job, vertex})
}
func (f *fakeService) RescaleJob(ctx context.Context, job string, to api.Parallelism) (api.Rescaled, error) {
	return answer[api.Rescaled](ctx, f, "RescaleJob", []any{job, to})
}
func (f *fakeService) ListPrograms(ctx context.Context) ([]api.Program, error) {
	return answer[[]api.Program](ctx, f, "ListPrograms", nil)
}
func (f *fakeService) ListNodes(ctx context.Context) ([]api.Node, error) {
	return answer[[]api.Node](ctx, f, "ListNodes", nil)
}
func (f *fakeService) DrainNode(ctx context.Context, id string) (api.Node, error) {
	return answer[api.Node](ctx, f, "DrainNode", id)
}
func (f *fakeService) UndrainNode(ctx context.Context, id string) (api.Node, error) {
	return answer[api.Node](ctx, f, "UndrainNode", id)
}
func (f *fakeService) CancelJob(ctx context.Context, job string) (api.Job, error) {
	return answer[api.Job](ctx, f, "CancelJob", job)
}
func (f *fakeService) ListCheckpoints(ctx context.Context, job string) ([]api.Checkpoint, error) {
	return answer[[]api.Checkpoint](ctx, f, "ListCheckpoints", job)
}
func (f *fakeService) ShowCheckpoint(ctx context.Context, job string, id uint64) (api.CheckpointDetail, error) {
	return answer[api.CheckpointDetail](ctx, f, "ShowCheckpoint", []any{job, id})
}
func (f *fakeService) TriggerCheckpoint(ctx context.Context, job string) (api.Checkpoint, error) {
	return answer[api.Checkpoint](ctx, f, "TriggerCheckpoint", job)
}
func (f *fakeService) SetJob(ctx context.Context, job string, config map[string]string) (api.JobDetail, error) {
	return answer[api.JobDetail](ctx, f, "SetJob", []any{job, config})
}
func (f *fakeService) CheckpointStatistics(ctx context.Context, job string) (api.CheckpointStatistics, error) {
	return answer[api.CheckpointStatistics](ctx, f, "CheckpointStatistics", job)
}
func (f *fakeService) TriggerSavepoint(ctx context.Context, job string, stop api.Stop) (api.Savepoint, error) {
	return answer[api.Savepoint](ctx, f, "TriggerSavepoint", []any{job, stop})
}
func (f *fakeService) ListSavepoints(ctx context.Context, job string) ([]api.Savepoint, error) {
	return answer[[]api.Savepoint](ctx, f, "ListSavepoints", job)
}
func (f *fakeService) DisposeSavepoint(ctx context.Context, job string, id uint64) error {
	_, err := f.respond(ctx, "DisposeSavepoint", []any{job, id})
	return err
}
func (f *fakeService) BeginImport(ctx context.Context, manifest checkpoint.ChunkRef, jobName string) (api.Savepoint, error) {
	return answer[api.Savepoint](ctx, f, "BeginImport", []any{manifest, jobName})
}
func (f *fakeService) FinishImport(ctx context.Context, job string, id uint64) (api.Savepoint, error) {
	return answer[api.Savepoint](ctx, f, "FinishImport", []any{job, id})
}
func (f *fakeService) StoreStatus(ctx context.Context) (api.StoreStatus, error) {
	return answer[api.StoreStatus](ctx, f, "StoreStatus", nil)
}
func (f *fakeService) LocateCheckpoint(ctx context.Context, job string, id uint64) (api.CheckpointLocation, error) {
	return answer[api.CheckpointLocation](ctx, f, "LocateCheckpoint", []any{job, id})
}
func (f *fakeService) LocateChunks(ctx context.Context, chunks []checkpoint.ChunkRef) (api.ChunkLocations, error) {
	return answer[api.ChunkLocations](ctx, f, "LocateChunks", chunks)
}
func (f *fakeService) RemovePeer(ctx context.Context, id string) error {
	_, err := f.respond(ctx, "RemovePeer", id)
	return err
}
func (f *fakeService) SaveSnapshot(ctx context.Context, w io.Writer) (api.SnapshotInfo, error) {
	return answer[api.SnapshotInfo](ctx, f, "SaveSnapshot", w)
}
func (f *fakeService) RestoreSnapshot(ctx context.Context, r io.Reader) (api.SnapshotInfo, error) {
	return answer[api.SnapshotInfo](ctx, f, "RestoreSnapshot", r)
}
func (f *fakeService) RaftPeers(ctx context.Context) ([]api.Voter, error) {
	return answer[[]api.Voter](ctx, f, "RaftPeers", nil)
}
func (f *fakeService) TransferLeadership(ctx context.Context, target string) (api.Leader, error) {
	return answer[api.Leader](ctx, f, "TransferLeadership", target)
}

// failing is a service that answers everything with err.
func failing(err error) *fakeService {
	return &fakeService{respond: func(context.Context, string, any) (any, error) { return nil, err }}
}

func client(t *testing.T, o ClientOptions, addresses ...string) *Client {
	t.Helper()
	c := NewClient(addresses, o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return c
}

// apiCalls lists every method of api.Service: how to call it, and a generator of what it returns.
var apiCalls = []struct {
	method   string
	argument any
	call     func(context.Context, api.Service) (any, error)
	result   func(*rapid.T) any
}{
	{"Status", nil, func(ctx context.Context, s api.Service) (any, error) { return s.Status(ctx) }, anyOf[api.Status]},
	{"Members", nil, func(ctx context.Context, s api.Service) (any, error) { return s.Members(ctx) }, anyOf[[]api.Member]},
	{"SubmitJob", submission(map[string]string{}), func(ctx context.Context, s api.Service) (any, error) {
		return s.SubmitJob(ctx, submission(nil))
	}, anyOf[api.Job]},
	{"ListJobs", nil, func(ctx context.Context, s api.Service) (any, error) { return s.ListJobs(ctx) }, anyOf[[]api.Job]},
	{"ShowJob", "wc", func(ctx context.Context, s api.Service) (any, error) { return s.ShowJob(ctx, "wc") }, anyOf[api.JobDetail]},
	{"SetJob", []any{"wc", map[string]string{"checkpointing.retain": "5"}}, func(ctx context.Context, s api.Service) (any, error) {
		return s.SetJob(ctx, "wc", map[string]string{"checkpointing.retain": "5"})
	}, anyOf[api.JobDetail]},
	{"RescaleJob", []any{"wc", ofBoth}, func(ctx context.Context, s api.Service) (any, error) {
		return s.RescaleJob(ctx, "wc", ofBoth)
	}, anyOf[api.Rescaled]},
	{"ListPrograms", nil, func(ctx context.Context, s api.Service) (any, error) { return s.ListPrograms(ctx) }, anyOf[[]api.Program]},
	{"ListNodes", nil, func(ctx context.Context, s api.Service) (any, error) { return s.ListNodes(ctx) }, anyOf[[]api.Node]},
	{"DrainNode", "n1", func(ctx context.Context, s api.Service) (any, error) { return s.DrainNode(ctx, "n1") }, anyOf[api.Node]},
	{"UndrainNode", "n1", func(ctx context.Context, s api.Service) (any, error) { return s.UndrainNode(ctx, "n1") }, anyOf[api.Node]},
	{"CancelJob", "wc", func(ctx context.Context, s api.Service) (any, error) { return s.CancelJob(ctx, "wc") }, anyOf[api.Job]},
	{"JobMetrics", []any{"wc", "count"}, func(ctx context.Context, s api.Service) (any, error) { return s.JobMetrics(ctx, "wc", "count") }, anyOf[api.JobMetrics]},
	{"ListCheckpoints", "wc", func(ctx context.Context, s api.Service) (any, error) { return s.ListCheckpoints(ctx, "wc") }, anyOf[[]api.Checkpoint]},
	{"ShowCheckpoint", []any{"wc", uint64(7)}, func(ctx context.Context, s api.Service) (any, error) { return s.ShowCheckpoint(ctx, "wc", 7) }, anyOf[api.CheckpointDetail]},
	{"TriggerCheckpoint", "wc", func(ctx context.Context, s api.Service) (any, error) { return s.TriggerCheckpoint(ctx, "wc") }, anyOf[api.Checkpoint]},
	{"CheckpointStatistics", "wc", func(ctx context.Context, s api.Service) (any, error) { return s.CheckpointStatistics(ctx, "wc") }, anyOf[api.CheckpointStatistics]},
	{"TriggerSavepoint", []any{"wc", api.StopDrain}, func(ctx context.Context, s api.Service) (any, error) {
		return s.TriggerSavepoint(ctx, "wc", api.StopDrain)
	}, anyOf[api.Savepoint]},
	{"ListSavepoints", "wc", func(ctx context.Context, s api.Service) (any, error) { return s.ListSavepoints(ctx, "wc") }, anyOf[[]api.Savepoint]},
	{"DisposeSavepoint", []any{"wc", uint64(7)}, func(ctx context.Context, s api.Service) (any, error) { return nil, s.DisposeSavepoint(ctx, "wc", 7) }, nil},
	{"BeginImport", []any{chunkRef(7, 700), "wc"}, func(ctx context.Context, s api.Service) (any, error) {
		return s.BeginImport(ctx, chunkRef(7, 700), "wc")
	}, anyOf[api.Savepoint]},
	{"FinishImport", []any{"wc", uint64(7)}, func(ctx context.Context, s api.Service) (any, error) { return s.FinishImport(ctx, "wc", 7) }, anyOf[api.Savepoint]},
	{"StoreStatus", nil, func(ctx context.Context, s api.Service) (any, error) { return s.StoreStatus(ctx) }, anyOf[api.StoreStatus]},
	{"LocateCheckpoint", []any{"wc", uint64(7)}, func(ctx context.Context, s api.Service) (any, error) { return s.LocateCheckpoint(ctx, "wc", 7) }, anyLocation},
	{"LocateChunks", located, func(ctx context.Context, s api.Service) (any, error) { return s.LocateChunks(ctx, located) }, anyLocations},
	{"RemovePeer", "c3", func(ctx context.Context, s api.Service) (any, error) { return nil, s.RemovePeer(ctx, "c3") }, nil},
	{"RaftPeers", nil, func(ctx context.Context, s api.Service) (any, error) { return s.RaftPeers(ctx) }, anyOf[[]api.Voter]},
	{"TransferLeadership", "c2", func(ctx context.Context, s api.Service) (any, error) { return s.TransferLeadership(ctx, "c2") }, anyOf[api.Leader]},
}

var ofBoth = api.Parallelism{All: 3, Operators: map[string]int{"count": 5}}

// submission uses every field. A configuration that is nil arrives empty.
func submission(config map[string]string) api.SubmitJobRequest {
	return api.SubmitJobRequest{
		Program: "wordcount", Name: "wc", Params: map[string]string{"input": "/src"}, Config: config,
		Source: &api.Source{
			Job: "old", Checkpoint: 7, Kind: "savepoint", Manifest: "aa11", ManifestSize: 42, Claim: true, AllowNonRestoredState: true,
		},
		Parallelism: ofBoth,
	}
}

// located are the chunks that are asked for.
var located = []checkpoint.ChunkRef{chunkRef(1, 0), chunkRef(2, 20), chunkRef(3, MaxChunkSize)}

// anyLocation names a manifest and, sometimes, a breakdown.
func anyLocation(t *rapid.T) any {
	l := rapid.Make[api.CheckpointLocation]().Draw(t, "location")
	l.Manifest, l.Detail = chunkRef(9, 700), checkpoint.ChunkRef{}
	if rapid.Bool().Draw(t, "detail") {
		l.Detail = chunkRef(8, 30)
	}
	return l
}

// anyLocations has holders for each chunk of located, or for none where there is one store for all nodes.
func anyLocations(t *rapid.T) any {
	l := api.ChunkLocations{Complete: rapid.Bool().Draw(t, "complete"), Nodes: rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "nodes")}
	if rapid.IntRange(0, 3).Draw(t, "shared") == 0 {
		l.Shared = true
		return l
	}
	for range located {
		l.Holders = append(l.Holders, append([]int{}, rapid.SliceOfN(rapid.IntRange(0, len(l.Nodes)-1), 0, 3).Draw(t, "holders")...))
	}
	return l
}

func anyOf[T any](t *rapid.T) any { return withEmpties(rapid.Make[T]().Draw(t, "result")) }

// TestAPIRoundTrip calls every method with arbitrary results and compares all that arrives at either end.
func TestAPIRoundTrip(t *testing.T) {
	const streams = 2 // SaveSnapshot and RestoreSnapshot have tests of their own
	if got, want := len(apiCalls)+streams, reflect.TypeFor[api.Service]().NumMethod(); got != want {
		t.Fatalf("%d methods are tested, api.Service has %d", got, want)
	}
	service := &fakeService{}
	c := client(t, ClientOptions{}, serve(t, ServerOptions{API: service}))
	for _, tc := range apiCalls {
		t.Run(tc.method, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var want any // for a method that returns nothing
				if tc.result != nil {
					want = tc.result(t)
				}
				service.respond = func(ctx context.Context, method string, argument any) (any, error) {
					if method != tc.method || !reflect.DeepEqual(argument, tc.argument) {
						return nil, api.Errorf(api.Internal, "called %s(%v), want %s(%v)", method, argument, tc.method, tc.argument)
					}
					return want, nil
				}
				got, err := tc.call(context.Background(), c)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
				}
			})
		})
	}
}

func TestAPIErrorsKeepTheirCodes(t *testing.T) {
	for code := range apiCodes {
		c := client(t, ClientOptions{}, serve(t, ServerOptions{API: failing(api.Errorf(code, "because of %d", code))}))
		for _, tc := range apiCalls {
			_, err := tc.call(t.Context(), c)
			var e *api.Error
			if !errors.As(err, &e) || e.Code != code || e.Message != (api.Errorf(code, "because of %d", code)).Message {
				t.Errorf("%s with code %d: got %#v", tc.method, code, err)
			}
		}
	}
}

func TestAPIErrorsOfOtherTypes(t *testing.T) {
	for err, want := range map[error]api.Code{
		errors.New("bug"):        api.Internal,
		context.DeadlineExceeded: api.Unavailable,
	} {
		c := client(t, ClientOptions{}, serve(t, ServerOptions{API: failing(err)}))
		if _, got := c.Status(t.Context()); api.CodeOf(got) != want || got.Error() != err.Error() {
			t.Errorf("%v arrived as %v with code %d", err, got, api.CodeOf(got))
		}
	}
}

func TestAPIMovesOn(t *testing.T) {
	var asked atomic.Int32
	good := serve(t, ServerOptions{API: &fakeService{respond: func(_ context.Context, method string, _ any) (any, error) {
		asked.Add(1)
		if method == "Status" {
			return api.Status{Healthy: true}, nil
		}
		return api.Job{Program: "wordcount"}, nil
	}}})
	unavailable := serve(t, ServerOptions{API: failing(api.Errorf(api.Unavailable, "no leader"))})
	notFound := serve(t, ServerOptions{API: failing(api.Errorf(api.NotFound, "no job is named x"))})
	dead := deadAddress(t)
	for _, tc := range []struct {
		name       string
		addresses  []string
		submit     bool // SubmitJob instead of Status
		wantCode   api.Code
		wantText   string
		wantAnswer bool
	}{
		{"past a dead one", []string{dead, good}, false, 0, "", true},
		{"past a dead one with an effect", []string{dead, good}, true, 0, "", true},
		{"past an unavailable one", []string{unavailable, good}, false, 0, "", true},
		{"not past an unavailable one with an effect", []string{unavailable, good}, true, api.Unavailable, "no leader", false},
		{"not past an answer", []string{notFound, good}, false, api.NotFound, "no job is named x", false},
		{"an answer tells more than silence", []string{unavailable, dead}, false, api.Unavailable, "no leader", false},
		{"nobody answers", []string{dead, dead}, false, api.Unavailable, "no coordinator answers at " + dead + ", " + dead + ": connection refused", false},
		{"no address", nil, false, api.Invalid, "no coordinator address is given", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked.Store(0)
			c := client(t, ClientOptions{}, tc.addresses...)
			var err error
			if tc.submit {
				_, err = c.SubmitJob(t.Context(), api.SubmitJobRequest{Program: "wordcount"})
			} else {
				_, err = c.Status(t.Context())
			}
			if (asked.Load() == 1) != tc.wantAnswer || (err == nil) != tc.wantAnswer {
				t.Fatalf("the good one was asked %d times; %v", asked.Load(), err)
			}
			if err != nil && (api.CodeOf(err) != tc.wantCode || !strings.Contains(err.Error(), tc.wantText)) {
				t.Errorf("got %v (code %d), want %q (code %d)", err, api.CodeOf(err), tc.wantText, tc.wantCode)
			}
		})
	}
}

func TestAPISeveralCauses(t *testing.T) {
	dead, silent := deadAddress(t), silentAddress(t)
	d := NewDialer(DialerOptions{ConnectTimeout: 50 * time.Millisecond})
	defer d.Close()
	_, err := client(t, ClientOptions{Dialer: d}, dead, silent).Status(t.Context())
	if api.CodeOf(err) != api.Unavailable || !strings.HasPrefix(err.Error(), "no coordinator answers at "+dead+" (connection refused), "+silent+" (") {
		t.Errorf("got %v", err)
	}
}

// A coordinator that hangs, stopped or cut off, leaves time for the others.
func TestAPIHungCoordinatorLeavesTimeForTheNext(t *testing.T) {
	hung := serve(t, ServerOptions{API: &fakeService{respond: func(ctx context.Context, _ string, _ any) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	good := serve(t, ServerOptions{API: &fakeService{respond: func(context.Context, string, any) (any, error) {
		return api.Status{Healthy: true}, nil
	}}})
	for _, first := range []string{hung, silentAddress(t)} {
		s, err := client(t, ClientOptions{Timeout: 2 * time.Second}, first, good).Status(t.Context())
		if err != nil || !s.Healthy {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// breaking is a service that breaks the connection of every call.
func breaking(t *testing.T, calls *atomic.Int32) string {
	t.Helper()
	var kill func()
	reached := make(chan struct{}, 1) // one call gets through
	address, kill := serveUntil(t, ServerOptions{API: &fakeService{respond: func(ctx context.Context, _ string, _ any) (any, error) {
		calls.Add(1)
		reached <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		<-reached
		kill()
	}()
	t.Cleanup(func() { wait(t, "the kill", killed) })
	return address
}

func TestAPIUnknownOutcome(t *testing.T) {
	for _, submit := range []bool{true, false} {
		var broken, good atomic.Int32
		second := serve(t, ServerOptions{API: &fakeService{respond: func(context.Context, string, any) (any, error) {
			good.Add(1)
			return api.Checkpoint{}, nil
		}}})
		c := client(t, ClientOptions{}, breaking(t, &broken), second)
		var err error
		if submit {
			_, err = c.SubmitJob(t.Context(), api.SubmitJobRequest{})
		} else {
			_, err = c.TriggerCheckpoint(t.Context(), "wc")
		}
		switch {
		case broken.Load() != 1:
			t.Errorf("the first coordinator was called %d times", broken.Load())
		case submit && (good.Load() != 0 || api.CodeOf(err) != api.Unavailable || !strings.Contains(err.Error(), "whether it took effect is unknown")):
			t.Errorf("a job may have been submitted twice: %v", err)
		case !submit && (good.Load() != 1 || err != nil):
			t.Errorf("a checkpoint was not triggered at the second coordinator: %v", err)
		}
	}
}

func TestAPIDeadline(t *testing.T) {
	var hasDeadline atomic.Bool
	address := serve(t, ServerOptions{API: &fakeService{respond: func(ctx context.Context, method string, _ any) (any, error) {
		_, bounded := ctx.Deadline()
		hasDeadline.Store(bounded)
		if method == "TriggerCheckpoint" {
			return api.Checkpoint{ID: 1}, nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	c := client(t, ClientOptions{Timeout: 50 * time.Millisecond}, address)
	if _, err := c.Status(t.Context()); api.CodeOf(err) != api.Unavailable || !hasDeadline.Load() {
		t.Errorf("a hung coordinator gave %v; the call had a deadline: %t", err, hasDeadline.Load())
	}
	if _, err := c.TriggerCheckpoint(t.Context(), "wc"); err != nil || hasDeadline.Load() {
		t.Errorf("trigger: %v; the call had a deadline: %t", err, hasDeadline.Load())
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := client(t, ClientOptions{Timeout: time.Nanosecond}, address).TriggerCheckpoint(ctx, "wc"); err != nil {
		t.Errorf("the caller's own deadline does not count: %v", err)
	}
}

func TestAPIForwarding(t *testing.T) {
	var forwarded atomic.Bool
	address := serve(t, ServerOptions{API: &fakeService{respond: func(ctx context.Context, _ string, _ any) (any, error) {
		forwarded.Store(Forwarded(ctx))
		return nil, api.Errorf(api.NotLeader, "c1 does not lead")
	}}})
	d := dialer(t)
	for _, forwarding := range []bool{true, false} {
		c := client(t, ClientOptions{Dialer: d, Forwarding: forwarding}, address)
		if _, err := c.Status(t.Context()); api.CodeOf(err) != api.NotLeader || forwarded.Load() != forwarding {
			t.Errorf("forwarding %t: the receiver saw %t; %v", forwarding, forwarded.Load(), err)
		}
		dead := client(t, ClientOptions{Dialer: d, Forwarding: forwarding}, deadAddress(t))
		_, err := dead.SubmitJob(t.Context(), api.SubmitJobRequest{})
		if got := api.CodeOf(err); (got == api.NotLeader) != forwarding {
			t.Errorf("forwarding %t: nobody there gave code %d", forwarding, got)
		}
	}
	if Forwarded(t.Context()) {
		t.Error("a call that did not come over the network counts as forwarded")
	}
}

func TestAPIStaleReads(t *testing.T) {
	var stale atomic.Bool
	c := client(t, ClientOptions{}, serve(t, ServerOptions{API: &fakeService{respond: func(ctx context.Context, _ string, _ any) (any, error) {
		stale.Store(api.Stale(ctx))
		return nil, nil
	}}}))
	for ctx, want := range map[context.Context]bool{t.Context(): false, api.WithStale(t.Context()): true} {
		if _, err := c.ListJobs(ctx); err != nil || stale.Load() != want {
			t.Errorf("asked for a stale read: %t, the receiver saw %t; %v", want, stale.Load(), err)
		}
	}
}

func TestAPIRequestsThatCannotBeSent(t *testing.T) {
	c := client(t, ClientOptions{}, deadAddress(t)) // where they never arrive
	for _, req := range []api.SubmitJobRequest{
		{Program: strings.Repeat("x", MaxMessageSize+1)},
		{Program: "bad\xffutf8"},
	} {
		_, err := c.SubmitJob(t.Context(), req)
		if api.CodeOf(err) != api.Invalid {
			t.Errorf("got code %d: %v", api.CodeOf(err), err)
		}
	}
}

func TestAPIAnswerOverTheLimit(t *testing.T) {
	c := client(t, ClientOptions{}, serve(t, ServerOptions{API: &fakeService{respond: func(context.Context, string, any) (any, error) {
		return api.Status{Problems: []string{strings.Repeat("x", MaxMessageSize)}}, nil
	}}}))
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "size limit") {
		t.Errorf("got %v", err)
	}
}

func TestAPINotACoordinator(t *testing.T) {
	node := serve(t, ServerOptions{Chunks: newChunkMap()})
	if _, err := client(t, ClientOptions{}, node).Status(t.Context()); api.CodeOf(err) != api.Invalid || !strings.Contains(err.Error(), "is not a coordinator") {
		t.Errorf("a node gave %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // some other server, which hangs up on what it does not understand
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("220 smtp.example ESMTP\r\n"))
			conn.Close()
		}
	}()
	defer func() { l.Close(); <-done }()
	_, err = client(t, ClientOptions{}, l.Addr().String()).Status(t.Context())
	if api.CodeOf(err) != api.Unavailable || !strings.HasPrefix(err.Error(), "no coordinator answers at "+l.Addr().String()) {
		t.Errorf("another server gave %v", err)
	}
}

func TestAPIHealthAndShutdown(t *testing.T) {
	address, kill := serveUntil(t, ServerOptions{API: failing(nil)})
	c := client(t, ClientOptions{}, address)
	if _, err := c.ListJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	kill()
	if _, err := c.ListJobs(t.Context()); api.CodeOf(err) != api.Unavailable {
		t.Errorf("after the server's end: %v", err)
	}
}
