package coordinator

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
	"cairn/statestore"
)

// begin begins a checkpoint or savepoint that stores some chunks of the pool, each on two nodes.
func (s *cleanSim) begin() {
	jobs := s.state.SortedJobs()
	j := jobs[s.rng.IntN(len(jobs))]
	if len(j.Pending) >= 2 {
		return
	}
	kind := checkpoint.KindCheckpoint
	if s.chance(15) {
		kind = checkpoint.KindSavepoint
	}
	c := s.beginOf(j, kind)
	for _, n := range s.rng.Perm(simPool)[:1+s.rng.IntN(4)] {
		data := fmt.Appendf(nil, "content %d", n)
		c.chunks = append(c.chunks, statestore.RefOf(data))
		c.plan(s, data)
	}
	if s.chance(50) {
		data := fmt.Appendf(nil, "content of nobody else but %v: %0*d", c.key, s.rng.IntN(1000), 0)
		c.chunks = append(c.chunks, statestore.RefOf(data))
		c.plan(s, data)
	}
}

func (s *cleanSim) beginOf(j *fsm.Job, kind checkpoint.Kind) *simCheckpoint {
	r := s.commit(fsm.BeginCheckpoint{Job: j.ID, Attempt: j.Attempt, Kind: kind, Term: s.leader().term, At: s.at()})
	c := &simCheckpoint{kind: kind, key: pendingKey{j.ID, r.Checkpoint}, copies: make(map[checkpoint.ChunkID]map[*simNode]bool)}
	s.checkpoints[c.key] = c
	return c
}

// plan puts data on the list of what is to be stored on two nodes.
func (c *simCheckpoint) plan(s *cleanSim, data []byte) {
	for _, n := range s.rng.Perm(len(s.nodes))[:2] {
		c.todo = append(c.todo, simPut{data, s.nodes[n]})
	}
}

// some returns a checkpoint for which there is something to do, nil for none.
func (s *cleanSim) some(wanted func(*simCheckpoint) bool) *simCheckpoint {
	var found []*simCheckpoint
	for _, c := range s.checkpoints {
		if wanted(c) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortFunc(found, func(a, b *simCheckpoint) int {
		if a.key.job != b.key.job {
			return slices.Compare(a.key.job[:], b.key.job[:])
		}
		return int(a.key.checkpoint) - int(b.key.checkpoint)
	})
	return found[s.rng.IntN(len(found))]
}

func (s *cleanSim) pending(c *simCheckpoint) bool { return s.stillPending(c.key) }

func (s *cleanSim) stillPending(k pendingKey) bool {
	_, pending := s.state.Jobs[k.job].PendingByID(k.checkpoint)
	return pending
}

// work stores one copy for a checkpoint, or takes it a step further when all are stored.
func (s *cleanSim) work() {
	c := s.some(func(c *simCheckpoint) bool { return len(c.todo) > 0 || s.pending(c) })
	switch {
	case c == nil:
	case len(c.todo) > 0:
		next := c.todo[0]
		c.todo = c.todo[1:]
		s.put(c, next)
	case c.manifest.ID.IsZero():
		s.writeManifest(c)
	default:
		s.complete(c)
	}
}

func (s *cleanSim) put(c *simCheckpoint, p simPut) {
	var err error
	if s.opts.noNotes {
		_, err = p.node.own.Put(context.Background(), p.data)
	} else {
		_, err = p.node.swept.Put(context.Background(), p.data)
	}
	if err != nil {
		panic(err)
	}
	c.keep(statestore.RefOf(p.data).ID, p.node)
	p.node.has[statestore.RefOf(p.data).ID] = true
	p.node.news = append(p.node.news, checkpoint.InventoryChange{Added: []checkpoint.ChunkRef{statestore.RefOf(p.data)}})
}

// keep notes that a copy was acknowledged.
func (c *simCheckpoint) keep(id checkpoint.ChunkID, on *simNode) {
	if c.copies[id] == nil {
		c.copies[id] = make(map[*simNode]bool)
	}
	c.copies[id][on] = true
}

func (s *cleanSim) writeManifest(c *simCheckpoint) {
	m := checkpoint.Manifest{Job: c.key.job, ID: c.key.checkpoint, Attempt: 1, Kind: c.kind, Subtasks: []checkpoint.SubtaskState{{
		Subtask: sub("read", 0), Handles: []checkpoint.Handle{{Operator: "read", Kind: checkpoint.ListState, Chunks: c.chunks}},
	}}}
	data := fmt.Appendf(nil, "manifest %v", m)
	c.manifest = statestore.RefOf(data)
	s.manifests[c.manifest.ID] = m
	c.plan(s, data)
}

func (s *cleanSim) complete(c *simCheckpoint) {
	r := s.commit(fsm.CompleteCheckpoint{
		Job: c.key.job, Attempt: 1, Checkpoint: c.key.checkpoint, Manifest: c.manifest, NumSubtasks: 1, Term: s.leader().term, At: s.at(),
	})
	for _, id := range r.Aborted {
		s.failed(s.checkpoints[pendingKey{c.key.job, id}])
	}
}

func (s *cleanSim) abortOne() {
	if c := s.some(s.pending); c != nil {
		s.abort(c)
	}
}

func (s *cleanSim) abort(c *simCheckpoint) {
	s.commit(fsm.AbortCheckpoint{
		Job: c.key.job, Attempt: 1, Checkpoint: c.key.checkpoint, Reason: checkpoint.ReasonDeclined, Term: s.leader().term, At: s.at(),
	})
	s.failed(c)
}

// failed lets the leader collect what it knows of a failed checkpoint. With faults it may know nothing, and uploads
// may go on behind the abort: nobody collects those.
func (s *cleanSim) failed(c *simCheckpoint) {
	if s.opts.faults && s.chance(50) {
		return
	}
	c.todo = nil
	j := s.leader().view.jobs[c.key.job]
	for _, ref := range c.chunks {
		j.garbage = append(j.garbage, ref.ID)
	}
	if !c.manifest.ID.IsZero() {
		j.garbage = append(j.garbage, c.manifest.ID)
	}
}

func (s *cleanSim) dispose() {
	for _, j := range s.state.SortedJobs() {
		if len(j.Savepoints) > 0 {
			s.commit(fsm.DisposeSavepoint{Job: j.ID, Savepoint: j.Savepoints[0].ID, At: s.at()})
			return
		}
	}
}

// check returns what is lost: copies of what was stored for a checkpoint which is pending, retained or a savepoint (I5).
// As many must be there as were acknowledged, or as are enough, whichever is less.
func (s *cleanSim) check() error {
	there := make(map[checkpoint.ChunkID]int)
	for _, n := range s.nodes {
		for id := range n.has {
			there[id]++
		}
	}
	for key, c := range s.named() {
		for id, acknowledged := range c.copies {
			for n := range acknowledged {
				if !n.has[id] && (s.opts.noTrim || s.opts.noFull) {
					return fmt.Errorf("node %s has lost chunk %s, which checkpoint %d of job %s names", n.ref.ID, id, key.checkpoint, key.job)
				}
			}
			if there[id] < min(len(acknowledged), simReplicas) {
				return fmt.Errorf("%d of %d copies of chunk %s are left, which checkpoint %d of job %s names",
					there[id], len(acknowledged), id, key.checkpoint, key.job)
			}
		}
	}
	return nil
}

// named returns the checkpoints whose chunks must be there.
func (s *cleanSim) named() map[pendingKey]*simCheckpoint {
	named := make(map[pendingKey]*simCheckpoint)
	for _, j := range s.state.SortedJobs() {
		for _, p := range j.Pending {
			named[pendingKey{j.ID, p.ID}] = s.checkpoints[pendingKey{j.ID, p.ID}]
		}
		for _, c := range slices.Concat(j.Completed, j.Savepoints) {
			named[pendingKey{j.ID, c.ID}] = s.checkpoints[pendingKey{j.ID, c.ID}]
		}
	}
	return named
}

// run lives through a world and returns what went wrong.
func (s *cleanSim) run(steps int) error {
	for n := range steps {
		s.step()
		if err := s.check(); err != nil {
			return fmt.Errorf("step %d: %w", n, err)
		}
	}
	return nil
}

// settle ends everything that is pending, heals all faults and lets the leader sweep until nothing is left to do.
func (s *cleanSim) settle() error {
	s.leaders = s.leaders[len(s.leaders)-1:]
	for _, c := range s.checkpoints {
		if s.pending(c) {
			s.abort(c)
		}
		c.todo = nil
	}
	l := s.leader()
	for _, n := range s.nodes {
		if l.links[n.ref.ID] == nil {
			s.connect(l, n)
		}
	}
	for range 400 {
		s.advance(200 * time.Millisecond)
		for range 20 {
			s.act(l)
			for _, n := range s.nodes {
				s.deliver(l, n)
				n.deleteOne(s)
			}
		}
		if err := s.check(); err != nil {
			return err
		}
	}
	for _, j := range s.state.SortedJobs() {
		if len(j.Discards) > 0 {
			return fmt.Errorf("job %s still has %d discards; the sweep is %s", j.ID, len(j.Discards), l.view.cleaning.phase)
		}
	}
	return nil
}

// leftovers returns the copies that no checkpoint names, or that are too many; without full sweeps, those that no
// checkpoint names on nodes that were never away.
func (s *cleanSim) leftovers(t *testing.T) []string {
	want := make(map[checkpoint.ChunkID]bool)
	for _, c := range s.named() {
		for id := range c.copies {
			want[id] = true
		}
	}
	var left []string
	copies := make(map[checkpoint.ChunkID]int)
	for _, n := range s.nodes {
		if n.faulty && s.opts.noFull {
			continue
		}
		for ref, err := range n.own.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if !n.has[ref.ID] {
				t.Fatalf("the test does not know that node %s has chunk %s", n.ref.ID, ref.ID)
			}
			if copies[ref.ID]++; !want[ref.ID] || copies[ref.ID] > simReplicas && !s.opts.noFull && !s.opts.noTrim {
				left = append(left, fmt.Sprintf("%s on node %s", ref.ID, n.ref.ID))
			}
		}
	}
	return left
}

const simSteps = 3000

// I5, with everything that can go wrong: no copy that a checkpoint relies on is ever deleted. Once the faults end, the
// discard lists empty, and a full sweep leaves exactly what is named, in as many copies as it should have.
func TestI5_SweepsUnderFaults(t *testing.T) {
	deleted, trimmed := 0, 0
	for seed := range uint64(sweepSeeds) {
		s := newCleanSim(seed, simOptions{faults: true})
		if err := s.run(simSteps); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := s.settle(); err != nil {
			t.Fatalf("seed %d: at the end: %v", seed, err)
		}
		if left := s.leftovers(t); len(left) > 0 {
			t.Fatalf("seed %d: %d copies are left over, such as chunk %s", seed, len(left), left[0])
		}
		deleted, trimmed = deleted+s.deleted, trimmed+s.trimmed
	}
	if deleted < 20*sweepSeeds || trimmed < sweepSeeds {
		t.Fatalf("only %d copies were deleted, and %d trimmed: the test shows nothing", deleted, trimmed)
	}
}

// I5, without faults: ordinary sweeps alone leave exactly what checkpoints name.
func TestI5_SweepsLeaveExactlyWhatIsNamed(t *testing.T) {
	for seed := range uint64(sweepSeeds) {
		s := newCleanSim(seed, simOptions{noFull: true})
		if err := s.run(simSteps); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := s.settle(); err != nil {
			t.Fatalf("seed %d: at the end: %v", seed, err)
		}
		if left := s.leftovers(t); len(left) > 0 {
			t.Fatalf("seed %d: nothing names %d copies, such as chunk %s", seed, len(left), left[0])
		}
	}
}

// Each step of the protocol is needed: without it the same worlds lose something.
func TestI5_EveryStepOfASweepIsNeeded(t *testing.T) {
	for name, opts := range map[string]simOptions{
		"waiting for earlier checkpoints":       {faults: true, noFull: true, noWait: true},
		"noting what is asked for":              {faults: true, noFull: true, noNotes: true},
		"sparing what the manifests name":       {noFull: true, noLive: true},
		"waiting, when nothing else goes wrong": {noFull: true, noWait: true},

		"waiting, in full sweeps":         {faults: true, noTrim: true, noWait: true},
		"noting, in full sweeps":          {faults: true, noTrim: true, noNotes: true},
		"every mark, in full sweeps":      {noTrim: true, lateMarks: true},
		"noting, where copies are enough": {faults: true, noNotes: true},
		"telling of what was deleted":     {faults: true, noNews: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				s := newCleanSim(seed, opts)
				err := s.run(simSteps)
				if err == nil && opts.noNews { // it takes two full sweeps that nothing disturbs
					err = s.settle()
				}
				if err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("nothing was lost without it")
		})
	}
}

// U8: a thousand checkpoints, while processes start again between storing and reporting, sessions break and leaders
// change. In the end the bytes on the disks are those that the retained checkpoints and savepoints name, twice.
func TestU8_ThousandCheckpointsLeakNothing(t *testing.T) {
	s := newCleanSim(1, simOptions{faults: true})
	for len(s.checkpoints) < 1000 {
		if err := s.run(100); err != nil {
			t.Fatal(err)
		}
	}
	before := s.bytesHeld(t)
	if err := s.settle(); err != nil {
		t.Fatal(err)
	}
	named := make(map[checkpoint.ChunkID]int64)
	for _, c := range s.named() {
		for _, ref := range append(c.chunks, c.manifest) {
			named[ref.ID] = ref.Size
		}
	}
	want := int64(0)
	for _, size := range named {
		want += simReplicas * size
	}
	if got := s.bytesHeld(t); got != want || want == 0 {
		t.Fatalf("the nodes hold %d bytes; %d chunks are named, which are %d bytes on two nodes each", got, len(named), want)
	}
	t.Logf("%d bytes of %d are left, %d copies were deleted, %d trimmed", want, before, s.deleted, s.trimmed)
	if s.trimmed == 0 || before == want || s.leader().term < 50 {
		t.Errorf("%d leaders, %d copies trimmed: the test shows little", s.leader().term, s.trimmed)
	}
}

func (s *cleanSim) bytesHeld(t *testing.T) (bytes int64) {
	for _, n := range s.nodes {
		for ref, err := range n.own.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			bytes += ref.Size
		}
	}
	return bytes
}

// Without full sweeps, faults leave something behind.
func TestI5_FullSweepsAreNeeded(t *testing.T) {
	for seed := range uint64(20) {
		s := newCleanSim(seed, simOptions{faults: true, noFull: true})
		if err := s.run(simSteps); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := s.settle(); err != nil {
			t.Fatalf("seed %d: at the end: %v", seed, err)
		}
		s.opts.noFull = false
		if len(s.leftovers(t)) > 0 {
			return
		}
	}
	t.Fatal("nothing was left over without them")
}

const sweepSeeds = 30
