// Package placement says where copies of chunks belong and where they are. It is pure: nodes, coordinators and their
// clients compute the same from the same arguments.
//
//   - [Order] is where a chunk's copies belong: rendezvous hashing over nodes, spread over zones.
//   - [Index] is where they are, as far as the nodes have told.
package placement
