package statestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

// Keep says yes when as many nodes hold the chunk as Put would have asked for, and never makes a copy.
func TestKeepOnReplicas(t *testing.T) {
	data := []byte("content")
	ref := statestore.RefOf(data)
	for name, test := range map[string]struct {
		peers, replicas int
		here            bool
		holders         []int // positions in the chunk's order of nodes
		down            []int
		want            bool
	}{
		"alone":                    {replicas: 2, here: true, want: true},
		"alone, not here":          {replicas: 2},
		"here and on one":          {peers: 3, replicas: 2, here: true, holders: []int{0}, want: true},
		"here and on a late one":   {peers: 3, replicas: 2, here: true, holders: []int{2}, want: true},
		"here only":                {peers: 3, replicas: 2, here: true},
		"elsewhere only":           {peers: 3, replicas: 2, holders: []int{0, 1}},
		"one too few":              {peers: 3, replicas: 3, here: true, holders: []int{1}},
		"the holder does not live": {peers: 3, replicas: 2, here: true, holders: []int{0}, down: []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			peers := newCluster(test.peers)
			var order []checkpoint.NodeID
			if test.peers > 0 {
				order = peers.order(t, ref)
			}
			for _, i := range test.holders {
				if err := peers[order[i]].Write(t.Context(), ref, data); err != nil {
					t.Fatal(err)
				}
			}
			for _, i := range test.down {
				delete(peers, order[i])
			}
			own := statestore.NewSwept(statestore.NewMemory())
			s := statestore.NewReplicated(own, "n1", peers, statestore.Options{Replicas: test.replicas})
			if test.here {
				mustPut(t, own, data)
			}
			own.Mark(1)
			before := peers.holders(t, ref)
			got, err := s.Keep(t.Context(), ref)
			if err != nil || got != test.want {
				t.Errorf("kept: %v, %v; want %v", got, err, test.want)
			}
			if after := peers.holders(t, ref); after != before {
				t.Errorf("%d nodes hold it, %d did", after, before)
			}
			if _, refused, err := own.Delete(t.Context(), 1, []checkpoint.ChunkID{ref.ID}); got && (refused != 1 || err != nil) {
				t.Errorf("a sweep deletes what was kept: %d spared, %v", refused, err)
			}
		})
	}
}

// hangingCluster is nodes of which one does not answer when it is asked what it holds.
type hangingCluster struct {
	cluster
	hangs checkpoint.NodeID
}

func (c hangingCluster) Live() []statestore.PeerInfo {
	live := c.cluster.Live()
	for i, p := range live {
		if p.ID == c.hangs {
			live[i].Peer = hangingPeer{p.Peer}
		}
	}
	return live
}

type hangingPeer struct{ statestore.Peer }

func (p hangingPeer) Has(ctx context.Context, _ checkpoint.ChunkRef) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// A peer that hangs costs the time of one question, not of one for each of an incremental checkpoint's chunks. Nor does it
// when a restore has them kept.
func TestKeepWithAPeerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := hangingCluster{newCluster(3), "n3"}
		own := statestore.NewMemory()
		opts := statestore.Options{Replicas: 3}
		s, coordinator := statestore.NewReplicated(own, "n1", peers, opts), statestore.NewRemote(peers, opts)
		var refs []checkpoint.ChunkRef
		for i := range byte(50) {
			ref := mustPut(t, own, []byte{i})
			for _, p := range peers.cluster {
				mustPut(t, p.Memory, []byte{i})
			}
			refs = append(refs, ref)
		}
		began := time.Now()
		for i, ref := range refs {
			if held, err := s.Keep(t.Context(), ref); err != nil || i > 0 && !held {
				t.Fatalf("chunk %d: %v, %v", i, held, err)
			}
		}
		if err := coordinator.Keep(t.Context(), refs); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
