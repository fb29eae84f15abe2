// Package sim is a deterministic simulation of the whole cluster, to look for what the coordinators do wrong when
// everything else goes wrong.
//
// Real are the state machine (fsm.State, its commands and its snapshots), the leader's decisions (coordinator.View and
// coordinator.Decide, the planning of sweeps included), and the manifests' codec. Modelled, in a few hundred lines each,
// are the replicated log (a small Raft with elections at any point, a lease and hand-over), the leader loop around
// Decide, sessions that break at one end before the other, task nodes with their term fence, their retained acks and
// incarnations, tasks that align barriers over channels between nodes and stop with savepoints, disks with chunks that
// snapshots share, clients, clocks that differ, and a network that loses, repeats, delays and partitions.
//
// A World is a Config and a seed: New(Random(seed)).Run() lives through faults for some seconds of virtual time,
// then through calm. Everything happens in one goroutine, in the order of a queue of events, so that a seed always
// gives the same run. A run ends at the first violation with a Failure that holds the seed and the last events.
// Clients submit jobs, fresh or from checkpoints and savepoints of others, claimed or not; they ask for checkpoints and
// savepoints, stop, cancel and configure jobs, and give savepoints up.
//
// testdata/stories are the same world on a lead: nothing happens but what a script says, and what comes of it is
// printed. They document the protocol; see testdata/README.md.
//
// # What is checked
//
// The checker hears of every event. It applies the committed log to a state of its own, and knows from the tasks
// themselves what they captured and how they ended. It demands:
//
//	I1   the log hands out rising IDs, behind that of what a job was submitted from, and no trigger carries one that
//	     it has not
//	I2   one outcome per ID; replicas commit the same entries; nodes are told of no other outcome
//	I3   no completion is announced that a majority has not committed
//	I4   in the calm, every task of a running attempt hears of what was completed before it, and no node keeps acks of
//	     what has an outcome
//	I5   no machine deletes a chunk that something retained, pending, restored from or owned by a user names there; what
//	     is acknowledged and what completes is where it was stored; a full checkpoint shares nothing with its source;
//	     and without faults nothing else remains
//	I6   stale messages leave a node exactly as it was; a manifest holds what each subtask acknowledged for that
//	     very checkpoint; an attempt ends only for a reason of its own; zombies' frames are refused
//	I7   an attempt goes on from the last completion whose effects are published, with the states in it; each subtask
//	     of an attempt runs once, and goes on only with its whole region, in the process where it runs; a manifest is one consistent cut; a job finishes when all its subtasks have
//	I8   a leader that has met an unknown outcome is silent; leaders say nothing that the log does not
//	I10  every replica has the same bytes behind every entry, also after a restart from a snapshot
//	I11  an entry is committed only when a majority has it
//
// and that savepoints belong to users: each job has exactly those that were completed and not given up, none is in its
// log, none is subsumed. And liveness: in the calm, running jobs complete new checkpoints, bounded and stopped ones
// finish, cancelled ones end, and all replicas catch up. Mutations break the coordinators and nodes on purpose, to see
// that each check can fail.
//
// # What is left out
//
// The bytes of state (I9), reads of damaged copies, real Raft's snapshots over the network and changes of its members,
// the planning of jobs, changed graphs and parallelism, and unaligned and at-least-once checkpoints: what those change
// is in the nodes, and none of it in the coordinators.
package sim
