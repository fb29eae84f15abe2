package exchange

import (
	"context"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// someTime is when outputs are tested that do not depend on it.
var someTime = time.UnixMilli(1_000_000)

// stubChannel is a channel whose credit the test gives. It is a Connector, too.
type stubChannel struct {
	credit int // frames
	frames [][]byte
	ready  func()
}

func (s *stubChannel) Connect(_ context.Context, _ checkpoint.NodeRef, _ ChannelID, ready func()) (FrameWriter, error) {
	s.ready = ready
	return s, nil
}

func (s *stubChannel) TryWrite(frame []byte) (bool, error) {
	if s.credit == 0 {
		return false, nil
	}
	s.credit--
	return true, s.Force(frame)
}

func (s *stubChannel) Force(frame []byte) error {
	s.frames = append(s.frames, slices.Clone(frame))
	return nil
}

func (s *stubChannel) Close() error { return nil }

// kinds returns the kind of each frame sent, and the ID of each barrier as ten times that.
func (s *stubChannel) kinds(t *testing.T) (kinds []int) {
	t.Helper()
	for _, f := range s.frames {
		if HoldsRecords(f) {
			kinds = append(kinds, int(f[0]))
			continue
		}
		e, err := DecodeEvent(f)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, int(e.Kind)+10*int(e.Barrier.ID+e.Cancel))
	}
	return kinds
}

// unobserved is an Observer that nobody reads.
type unobserved struct{}

func (unobserved) OnQueued(int) {}
func (unobserved) OnStop()      {}
func (unobserved) OnResume()    {}

// records is a batch of n records of a byte each.
func records(n int) []byte {
	frame := ResetRecords(nil, FrameRecords)
	for v := range n {
		frame = append(frame, byte(v))
	}
	SealRecords(frame, n)
	return frame
}

// stubOutput is an output with one channel that has no credit.
func stubOutput(t *testing.T) (*Output, *stubChannel) {
	t.Helper()
	s := &stubChannel{}
	b := NewBacklog(DefaultFlow(), unobserved{})
	o := &Output{Backlog: b, Channels: []*OutputChannel{{Name: "the channel"}}}
	if err := o.Connect(t.Context(), s, o.Channels[0]); err != nil {
		t.Fatal(err)
	}
	return o, s
}

// emit adds a batch of records to an output.
func emit(t *testing.T, o *Output, n int) {
	t.Helper()
	c := o.Channels[0]
	c.frame, c.count = append(c.frame[:0], records(n)...), n
	if err := o.send(c); err != nil {
		t.Fatal(err)
	}
}

func sendBarrier(t *testing.T, o *Output, id checkpoint.ID, alignment checkpoint.Alignment) *ChannelState {
	t.Helper()
	s := NewChannelState(nil)
	b := barrierOf(id, alignment)
	b.Timestamp, b.AlignmentTimeout = checkpoint.Timestamp(someTime.UnixMilli()), time.Second
	if err := o.Barrier(b, someTime, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// wantInFlight checks which batches, by their numbers of records, a snapshot has of an output, and whether it is complete.
func wantInFlight(t *testing.T, what string, s *ChannelState, complete bool, batches ...int) {
	t.Helper()
	frames, done, err := s.poll()
	if err != nil || done != complete || len(frames) != len(batches) {
		t.Fatalf("%s: %d batches are in flight, complete %t, %v; want %d, %t", what, len(frames), done, err, len(batches), complete)
	}
	for i, n := range batches {
		if !slices.Equal(frames[i].Frame.data, records(n)) {
			t.Errorf("%s: batch %d is not the one of %d records", what, i, n)
		}
	}
}

// TestBarrierOvertakesTheOutputQueue: it goes out at once, and what it overtakes is in the snapshot and follows.
func TestBarrierOvertakesTheOutputQueue(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	emit(t, o, 2)
	state := sendBarrier(t, o, 7, checkpoint.AlignmentUnaligned)
	emit(t, o, 3)
	wantInFlight(t, "unaligned", state, true, 1, 2)
	if got := s.kinds(t); !slices.Equal(got, []int{72}) {
		t.Errorf("sent %v", got)
	}
	s.credit = 10
	if err := o.Backlog.Drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds(t); !slices.Equal(got, []int{72, 1, 1, 1}) || o.Backlog.bytes != 0 || o.Backlog.full != 0 {
		t.Errorf("sent %v, %d bytes left in %d full channels", got, o.Backlog.bytes, o.Backlog.full)
	}
}

// TestBarriersDoNotOvertakeEachOther: the receiver relies on their order. What lies before the older one is before the
// newer one, too, and in nobody's snapshot.
func TestBarriersDoNotOvertakeEachOther(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	sendBarrier(t, o, 7, checkpoint.AlignmentAligned)
	emit(t, o, 2)
	wantInFlight(t, "behind an aligned one", sendBarrier(t, o, 8, checkpoint.AlignmentUnaligned), true, 2)
	s.credit = 10
	if err := o.Backlog.Drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds(t); !slices.Equal(got, []int{1, 72, 82, 1}) {
		t.Errorf("sent %v", got)
	}
}

// TestB7_BarrierOvertakesTheOutputQueueAfterItsTimeout: until then its snapshot stays open.
func TestB7_BarrierOvertakesTheOutputQueueAfterItsTimeout(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	sent := sendBarrier(t, o, 7, checkpoint.AlignmentAdaptive)
	emit(t, o, 2)
	late := sendBarrier(t, o, 8, checkpoint.AlignmentAdaptive)
	wantInFlight(t, "queued", sent, false)
	s.credit = 2
	if err := o.Backlog.Drain(); err != nil {
		t.Fatal(err)
	}
	wantInFlight(t, "sent in its turn", sent, true)
	due, set := o.Backlog.Deadline()
	if want := someTime.Add(time.Second); !set || !due.Equal(want) {
		t.Fatalf("it overtakes at %s (%t), want %s", due, set, want)
	}
	if err := o.Backlog.OnTimeout(due.Add(-1)); err != nil {
		t.Fatal(err)
	}
	wantInFlight(t, "before its time", late, false)
	if err := o.Backlog.OnTimeout(due); err != nil {
		t.Fatal(err)
	}
	wantInFlight(t, "after its time", late, true, 2)
	if got := s.kinds(t); !slices.Equal(got, []int{1, 72, 82}) {
		t.Errorf("sent %v", got)
	}
	last, err := DecodeEvent(s.frames[2])
	if err != nil || last.Barrier.Alignment != checkpoint.AlignmentUnaligned {
		t.Errorf("the barrier that overtakes is %s, %v", last.Barrier.Alignment, err)
	}
	if _, set := o.Backlog.Deadline(); set {
		t.Error("the timeout of a barrier that has gone out is still awaited")
	}
}

func TestCancellationTakesTheBarrierBack(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	sendBarrier(t, o, 7, checkpoint.AlignmentAligned)
	if err := o.Cancel(7); err != nil {
		t.Fatal(err)
	}
	s.credit = 10
	if err := o.Backlog.Drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds(t); !slices.Equal(got, []int{73, 1}) {
		t.Errorf("sent %v", got)
	}
}
