// Package node is a task node, put together: gossip to find the coordinators, a session to each of them, the
// executor that runs its share of jobs, the data channels to other nodes, and its part of the replicated state
// store, which it reads again from time to time to find what has gone bad.
//
// The stock binary (cmd/node) and a binary with jobs of one's own are the same few lines:
//
//	func main() { node.Main(node.Job("fraud", "flags suspicious payments", build)) }
//
// An Agent owns everything it starts. Run returns after all of it has ended, in this order: the node says
// goodbye in gossip, so that it is seen to leave and not to fail; the sessions close and the tasks stop; the server
// closes last, since other nodes still read chunks from it.
package node
