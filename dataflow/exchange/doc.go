// Package exchange carries records between subtasks: what Flink has in its network stack. It knows frames, which are bytes;
// records, operators and jobs are the business of package dataflow.
//
//	Output ── OutputChannel ──FrameWriter──► (transport, or the same process) ──► Gate ── task
//	   └─ Backlog: what waits for credit                                           └─ a queue per channel, credit
//
// A sending task fills a batch per channel of each Output. A batch that its channel has no Credit for waits in the Backlog; one
// that has room goes at once. The receiving task takes frames from its Gate, whose writing ends are given out by Accept. Barriers
// travel in line with the records. Those that may overtake are announced to the task when they arrive (Arrival), and what they
// overtake, in the queues of either side, is added to the ChannelState that becomes part of the snapshot.
//
// Outputs, their channels and the Backlog belong to the goroutine of the task; so do the methods of a Gate, save for Accept,
// QueuedBytes and End. The writers that Accept returns are used by one goroutine each. Nothing but SendFull and SendAll blocks,
// and those end with their context. Buffers are shared between a queue and snapshots and are not changed; whoever gets one
// releases it. No goroutine is started here.
package exchange
