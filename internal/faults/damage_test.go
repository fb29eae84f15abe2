package faults

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/dataflow/jobtest"
	"cairn/statestore"
)

// scrubTime is how long a pass over a node's chunks takes.
const scrubTime = 3 * time.Second

// damage is a file of a node that has been changed.
type damage struct {
	chunkFile
	content []byte             // what it was changed to
	hit     checkpoint.ChunkID // the chunk that was changed; zero when it was the directory of a pack
}

// flip changes one bit of a file, such that something that is kept there cannot be read any more. The last bits of what
// is compressed may mean nothing: those it leaves alone.
func (f chunkFile) flip(random *rand.Rand) (damage, error) {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return damage{}, err
	}
	for {
		bit := random.Int64N(8 * f.size)
		changed := bytes.Clone(content)
		changed[bit/8] ^= 1 << (bit % 8)
		d := damage{chunkFile: f, content: changed}
		if at := slices.IndexFunc(f.chunks, func(c storedChunk) bool { return c.offset <= bit/8 && bit/8 < c.offset+c.size }); at >= 0 {
			c := f.chunks[at]
			encoded := statestore.Encoded{Encoding: c.encoding, Data: changed[c.offset : c.offset+c.size]}
			if data, err := encoded.Decode(c.ref); err == nil && statestore.RefOf(data) == c.ref {
				continue
			}
			d.hit = c.ref.ID
		}
		return d, os.WriteFile(f.path, changed, 0o600)
	}
}

// stillDamaged says which of the files is still as it was changed to, nil when none is.
func stillDamaged(all []damage) error {
	for _, d := range all {
		content, err := os.ReadFile(d.path)
		if err == nil && bytes.Equal(content, d.content) {
			return fmt.Errorf("nobody has noticed that a bit of %s is wrong", d.path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// damageTest runs a job that takes checkpoints only when it is asked to. Packs says that chunks are to share files.
func damageTest(t *testing.T, scrub time.Duration, packs bool, test func(*storeRun)) (ledger, string) {
	t.Helper()
	dir := storeDir(t)
	if packs {
		dir = t.TempDir() // chunks share a pack while another one is being synced: for a disk in memory that takes no time
	}
	l := ledger{records: 3600, rate: 60, keys: 24, payload: 12_000, parallelism: 4}
	config := map[string]string{"checkpointing.interval": "0s", "checkpointing.timeout": "30s", "checkpointing.retain": "100"}
	change := func(s *Scenario) { s.Slots, s.Keeping.Scrub, s.Keeping.Dir = 2, scrub, dir }
	return l, inStore(t, randomOf(t, 0).Uint64(), l, config, change, test)
}

// checkpoint takes a checkpoint, when some more has been taken in. All tasks store their state at the same time, as it
// happens where storing takes time.
func (r *storeRun) checkpoint() checkpoint.ID {
	r.t.Helper()
	time.Sleep(300 * time.Millisecond) // virtual time
	release := r.cluster.hold.set()
	r.strike.later(200*time.Millisecond, release)
	c := asked(r, func(ctx context.Context, s api.Service) (api.Checkpoint, error) {
		return s.TriggerCheckpoint(ctx, jobName)
	})
	if c.Status != "completed" {
		r.t.Fatalf("checkpoint %d is %s: %s", c.ID, c.Status, c.FailureMessage)
	}
	return checkpoint.ID(c.ID)
}

// files returns the files with chunks of all nodes, by name.
func (r *storeRun) files() (files []chunkFile, quarantined int) {
	r.t.Helper()
	for _, id := range r.cluster.aliveNodes() {
		of, aside, err := chunkFiles(id, r.cluster.diskOf(id).dir)
		if err != nil {
			r.t.Fatal(err)
		}
		files, quarantined = append(files, of...), quarantined+aside
	}
	return files, quarantined
}

const flips = 100

// TestFlippedBitsAreFoundAndHealed: in a hundred files of three nodes a bit is wrong, though never in both copies of a chunk.
// The passes over the chunks find each; the copies are made again from the good ones; then every copy of everything that is
// retained is good, and the job goes on from it as if nothing had been.
func TestFlippedBitsAreFoundAndHealed(t *testing.T) {
	t.Parallel()
	l, output := damageTest(t, scrubTime, true, func(r *storeRun) {
		for r.packs() < 15 && r.counts().Completed < 40 {
			r.checkpoint()
		}
		r.savepoint()
		r.until("all has its copies", lossPatience, r.whole)
		all := r.flipBits()
		r.until("all damage is found", 10*scrubTime, func() error { return stillDamaged(all) })
		r.timeline.note("all is found")
		r.wantFound(all)
		r.until("all has its copies", lossPatience, r.whole)
		r.verify()
		restored := r.counts().Restored
		r.saboteur.arm("noise", 1)
		r.until("the job is restored", lossPatience, func() error {
			if now := r.counts().Restored; now == restored {
				return fmt.Errorf("restored %d times", now)
			}
			return nil
		})
		r.wantFreed()
		r.finish()
	})
	l.wantOutput(t, output)
}

// wantFreed gives up all checkpoints but one, and demands that what lay in packs with others is gone from the disks too.
func (r *storeRun) wantFreed() {
	r.t.Helper()
	asked(r, func(ctx context.Context, s api.Service) (api.JobDetail, error) {
		return s.SetJob(ctx, jobName, map[string]string{"checkpointing.retain": "1"})
	})
	_, before := r.files()
	r.checkpoint()
	r.until("what is on the disks is what is named", lossPatience, func() error {
		if err := r.cluster.accounts(r.t.Context()); err != nil {
			return err
		}
		return r.cluster.diskAccounts(before)
	})
}

// packs returns how many files hold more than one chunk.
func (r *storeRun) packs() int {
	files, _ := r.files()
	return len(slices.DeleteFunc(files, func(f chunkFile) bool { return !f.packed }))
}

// flipBits flips a bit in each of a hundred files, of which no two have a chunk in common, as many packs as there are
// first.
func (r *storeRun) flipBits() []damage {
	r.t.Helper()
	files, _ := r.files()
	touched, kinds := make(map[checkpoint.ChunkID]bool), make(map[string]int)
	var all []damage
	r.random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	slices.SortStableFunc(files, func(a, b chunkFile) int { return cmp.Compare(min(2, len(b.chunks)), min(2, len(a.chunks))) })
	for _, f := range files {
		if len(all) == flips || slices.ContainsFunc(f.chunks, func(c storedChunk) bool { return touched[c.ref.ID] }) {
			continue
		}
		d, err := f.flip(r.random)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, c := range f.chunks {
			touched[c.ref.ID] = true
		}
		kinds[string(f.node)]++
		switch {
		case f.packed:
			kinds["pack"]++
		default:
			kinds[f.chunks[0].encoding.String()]++
		}
		all = append(all, d)
	}
	r.timeline.note("a bit is flipped in %d of %d files: %v", len(all), len(files), kinds)
	for _, kind := range []string{"n1", "n2", "n3", "pack", statestore.EncodingRaw.String(), statestore.EncodingZstd.String()} {
		if kinds[kind] < 5 {
			r.t.Errorf("%d of the files are of %s", kinds[kind], kind)
		}
	}
	if len(all) < flips {
		r.t.Fatalf("there are %d files of different chunks, want %d", len(all), flips)
	}
	return all
}

// wantFound demands that the nodes have told of each chunk that was changed, and put its copy aside, and no others.
func (r *storeRun) wantFound(all []damage) {
	r.t.Helper()
	want := make(map[damagedCopy]bool)
	for _, d := range all {
		if d.hit != (checkpoint.ChunkID{}) {
			want[damagedCopy{d.node, d.hit}] = true
		}
	}
	r.cluster.mu.Lock()
	found := maps.Clone(r.cluster.mu.damaged)
	r.cluster.mu.Unlock()
	if !maps.Equal(found, want) {
		r.t.Errorf("%d damaged copies were found, want %d", len(found), len(want))
	}
	if _, quarantined := r.files(); quarantined != len(want) {
		r.t.Errorf("%d copies were put aside, want %d", quarantined, len(want))
	}
}

// verify has every node read its copies of all that is retained.
func (r *storeRun) verify() {
	r.t.Helper()
	refs, err := r.cluster.named(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for ref := range refs {
		good := 0
		for _, id := range r.cluster.aliveNodes() {
			err := r.cluster.nodeOf(id).store.Verify(r.t.Context(), ref)
			if err == nil {
				good++
			} else if !errors.Is(err, statestore.ErrNotFound) {
				r.t.Errorf("chunk %s on node %s: %v", ref.ID, id, err)
			}
		}
		if good < storeReplicas {
			r.t.Errorf("chunk %s has %d good copies", ref.ID, good)
		}
	}
}

// TestAChunkWithoutAGoodCopyHoldsTheRestore: of one chunk of the newest checkpoint both copies are bad. The job is not
// restored from anything older unasked; it says what is missing. When it may fall back, it does.
func TestAChunkWithoutAGoodCopyHoldsTheRestore(t *testing.T) {
	for _, scrub := range []time.Duration{0, scrubTime} {
		t.Run(fmt.Sprintf("scrub %s", scrub), func(t *testing.T) {
			t.Parallel()
			l, output := damageTest(t, scrub, false, func(r *storeRun) { r.loseBothCopies() })
			// What was published behind the older checkpoint is published again.
			lines := slices.Compact(jobtest.Output(t, output))
			if !t.Failed() {
				jobtest.SameLines(t, lines, l.lines())
			}
		})
	}
}

func (r *storeRun) loseBothCopies() {
	r.t.Helper()
	r.checkpoint()
	older := r.checkpoint()
	newest := r.checkpoint()
	r.until("all has its copies", lossPatience, r.whole)
	victim, on := r.onlyIn(newest)
	files, _ := r.files()
	var all []damage
	for _, f := range files {
		if f.chunks[0].ref == victim {
			d, err := f.flip(r.random)
			if err != nil {
				r.t.Fatal(err)
			}
			all = append(all, d)
		}
	}
	r.timeline.note("both copies of chunk %s of checkpoint %d are bad: on %v", victim.ID, newest, on)
	if len(all) != storeReplicas || len(on) != storeReplicas {
		r.t.Fatalf("%d copies are bad, want those on %v", len(all), on)
	}
	if r.scenario.Keeping.Scrub > 0 {
		r.until("all damage is found", 10*scrubTime, func() error { return stillDamaged(all) })
	}
	r.saboteur.arm("noise", 1)
	said := []string{"chunk " + victim.ID.String(), "of job " + r.jobID(), fmt.Sprintf("from checkpoint %d", newest), "noise["}
	if r.scenario.Keeping.Scrub == 0 {
		said = append(said, string(on[0]), string(on[1])) // both are asked, and found bad
	}
	held := func() error {
		d, err := r.cluster.job(r.t.Context(), jobName)
		if err != nil {
			return err
		}
		for _, part := range said {
			if d.State != "RESTARTING" || !strings.Contains(d.Reason, part) {
				return fmt.Errorf("the job is %s, and does not say %q: %s", d.State, part, d.Reason)
			}
		}
		return nil
	}
	r.until("the restore is held", lossPatience, held)
	for range 10 {
		time.Sleep(time.Second) // virtual time, longer than FallbackGrace
		if err := held(); err != nil {
			r.t.Fatalf("the restore is not held any more: %v", err)
		}
	}
	d, _ := r.cluster.job(r.t.Context(), jobName)
	r.timeline.note("it says: %s", d.Reason)
	asked(r, func(ctx context.Context, s api.Service) (api.JobDetail, error) {
		return s.SetJob(ctx, jobName, map[string]string{"restore.fallback": "true"})
	})
	r.until("the job goes back", lossPatience, func() error { return r.wentBack(newest, older) })
	r.finish()
}

func (r *storeRun) jobID() string {
	r.t.Helper()
	d, err := r.cluster.job(r.t.Context(), jobName)
	if err != nil {
		r.t.Fatal(err)
	}
	return d.ID
}

// onlyIn returns a chunk that only this checkpoint names, of noise in a file of its own, and the nodes that have it.
func (r *storeRun) onlyIn(id checkpoint.ID) (victim checkpoint.ChunkRef, on []checkpoint.NodeID) {
	r.t.Helper()
	p, err := r.cluster.promises(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	counts := make(map[checkpoint.ChunkRef]int)
	var candidates []checkpoint.ChunkRef
	for _, k := range p.kept {
		refs, err := r.cluster.names(r.t.Context(), k)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, ref := range refs {
			counts[ref]++
		}
		if k.id == id {
			candidates = refs[1:]
		}
	}
	holders, err := r.cluster.holders(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	files, _ := r.files()
	for _, f := range files {
		c := f.chunks[0]
		if !f.packed && c.encoding == statestore.EncodingRaw && c.size > 32<<10 && counts[c.ref] == 1 && slices.Contains(candidates, c.ref) {
			return c.ref, holders[c.ref]
		}
	}
	r.t.Fatalf("checkpoint %d has no large chunk of its own", id)
	return victim, nil
}

// wentBack says in what way the job has not gone back from a checkpoint to another, nil when it has.
func (r *storeRun) wentBack(from, to checkpoint.ID) error {
	list, err := r.cluster.checkpoints(r.t.Context(), jobName)
	if err != nil {
		return err
	}
	gave, restored := false, false
	for _, c := range list {
		gave = gave || c.ID == uint64(from) && c.GivenUp != ""
		restored = restored || c.ID == uint64(to) && c.RestoredFrom
	}
	if !gave || !restored {
		return fmt.Errorf("checkpoint %d given up: %t; restored from %d: %t", from, gave, to, restored)
	}
	return nil
}
