package exchange

import (
	"errors"
	"fmt"
)

// receiver is the writing end of an input channel, for the transport.
type receiver struct {
	gate    *Gate
	channel int
	name    string // for errors: sending and receiving subtask and the sender's node
}

var _ FailingWriter = (*receiver)(nil)

// Accept connects a channel, once, and returns where the sender's frames are to be written. name stands for the channel in
// errors. grant is called with the credit that the sender has at first, before Accept returns, and whenever it gets more; it
// returns at once.
func (g *Gate) Accept(channel int, name string, grant func(Credit)) (FailingWriter, error) {
	if err := g.accept(channel, grant); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &receiver{gate: g, channel: channel, name: name}, nil
}

func (r *receiver) TryWrite(frame []byte) (sent bool, err error) {
	if sent, err = r.gate.tryPut(r.channel, frame); err != nil {
		return sent, fmt.Errorf("%s: %w", r.name, err)
	}
	return sent, nil
}

func (r *receiver) Force(frame []byte) error {
	sent, err := r.TryWrite(frame)
	if err == nil && !sent {
		return fmt.Errorf("%s: %w", r.name, errCredit)
	}
	return err
}

// Close breaks the channel unless its end of partition has been written.
func (r *receiver) Close() error {
	r.Fail(errors.New("closed before its end"))
	return nil
}

// Fail breaks the channel for the given cause, unless its end of partition has been written.
func (r *receiver) Fail(cause error) {
	r.gate.fail(r.channel, &ChannelError{fmt.Errorf("%s broke: %w", r.name, cause)})
}
