// Package coordinator is the checkpoint coordinator: a Raft replica, and the leader that triggers
// checkpoints, collects acknowledgements, places attempts and restarts them.
//
// Deciding is separated from doing. A View holds what the leader knows (the replicated jobs, and the soft
// state that nodes report); Decide turns it into Actions without touching a clock, a socket or a lock;
// the leader loop executes them and feeds what happens back into the View. The files decide*.go are pure.
//
// One goroutine, the leader loop, owns the View for as long as a leadership lasts. When leadership is
// lost the loop is cancelled and awaited before a new one may start. Everything in the View can be
// rebuilt: from the replicated state, and from the reports that the nodes send to a new leader. That is
// what makes adopting a running job free.
package coordinator
