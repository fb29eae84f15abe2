package transport

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"cairn/api"
	"cairn/transport/transportpb"
)

// ClientOptions are the settings of a Client. The zero value is fit for use.
type ClientOptions struct {
	// Timeout bounds each call as a whole, over all addresses, when its context has no deadline. It does not
	// apply to what takes its time: checkpoints, savepoints and snapshots. Default: 5 s.
	Timeout time.Duration
	// Dialer shares connections with others; the Client does not close it. Default: one of the Client's own.
	Dialer *Dialer
	// Forwarding marks the calls as forwarded by a coordinator (see Forwarded). A coordinator that cannot be
	// connected to is then reported as api.NotLeader, because the call certainly had no effect there and may be
	// made again.
	Forwarding bool
}

// Client is the client API of a cluster, asked over the network. It tries the addresses in their order: any
// coordinator answers, so it moves on to the next where one is not reached, or says that it is unavailable.
//
// A call that may have had an effect is not repeated elsewhere when that could make the effect twice, as it could for
// SubmitJob: then it returns api.Unavailable, and says that the outcome is unknown.
type Client struct {
	addresses []string
	options   ClientOptions
	dialer    *Dialer
}

var _ api.Service = (*Client)(nil)

// NewClient makes a client of the cluster with coordinators at addrs (host:port). It connects to nobody yet.
func NewClient(addrs []string, o ClientOptions) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	c := &Client{addresses: addrs, options: o, dialer: o.Dialer}
	if c.dialer == nil {
		c.dialer = NewDialer(DialerOptions{})
	}
	return c
}

// Close closes the connections, unless they are of a shared Dialer.
func (c *Client) Close() error {
	if c.options.Dialer != nil {
		return nil
	}
	return c.dialer.Close()
}

// method describes one method of api.Service to call.
type method[P proto.Message, R any] struct {
	manner
	invoke func(transportpb.CoordinatorServiceClient, context.Context, P, ...grpc.CallOption) (R, error)
}

// manner is how a method is called.
type manner struct {
	name string
	// once says that the call must not be made twice when its outcome is unknown.
	once bool
	// patient says that the call waits for something that takes its time.
	patient bool
}

// call makes a call at one address after the other until one has answered for good.
func call[P proto.Message, R, T any](ctx context.Context, c *Client, m method[P, R], request P, fromPB func(R) T) (T, error) {
	var none T
	if err := checkRequest(m.name, request); err != nil {
		return none, err
	}
	var response R
	err := c.ask(ctx, m.manner, func(ctx context.Context, to transportpb.CoordinatorServiceClient, o grpc.CallOption) (err error) {
		response, err = m.invoke(to, ctx, request, o)
		return err
	})
	if err != nil {
		return none, err
	}
	return fromPB(response), nil
}

// exchange is what a call does at one coordinator. It passes the option on to gRPC. An *api.Error that it returns is
// final.
type exchange func(context.Context, transportpb.CoordinatorServiceClient, grpc.CallOption) error

// ask makes an exchange with one coordinator after the other until one has answered for good.
func (c *Client) ask(ctx context.Context, how manner, with exchange) error {
	if _, bounded := ctx.Deadline(); !bounded && !how.patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
		defer cancel()
	}
	if c.options.Forwarding {
		ctx = metadata.AppendToOutgoingContext(ctx, forwardedKey, "1")
	}
	ctx = outgoingStale(ctx)
	failed := failures{method: how.name, once: how.once, forwarding: c.options.Forwarding}
	for i, address := range c.addresses {
		target, err := c.dialer.conn(address, laneControl)
		if err != nil {
			return api.Errorf(api.Unavailable, "%s: %s", how.name, err)
		}
		var reached peer.Peer
		attempt, cancel := ctx, func() {}
		if !how.once && !how.patient && i < len(c.addresses)-1 {
			attempt, cancel = share(ctx)
		}
		err = with(attempt, transportpb.NewCoordinatorServiceClient(target), grpc.Peer(&reached))
		cancel()
		if err == nil {
			return nil
		}
		if final := failed.add(target, reached.Addr != nil, err); final || ctx.Err() != nil {
			break
		}
	}
	return failed.err()
}

// share gives one address half of the time that is left, so that one which hangs leaves time for the others.
func share(ctx context.Context) (context.Context, func()) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// checkRequest refuses what could not be sent, before anybody is bothered with it.
func checkRequest(name string, request proto.Message) error {
	encoded, err := proto.Marshal(request)
	switch {
	case err != nil:
		return api.Errorf(api.Invalid, "%s: the request cannot be sent: %s", name, err)
	case len(encoded) > MaxMessageSize:
		return api.Errorf(api.Invalid, "%s: a request of %d bytes is over the size limit of %d", name, len(encoded), MaxMessageSize)
	}
	return nil
}

// failures collect why a call did not succeed at the addresses tried.
type failures struct {
	method     string
	once       bool
	forwarding bool

	// answer is the last error that came from a coordinator, or of one that was reached; it tells more than
	// that others were not.
	answer    *api.Error
	addresses []string // that were not reached
	causes    []string // for each of them
}

// add notes why the call failed at target, and reports whether that is final.
func (f *failures) add(target *conn, reached bool, err error) bool {
	if errors.As(err, &f.answer) {
		return true // of this side's
	}
	if answer := apiFromStatus(err); answer != nil {
		f.answer = answer
		return answer.Code != api.Unavailable || f.once
	}
	if !reached {
		f.addresses = append(f.addresses, target.address)
		f.causes = append(f.causes, target.cause(err))
		return false
	}
	f.answer = apiUnanswered(f.method, target.address, err)
	if f.once && f.answer.Code == api.Unavailable {
		f.answer.Message += "; whether it took effect is unknown"
	}
	return f.answer.Code != api.Unavailable || f.once
}

// err returns the error for the whole call.
func (f *failures) err() error {
	switch {
	case f.answer != nil:
		return f.answer
	case len(f.addresses) == 0:
		return api.Errorf(api.Invalid, "%s: no coordinator address is given", f.method)
	}
	code := api.Unavailable
	if f.forwarding {
		code = api.NotLeader
	}
	for _, cause := range f.causes {
		if cause != f.causes[0] {
			return api.Errorf(code, "no coordinator answers at %s", strings.Join(f.each(), ", "))
		}
	}
	return api.Errorf(code, "no coordinator answers at %s: %s", strings.Join(f.addresses, ", "), f.causes[0])
}

func (f *failures) each() []string {
	lines := make([]string, len(f.addresses))
	for i, address := range f.addresses {
		lines[i] = address + " (" + f.causes[i] + ")"
	}
	return lines
}
