package dataflow

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cairn/checkpoint"
)

// maxInFlight bounds the bytes in flight that a snapshot has taken in and not stored yet. More than that means that the
// store is slower than the records, while the last barriers are long in coming.
const maxInFlight = 64 << 20

var (
	// errOvertaken: a channel delivered a newer barrier, so that of this checkpoint will not come.
	errOvertaken = errors.New("a newer barrier arrived before its own on one of the channels")
	// errCancelled: upstream has given the checkpoint up, and told the coordinator.
	errCancelled = errors.New("the checkpoint was cancelled upstream")
	errInFlight  = fmt.Errorf("more than %d MiB of records in flight wait to be stored", maxInFlight>>20)
)

// channelState takes in the records in flight that a snapshot covers, and hands them to its upload while it still grows.
// It is open until the barrier has arrived on each input channel that it records, and has been sent on each output
// channel that it waits in. Its methods are safe for concurrent use.
type channelState struct {
	topology checkpoint.Topology
	inputs   []inputRef    // of the task, by channel
	wake     chan struct{} // capacity 1, never closed: there are frames, or it is complete

	mu struct {
		sync.Mutex
		frames []frameInFlight // not yet taken by the upload
		bytes  int             // in frames
		open   int             // channels that may add more
		err    error           // it can not be completed
		given  bool            // up: nobody takes what is added
		total  int64           // bytes taken in
	}
}

// edgeEnd is one end of an edge: that of the task whose snapshot it is.
type edgeEnd struct {
	output bool // the task sends
	edge   int
}

// frameInFlight is a frame on its way along a channel.
type frameInFlight struct {
	end   edgeEnd
	peer  int // index of the subtask at the other end
	frame *buffer
}

func newChannelState(t *Task) *channelState {
	return &channelState{topology: t.topology, inputs: t.inputs, wake: make(chan struct{}, 1)}
}

func (s *channelState) addInput(channel int, frame *buffer) {
	ref := s.inputs[channel]
	s.add(frameInFlight{end: edgeEnd{edge: ref.edge}, peer: ref.from, frame: frame})
}

func (s *channelState) addOutput(id ChannelID, frame *buffer) {
	s.add(frameInFlight{end: edgeEnd{output: true, edge: id.Edge}, peer: id.To, frame: frame})
}

func (s *channelState) add(f frameInFlight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.given || s.mu.err != nil {
		return
	}
	f.frame.share()
	s.mu.frames = append(s.mu.frames, f)
	s.mu.bytes += len(f.frame.data)
	s.mu.total += int64(len(f.frame.data))
	if s.mu.bytes > maxInFlight {
		s.mu.err = errInFlight
	}
	signal(s.wake)
}

// open says that so many channels may add more until each has called close. It is called before the upload begins.
func (s *channelState) open(channels int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.open += channels
}

// close says that one channel adds nothing more.
func (s *channelState) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.open--
	signal(s.wake)
}

// fail says that the barrier of a channel will not come.
func (s *channelState) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err == nil {
		s.mu.err = err
	}
	signal(s.wake)
}

// take waits for frames and returns them, or none when all have been taken. The caller releases them.
func (s *channelState) take(ctx context.Context) ([]frameInFlight, error) {
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

func (s *channelState) poll() (frames []frameInFlight, complete bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err != nil {
		return nil, false, s.mu.err
	}
	frames = s.mu.frames
	s.mu.frames, s.mu.bytes = nil, 0
	return frames, s.mu.open == 0, nil
}

// giveUp releases what has not been taken. What is added from now on is forgotten.
func (s *channelState) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.given = true
	for _, f := range s.mu.frames {
		f.frame.release()
	}
	s.mu.frames = nil
}

// size returns the bytes taken in so far.
func (s *channelState) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.total
}
