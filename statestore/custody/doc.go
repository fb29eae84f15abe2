// Package custody is what a task node does with its own part of the state store at the leader's word: it tells which
// chunks it holds and how that changes, makes copies that the leader orders, and asks the leader where chunks are.
//
// # What the leader is told
//
// Where chunks are is soft state of the leader (HDFS treats its blocks so). A leader that has just been met gets the list
// of all chunks, in pieces, and from then on what changes. Both come from one goroutine: what is sent later was true
// later, so that the leader's picture is that of the disk once all has arrived, whatever happened on the disk meanwhile.
//
//   - A change is gathered before it is sent, and a chunk that changes twice in that time is told of once.
//   - A list may be older than a change that was sent since it began. It leaves out what such changes have removed.
//   - What is gathered is bounded. When it is more than that, because the leader does not keep up, it is dropped, and the
//     leader gets the list anew. While nobody leads nothing is gathered at all.
//
// Nothing of this delays what else is to be said: a piece is sent when nothing else waits on the session.
//
// # Threading
//
// A [Custodian] has no goroutine of its own: Serve is called for one leader at a time, and what Copy starts has ended when
// it returns. Everything else may be called from any goroutine. A [Feed] is called by the store, under its locks: it
// waits for nobody.
package custody
