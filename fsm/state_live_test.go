package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

// TestI5_WhatASweepMustSpare walks everything that can be named, and its end.
func TestI5_WhatASweepMustSpare(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(2), concurrent(3))
	for range 3 { // 1 leaves the log
		c := s.complete(1, s.begin(1, aCheckpoint))
		c.Detail.Chunk = detailChunk(c.Checkpoint)
		s.must(c)
	}
	s.savepoint(1) // 4
	a := s.abort(1, s.begin(1, aCheckpoint), checkpoint.ReasonExpired)
	a.Detail.Chunk = detailChunk(a.Checkpoint)
	s.must(a)
	s.runningFrom(2, 1, aCheckpoint, 2, false)
	s.completed(1, 1) // 6: 2 leaves the log, in use
	s.must(s.submitFrom(3, 1, aSavepoint, 4, false))
	s.imported(9, 7)
	s.must(s.submitFrom(4, 9, aSavepoint, 7, false))
	imported := manifestOf(jobID(9), 7)
	wantLive := func(when string, manifests ...checkpoint.ChunkRef) {
		t.Helper()
		live := s.state.Live()
		if !slices.Equal(live.Manifests, manifests) {
			t.Errorf("%s: manifests %v, want %v", when, live.Manifests, manifests)
		}
		want := []checkpoint.ChunkRef{detailChunk(1), detailChunk(2), detailChunk(3), detailChunk(5)}
		if !slices.Equal(live.Details, want) {
			t.Errorf("%s: details %v, want %v", when, live.Details, want)
		}
	}
	wantLive("with all of it", manifest(3), manifest(6), manifest(4), manifest(2), imported)
	s.state = restored(t, s.bytes())
	wantLive("after a snapshot", manifest(3), manifest(6), manifest(4), manifest(2), imported)
	s.completed(2, 1) // 3 of job 2, its own
	wantLive("when job 2 needs its source no more", manifest(3), manifest(6), manifest(4), manifestOf(jobID(2), 3), imported)
	s.ended(4)
	s.must(s.end(1, JobFinished))
	wantLive("when jobs have ended", manifest(4), manifestOf(jobID(2), 3), imported)
	s.must(DisposeSavepoint{Job: jobID(9), Savepoint: 7, At: s.at})
	wantLive("when the import was disposed of", manifest(4), manifestOf(jobID(2), 3))
}

func detailChunk(id checkpoint.ID) checkpoint.ChunkRef {
	return checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xde, 31: byte(id)}, Size: 90_000}
}

func TestInspect(t *testing.T) {
	s := sampleState(t)
	got, err := Inspect(encoded(t, s))
	want := SnapshotInfo{Version: snapshotVersion, Index: s.LastIndex, Jobs: 13, Checkpoints: 9, Savepoints: 3}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := Inspect([]byte("CRNF")); err == nil {
		t.Error("half a header was accepted")
	}
}
