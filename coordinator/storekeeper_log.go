package coordinator

import "time"

// logEvery is the least time between two lines of the log about the same thing.
const logEvery = 10 * time.Second

// repairLog is what the log says of chunks with too few copies.
type repairLog struct {
	saidAt    time.Time
	few, lost int64     // chunks, as of the last line
	since     time.Time // since when there were too few copies
}

// logRepair says in the log when chunks come to have too few copies, or none, and when all have enough again. What begins
// within logEvery after another line is told after that, if it lasts.
func (k *storekeeper) logRepair(now time.Time) {
	l := &k.repairs
	recently := now.Sub(l.saidAt) < logEvery
	if recently && l.few == 0 || !k.view.complete(now) {
		return
	}
	s := k.view.status(now)
	few, lost := s.UnderReplicated, s.Lost
	switch {
	case few.Chunks > 0 && recently:
		return
	case lost.Chunks > l.lost:
		k.log.Error("chunks of retained checkpoints are on no living node", "chunks", lost.Chunks, "bytes", lost.Bytes)
	case few.Chunks > 0 && l.few == 0:
		k.log.Warn("chunks of retained checkpoints have too few copies", "chunks", few.Chunks, "bytes", few.Bytes, "replicas", s.Replicas)
	case few.Chunks == 0 && l.few > 0:
		k.log.Info("all chunks of retained checkpoints have enough copies again", "duration_ms", now.Sub(l.since).Milliseconds())
	default:
		l.lost = lost.Chunks
		return
	}
	if l.few == 0 {
		l.since = now
	}
	l.saidAt, l.few, l.lost = now, few.Chunks, lost.Chunks
}

// logFailures says why copies failed, now and then.
func (k *storekeeper) logFailures(now time.Time) {
	for _, f := range k.view.failures {
		k.failed += f.copies
	}
	if n := len(k.view.failures); n > 0 && now.Sub(k.failedAt) >= logEvery {
		last := k.view.failures[n-1]
		k.log.Warn("copies of chunks were not made; they are tried again", "chunks", k.failed, "node", last.node, "cause", last.cause)
		k.failed, k.failedAt = 0, now
	}
	k.view.failures = nil
}
