package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// maxInFlight bounds the bytes in flight that a snapshot has taken in and not stored yet. More than that means that the
// store is slower than the records, while the last barriers are long in coming.
const maxInFlight = 64 << 20

var (
	// ErrOvertaken: a channel delivered a newer barrier, so that of this checkpoint will not come.
	ErrOvertaken = errors.New("a newer barrier arrived before its own on one of the channels")
	// ErrCancelled: upstream has given the checkpoint up, and told the coordinator.
	ErrCancelled = errors.New("the checkpoint was cancelled upstream")
	errInFlight  = fmt.Errorf("more than %d MiB of records in flight wait to be stored", maxInFlight>>20)
)

// ChannelState takes in the records in flight that a snapshot covers, and hands them to its upload while it still grows.
// It is open until the barrier has arrived on each input channel that it records, and has been sent on each output
// channel that it waits in. Its methods are safe for concurrent use.
type ChannelState struct {
	inputs []Input       // of the task, by channel
	wake   chan struct{} // capacity 1, never closed: there are frames, or it is complete

	mu struct {
		sync.Mutex
		frames []FrameInFlight // not yet taken by the upload
		bytes  int             // in frames
		open   int             // channels that may add more
		err    error           // it can not be completed
		given  bool            // up: nobody takes what is added
		total  int64           // bytes taken in
	}
}

// Input is one input channel of a task. Its position among the task's inputs is its number in the gate.
type Input struct {
	Edge int // position in Topology.Edges
	From int // index of the sending subtask
}

// EdgeEnd is one end of an edge: that of the task whose snapshot it is.
type EdgeEnd struct {
	Output bool // the task sends
	Edge   int  // position in Topology.Edges
}

// FrameInFlight is a frame on its way along a channel.
type FrameInFlight struct {
	End   EdgeEnd
	Peer  int // index of the subtask at the other end
	Frame *Buffer
}

// NewChannelState returns a state that takes in nothing yet, of the task with the given inputs.
func NewChannelState(inputs []Input) *ChannelState {
	return &ChannelState{inputs: inputs, wake: make(chan struct{}, 1)}
}

func (s *ChannelState) addInput(channel int, frame *Buffer) {
	ref := s.inputs[channel]
	s.add(FrameInFlight{End: EdgeEnd{Edge: ref.Edge}, Peer: ref.From, Frame: frame})
}

func (s *ChannelState) addOutput(id ChannelID, frame *Buffer) {
	s.add(FrameInFlight{End: EdgeEnd{Output: true, Edge: id.Edge}, Peer: id.To, Frame: frame})
}

func (s *ChannelState) add(f FrameInFlight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.given || s.mu.err != nil {
		return
	}
	f.Frame.share()
	s.mu.frames = append(s.mu.frames, f)
	s.mu.bytes += len(f.Frame.data)
	s.mu.total += int64(len(f.Frame.data))
	if s.mu.bytes > maxInFlight {
		s.mu.err = errInFlight
	}
	signal(s.wake)
}

// open says that so many channels may add more until each has called close. It is called before the upload begins.
func (s *ChannelState) open(channels int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.open += channels
}

// close says that one channel adds nothing more.
func (s *ChannelState) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.open--
	signal(s.wake)
}

// fail says that the barrier of a channel will not come.
func (s *ChannelState) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err == nil {
		s.mu.err = err
	}
	signal(s.wake)
}

// Take waits for frames and returns them, or none when all have been taken. The caller releases them. It fails with
// ErrOvertaken or ErrCancelled when the snapshot can not be completed, with another error when too much waits, and with ctx's.
func (s *ChannelState) Take(ctx context.Context) ([]FrameInFlight, error) {
	for {
		frames, complete, err := s.poll()
		if len(frames) > 0 || complete || err != nil {
			return frames, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *ChannelState) poll() (frames []FrameInFlight, complete bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err != nil {
		return nil, false, s.mu.err
	}
	frames = s.mu.frames
	s.mu.frames, s.mu.bytes = nil, 0
	return frames, s.mu.open == 0, nil
}

// GiveUp releases what has not been taken. What is added from now on is forgotten.
func (s *ChannelState) GiveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.given = true
	for _, f := range s.mu.frames {
		f.Frame.Release()
	}
	s.mu.frames = nil
}

// Size returns the bytes taken in so far.
func (s *ChannelState) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.total
}
