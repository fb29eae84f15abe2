// Package membership tells a process of Cairn which other processes there are: the coordinators and the
// task nodes, where each is reached, and whether it is alive, has left or has failed. It runs
// hashicorp/memberlist (SWIM with Lifeguard) and turns its callbacks into a snapshot and a channel of
// events.
//
// # Identity
//
// A member is named by its NodeID, which survives restarts; a process is named by NodeID and Incarnation.
// memberlist knows processes only: its node name is "ID#incarnation". So a restarted member is a new node
// to memberlist, whatever address it comes back on; a ping proves that exactly that process is alive; and
// news about a dead process can never be mistaken for news about its successor.
//
// On top of that the package keeps the promise that consumers need: at any time at most one process per
// NodeID is reported alive. A process that claims an ID whose holder still seems to be alive waits, unseen,
// until the holder has left or failed. That settles the two cases that look alike at first sight:
//
//   - a member that crashed and was restarted within the second: the new process is reported once the old
//     one is known to be dead, which is at once when both use the same address, since two processes cannot;
//   - a second process started by mistake under an ID in use: nobody ever hears of it, and its Run returns
//     ErrDuplicateID as soon as the holder of the ID has answered a ping. When neither was there first, the
//     one that started later gives way.
//
// # Leaving and failing
//
// memberlist's callback does not say whether a node left or died, and the state in the node it passes is
// not the one it keeps. Leave therefore tells every live member itself, repeats until each has acknowledged,
// and only then lets memberlist announce the departure. Who missed it learns it from others when they next
// exchange their state, and corrects Failed to Left.
//
// # Threading and failure
//
// Every method is safe for concurrent use. New binds; Run does the work and owns all goroutines of this
// package; memberlist's own end with it, the last of them when the probe they are in is over, and cannot
// reach the consumer any more. Callbacks of memberlist run under its lock: they change the roster
// under the package's mutex and return; nothing calls memberlist with that mutex held. Gossip is soft state:
// a member may be called failed wrongly when it or the network is overloaded, and is then reported as
// joined again with the same incarnation.
package membership
