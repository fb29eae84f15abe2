// Package executor is the part of a task node that obeys the leader: it runs the node's share of each
// job's current attempt and tells the leader how it goes (Flink's TaskExecutor).
//
// # Obedience
//
// The node keeps a session to every coordinator, and the executor obeys the one that leads the highest term
// it has seen. What a deposed leader, an older attempt or a task that has been replaced still says changes
// nothing (I6). TestI6_Fencing walks through all kinds of messages.
//
// The node's own store deletes chunks when the leader says so, and refuses those that it was asked for since the
// leader began to draw up its list (ChunkSweeper). What is in that store, and copies that the leader orders, are a matter
// of the Custodian: the executor lets it serve one leader after the other, each from when it has been sent the Report until
// its session ends or another leads, and lets nobody else's orders through.
//
// # What survives a change of leader
//
// Tasks know nothing of leaders. All that a leader has been told can be told again: each subtask's status,
// and its answers to checkpoints whose outcome has not been heard. A new leader's Leading is answered with
// all of it, so that it takes over the running attempt and the checkpoints in flight as they are. How far subtasks
// are with slow checkpoints is told too, for people to read; nothing depends on it. Only when no leader has had a
// session for the orphan timeout are the tasks stopped.
//
// # What survives an attempt
//
// When an attempt fails, only some of its subtasks are deployed again. The executions of the others are handed from the
// attempt to the next one, and notice nothing.
//
// # Code that does not return
//
// Two attempts of a subtask never work side by side in one process, so a cancelled task that does not return holds up
// the next attempt. The watchdog (watchCancellation) says where it is, and ends the process in the end.
//
// # Threading
//
// One mutex guards all bookkeeping, which is pure (fence, roster, ackbook, progress, outbox). Nothing is sent, built,
// stored, deleted or waited for while it is held, and no task is called. One goroutine sends to the leader, one
// watches for its absence, one tells of checkpoints that take long, one measures the tasks, one has the Custodian serve
// the leader; each attempt has one that sets it up when what it replaces has ended; each execution has one, and each
// cancellation one that watches over it; each request to plan a job, to copy or to delete chunks has one. Run returns
// when all of them have.
package executor
