package transport

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// sessionFunc makes a function a SessionHandler.
type sessionFunc func(context.Context, checkpoint.Hello, NodeSession) error

func (f sessionFunc) ServeSession(ctx context.Context, hello checkpoint.Hello, s NodeSession) error {
	return f(ctx, hello, s)
}

var testHello = checkpoint.Hello{
	Node:  checkpoint.NodeRef{ID: "n1", Incarnation: 1 << 60, Address: "127.0.0.1:7490"},
	Slots: 4, Programs: []string{"wordcount"}, Version: "test",
}

func openSession(t *testing.T, d *Dialer, address string) *Session {
	t.Helper()
	s, err := d.OpenSession(t.Context(), address, testHello)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSessionBothWays(t *testing.T) {
	const n = 500
	hellos := make(chan checkpoint.Hello, 1)
	served := make(chan error, 1)
	address := serve(t, ServerOptions{Sessions: sessionFunc(func(ctx context.Context, hello checkpoint.Hello, s NodeSession) error {
		hellos <- hello
		served <- func() error {
			for i := range n { // answers each heartbeat only after it was read: order and interleaving
				m, err := s.Recv()
				if err != nil {
					return err
				}
				if want := (checkpoint.Report{Term: checkpoint.Term(i)}); !reflect.DeepEqual(m, want) {
					return errors.New("messages from the node came out of order")
				}
				if err := s.Send(checkpoint.Leading{Term: checkpoint.Term(i), Leader: "c1"}); err != nil {
					return err
				}
			}
			return nil
		}()
		<-ctx.Done()
		return ctx.Err()
	})})
	s := openSession(t, dialer(t), address)
	go func() {
		for i := range n {
			if err := s.Send(checkpoint.Report{Term: checkpoint.Term(i)}); err != nil {
				t.Errorf("send %d: %v", i, err)
			}
		}
	}()
	for i := range n {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if want := (checkpoint.Leading{Term: checkpoint.Term(i), Leader: "c1"}); m != want {
			t.Fatalf("got %v, want %v", m, want)
		}
	}
	if got := wait(t, "the hello", hellos); !reflect.DeepEqual(got, testHello) {
		t.Errorf("hello %+v, want %+v", got, testHello)
	}
	if err := wait(t, "the handler", served); err != nil {
		t.Error(err)
	}
}

func TestSessionOpenFails(t *testing.T) {
	noSessions := serve(t, ServerOptions{})
	dead := deadAddress(t)
	silent := silentAddress(t)
	d := dialer(t)
	for _, tc := range []struct {
		name, address string
		wantText      string
		wantIs        error
	}{
		{"nobody listens", dead, "unreachable: connection refused", ErrUnreachable},
		{"not a coordinator", noSessions, "unknown service", nil},
		{"no answer", silent, "deadline exceeded", context.DeadlineExceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timeout := patience
			if tc.wantIs == context.DeadlineExceeded {
				timeout = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := d.OpenSession(ctx, tc.address, testHello)
			if err == nil || !strings.Contains(err.Error(), tc.wantText) || !strings.Contains(err.Error(), tc.address) {
				t.Fatalf("got %v, want an error with %q and the address %s", err, tc.wantText, tc.address)
			}
			if tc.wantIs != nil {
				wantError(t, err, tc.wantIs)
			}
		})
	}
}

func TestSessionEndedByHandlerTellsWhy(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errors.New("a newer session of n1 replaced this one"), "a newer session of n1 replaced this one"},
		{nil, "the coordinator ended the session"},
	} {
		address := serve(t, ServerOptions{Sessions: sessionFunc(func(context.Context, checkpoint.Hello, NodeSession) error {
			return tc.err
		})})
		d := dialer(t)
		s, err := d.OpenSession(t.Context(), address, testHello)
		if err == nil {
			_, err = s.Recv()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestSessionToSlowNodeOverflows(t *testing.T) {
	overflowed := make(chan error, 1)
	ended := make(chan error, 1)
	options := ServerOptions{SessionQueue: QueueLimits{Messages: 16}}
	options.Sessions = sessionFunc(func(ctx context.Context, _ checkpoint.Hello, s NodeSession) error {
		large := checkpoint.PlanJob{Program: strings.Repeat("x", 64<<10)}
		var err error
		for err == nil { // would block for ever if Send waited for the node, which does not read
			err = s.Send(large)
		}
		overflowed <- err
		_, err = s.Recv()
		ended <- err
		return err
	})
	s := openSession(t, dialer(t), serve(t, options))
	wantError(t, wait(t, "the overflow", overflowed), ErrOverflow)
	wantError(t, wait(t, "the end of the session at the coordinator", ended), ErrOverflow)
	var err error
	for err == nil { // what was sent before comes through
		_, err = s.Recv()
	}
	wantError(t, err, ErrOverflow)
}

func TestSessionToSlowCoordinatorOverflows(t *testing.T) {
	address := serve(t, ServerOptions{Sessions: sessionFunc(func(ctx context.Context, _ checkpoint.Hello, _ NodeSession) error {
		<-ctx.Done() // reads nothing
		return ctx.Err()
	})})
	d := NewDialer(DialerOptions{SessionQueue: QueueLimits{Bytes: 1 << 20}})
	defer d.Close()
	s := openSession(t, d, address)
	large := checkpoint.Decline{Reason: checkpoint.ReasonDeclined, Message: strings.Repeat("x", 64<<10)}
	var err error
	for err == nil {
		err = s.Send(large)
	}
	wantError(t, err, ErrOverflow)
	_, err = s.Recv()
	wantError(t, err, ErrOverflow)
	wantError(t, s.Send(checkpoint.Heartbeat{}), ErrOverflow)
}

func TestSessionPeerDies(t *testing.T) {
	lost := make(chan error, 1)
	handler := sessionFunc(func(ctx context.Context, _ checkpoint.Hello, s NodeSession) error {
		_, err := s.Recv()
		<-ctx.Done()
		lost <- err
		return err
	})
	t.Run("node", func(t *testing.T) {
		d := NewDialer(DialerOptions{})
		openSession(t, d, serve(t, ServerOptions{Sessions: handler}))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := wait(t, "the coordinator to notice", lost); err == nil {
			t.Error("the coordinator's Recv returned no error")
		}
	})
	t.Run("coordinator", func(t *testing.T) {
		address, kill := serveUntil(t, ServerOptions{Sessions: handler})
		s := openSession(t, dialer(t), address)
		kill()
		if _, err := s.Recv(); err == nil {
			t.Error("the node's Recv returned no error")
		}
		if err := s.Send(checkpoint.Heartbeat{}); err == nil {
			t.Error("the node's Send returned no error after the session had ended")
		}
		wait(t, "the handler to end", lost)
	})
}

func TestSessionServerCloseSaysSo(t *testing.T) {
	mux := listen(t, MuxOptions{})
	server := NewServer(ServerOptions{Sessions: sessionFunc(func(ctx context.Context, _ checkpoint.Hello, s NodeSession) error {
		_, err := s.Recv()
		return err
	})})
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.GRPC()) }()
	s := openSession(t, dialer(t), mux.Addr().String())
	if err := server.Close(t.Context()); err != nil {
		t.Fatalf("an open session kept the server from closing in good order: %v", err)
	}
	_, err := s.Recv()
	wantError(t, err, ErrShuttingDown)
	if err := wait(t, "Serve", served); err != nil {
		t.Error(err)
	}
	if err := server.Close(t.Context()); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestSessionMessageOverTheLimit(t *testing.T) {
	received := make(chan checkpoint.FromNode, 1)
	address := serve(t, ServerOptions{Sessions: sessionFunc(func(ctx context.Context, _ checkpoint.Hello, s NodeSession) error {
		if err := s.Send(checkpoint.PlanJob{Program: strings.Repeat("x", MaxMessageSize)}); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("coordinator's Send returned %v", err)
		}
		m, err := s.Recv()
		if err != nil {
			return err
		}
		received <- m
		<-ctx.Done()
		return ctx.Err()
	})})
	s := openSession(t, dialer(t), address)
	err := s.Send(checkpoint.JobPlanned{Error: strings.Repeat("x", MaxMessageSize)})
	wantError(t, err, ErrMessageTooLarge)
	if !strings.Contains(err.Error(), "16777216") {
		t.Errorf("error %q does not name the limit", err)
	}
	if err := s.Send(checkpoint.Heartbeat{}); err != nil {
		t.Fatalf("the session did not survive: %v", err)
	}
	if m := wait(t, "the next message", received); m != (checkpoint.Heartbeat{}) {
		t.Errorf("received %v", m)
	}
}

func TestSessionMalformedMessagesEndIt(t *testing.T) {
	for name, messages := range map[string][]*transportpb.FromNode{
		"no hello":     {{Message: &transportpb.FromNode_Heartbeat{}}},
		"nothing":      {{}},
		"second hello": {helloToPB(t), helloToPB(t)},
		"bad enum": {helloToPB(t), {Message: &transportpb.FromNode_Decline{Decline: &transportpb.Decline{
			Job: testJob[:], Reason: 99,
		}}}},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, ServerOptions{Sessions: sessionFunc(func(_ context.Context, _ checkpoint.Hello, s NodeSession) error {
				m, err := s.Recv()
				if err == nil {
					t.Errorf("the handler was given %v", m)
				}
				return err
			})})
			c, err := dialer(t).conn(address, laneControl)
			if err != nil {
				t.Fatal(err)
			}
			stream, err := transportpb.NewSessionServiceClient(c).OpenSession(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if err := stream.Send(m); err != nil {
					t.Fatal(err)
				}
			}
			_, err = stream.Recv()
			if err == nil || !strings.Contains(err.Error(), ErrMalformed.Error()) {
				t.Errorf("got %v, want it refused as malformed", err)
			}
		})
	}
}

func helloToPB(t *testing.T) *transportpb.FromNode {
	t.Helper()
	pb, err := fromNodeToPB(testHello)
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

func TestSessionCloseUnblocksRecv(t *testing.T) {
	address := serve(t, ServerOptions{Sessions: sessionFunc(func(ctx context.Context, _ checkpoint.Hello, s NodeSession) error {
		_, err := s.Recv()
		return err
	})})
	s := openSession(t, dialer(t), address)
	received := make(chan error, 1)
	go func() {
		_, err := s.Recv()
		received <- err
	}()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, wait(t, "Recv", received), ErrClosed)
	wantError(t, s.Send(checkpoint.Heartbeat{}), ErrClosed)
}
