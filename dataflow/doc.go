// Package dataflow is the job-graph API and the task runtime of Cairn.
//
// # Writing a job
//
// A job is a graph of operators over typed streams, built by a registered Program:
//
//	func build(g *dataflow.Graph, p *dataflow.Params) error {
//		dir, err := p.Required("input")
//		if err != nil {
//			return err
//		}
//		lines := dataflow.From(g, "read", file.NewSource(dir), codec.String, dataflow.Parallelism(4))
//		words := dataflow.FlatMap(lines, "split", codec.String, splitWords)
//		byWord := dataflow.KeyBy(words, codec.String, func(word string) string { return word })
//		counts := dataflow.Process(byWord, "count", countCodec, newCounter)
//		dataflow.To(counts, "write", file.NewSink(out), dataflow.Parallelism(2))
//		return nil
//	}
//
// Operators with equal parallelism that follow each other without a change of partitioning are chained into
// one vertex, whose instances run as tasks: within a task records pass by plain calls, between tasks they
// travel in batches called frames, with checkpoint barriers in line.
//
// Keyed streams are what state is kept for. Window collects the records of each key in tumbling, sliding or session
// windows, of which AggregateWindow, ReduceWindow and ProcessWindow make something; event time comes from
// AssignTimestampsAndWatermarks. IntervalJoin, WindowJoin and CoGroupWindow bring two streams together by key and time,
// ProcessConnected by key alone, and ProcessBroadcast makes one of them known to all subtasks. ProcessNonKeyed takes
// records without keys, with operator state: lists that are dealt out when the parallelism changes.
//
//	perHour := dataflow.Window(byWord, dataflow.TumblingWindows(time.Hour, 0), dataflow.AllowedLateness(time.Minute))
//	counts := dataflow.AggregateWindow(perHour, "count", countCodec, codec.Int64, counting{},
//		func(word string, w dataflow.TimeWindow, n int64, emit func(Count)) { emit(Count{word, w.Start, n}) })
//
// A job ends with its input, or with a savepoint. Sinks publish what a completed checkpoint covers and nothing else:
// where checkpoints after the end of the input are switched off, what they took since the last one is not published.
//
// # Threads
//
// A Graph is built by one goroutine and read-only afterwards. A Task belongs to the goroutine that calls Run;
// user code of a subtask (sources, functions, processors, sinks) runs on it and needs no locks. Functions
// given to Map, Filter, FlatMap and KeyBy are shared by all subtasks of a process and must be safe for
// concurrent use, and so must codecs. Trigger, NotifyComplete, NotifyAborted, Accept and Stats may be called
// from any goroutine. A panic in user code fails its task and nothing else.
//
// # Where things live
//
// Who writes a job needs this package, codec, and a connector. Task, TaskSpec, TaskDeps, Stats and ChunkStore are for who
// runs one. The packages below this one, in the order in which a record and then a checkpoint meet them:
//
//   - codec: values as bytes.
//   - exchange: batches of records and barriers between subtasks, on one node or two; credit, and what waits for it.
//   - aligner: which barrier blocks, overtakes, or takes the snapshot. Pure.
//   - rowstore, pebblestate: keyed state on disk, as an interface and by Pebble.
//   - executor: a node's share of all jobs: which tasks it runs, and what it tells the coordinator.
//   - jobtest: a job in its test, in virtual time.
//
// In this folder files are named by subject first: graph and stream (what a program builds), source, process, window, join,
// sink and side output (operators of the API, with their implementation), state, timer, event and watermark (what
// processors use), keyed (tables behind keyed state), operator and chain (operators at work), port (records into and out of
// an exchange), runner (a task's goroutine, one file for each of its concerns), task (what others see and tell of it),
// snapshot (how state is stored and read back).
package dataflow
