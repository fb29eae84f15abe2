// Package transport carries everything that crosses the network between Cairn's processes: Raft, the sessions
// between coordinators and task nodes, the data channels between tasks, chunks of snapshotted state, and the
// client API. It maps Go values to protobuf and back, and nothing outside it knows of gRPC codes or statuses.
//
// A process listens on one TCP port. Listen returns a Mux that tells Raft's connections from gRPC's by their
// first bytes; a Server answers on the gRPC side with the services whose handlers it is given; a Dialer is the
// calling side, one for a whole process. Control messages, data channels and chunks travel on connections of
// their own, so that bulk transfer never delays a control message.
//
// Threading: Mux, Server, Dialer, Peer and Client are safe for concurrent use. A Session, a NodeSession and a
// ChannelWriter say in their own comments which of their methods may run side by side. Whoever closes a Mux, a
// Server or a Dialer has waited for every goroutine that it started.
//
// Failures: nothing here retries on its own except Client, which moves on to the next address. A peer that
// dies ends its streams at once, one that hangs ends them after the keepalive (at most 15 s). A call to an
// address where nobody listens fails at once. Errors that the two sides must tell apart are sentinels of this
// package (ErrUnknownAttempt, ErrChunkNotFound and so on), and compare equal with errors.Is on both sides.
package transport
