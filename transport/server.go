package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"cairn/api"
	"cairn/transport/transportpb"
)

// ServerOptions name the handlers of a process: a coordinator gives Sessions and API, a node Channels and
// Chunks. A service without a handler is not offered.
type ServerOptions struct {
	Sessions SessionHandler
	API      api.Service
	Channels ChannelHandler
	Chunks   ChunkStore

	// SessionQueue bounds what a session queues for a node that does not keep up.
	SessionQueue QueueLimits
	// Logger receives what goes wrong and is told to no caller. Default: none.
	Logger *slog.Logger
}

// Server answers on the gRPC side of a Mux. It also offers gRPC's health and reflection services.
type Server struct {
	options ServerOptions
	log     *slog.Logger
	grpc    *grpc.Server
	health  *health.Server

	base    context.Context // done when Close begins; every long-lived stream ends with it
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // goroutines of streams, which may outlive their calls for a moment

	mu struct {
		sync.Mutex
		closed bool
	}
}

// handshakeTimeout bounds how long a connection may take to set HTTP/2 up.
const handshakeTimeout = 5 * time.Second

// NewServer makes a Server for the handlers that the options name. It answers nobody before Serve.
func NewServer(o ServerOptions) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, log: o.Logger, health: health.NewServer()}
	s.base, s.cancel = context.WithCancelCause(context.Background())
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.UnaryInterceptor(incomingStale),
		grpc.MaxRecvMsgSize(MaxMessageSize),
		grpc.MaxSendMsgSize(MaxMessageSize),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.KeepaliveParams(serverKeepalive),
		grpc.KeepaliveEnforcementPolicy(serverEnforcement),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.WaitForHandlers(true),
	)
	if o.Sessions != nil {
		transportpb.RegisterSessionServiceServer(s.grpc, &sessionServer{server: s, handler: o.Sessions})
	}
	if o.API != nil {
		transportpb.RegisterCoordinatorServiceServer(s.grpc, &apiServer{service: o.API})
	}
	if o.Channels != nil {
		transportpb.RegisterChannelServiceServer(s.grpc, &channelServer{server: s, handler: o.Channels})
	}
	if o.Chunks != nil {
		transportpb.RegisterChunkServiceServer(s.grpc, &chunkServer{store: o.Chunks, verifying: newVerifySlots()})
	}
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

// Serve answers on a listener (Mux.GRPC) until Close. It returns nil after Close, and an error when the
// listener failed.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(l)
	if errors.Is(err, grpc.ErrServerStopped) || s.base.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}

// Close takes no new calls, ends sessions and channels, and lets calls of the client API and chunk transfers
// finish until ctx is done. It returns when every goroutine has ended, with ctx's error when calls had to be
// broken off. Handlers must end when their ctx does. Closing twice is harmless.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	s.health.Shutdown()
	s.cancel(ErrShuttingDown)

	graceful := make(chan struct{}) // closed when every call has ended
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	var err error
	select {
	case <-graceful:
	case <-ctx.Done():
		err = fmt.Errorf("close server: calls were broken off: %w", ctx.Err())
		s.grpc.Stop()
		<-graceful
	}
	s.running.Wait()
	return err
}

// start runs f in a goroutine that Close waits for. It reports false, without running f, after Close.
func (s *Server) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.running.Go(f)
	return true
}

// serveStream runs serve in a goroutine beside the call, and ends the call as soon as either serve returns or
// ctx is done: because the peer died, the server is being closed, or serve itself called end. On the server's
// side of gRPC nothing but the end of the call unblocks a Send or Recv, so a serve that is stuck in one could
// not end its call itself.
func (s *Server) serveStream(stream grpc.ServerStream, serve func(context.Context, context.CancelCauseFunc) error) error {
	ctx, end := context.WithCancelCause(stream.Context())
	defer end(nil)
	defer context.AfterFunc(s.base, func() { end(ErrShuttingDown) })()
	served := make(chan error, 1) // serve's one result, which nobody may be waiting for
	if !s.start(func() { served <- serve(ctx, end) }) {
		return toStatus(ErrShuttingDown)
	}
	select {
	case err := <-served:
		return toStatus(err)
	case <-ctx.Done():
		return toStatus(context.Cause(ctx))
	}
}
