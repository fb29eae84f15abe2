package exchange

import "testing"

func TestTooMuchInFlightIsGivenUp(t *testing.T) {
	s := NewChannelState([]Input{{}})
	s.open(1)
	frame := CopyFrame(make([]byte, 1<<20))
	for range maxInFlight>>20 + 1 {
		s.addInput(0, frame)
	}
	if _, err := s.Take(t.Context()); err != errInFlight {
		t.Errorf("got %v", err)
	}
	s.GiveUp()
	if n := frame.users.Load(); n != 1 {
		t.Errorf("the frame has %d users left, want its queue", n)
	}
}
