package transport

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"cairn/api"
	"cairn/checkpoint"
	pb "cairn/transport/transportpb"
)

// FuzzChunkLocations reads what a coordinator may say of where chunks are: a holder is always one of the nodes, and there
// are holders for each chunk that was asked for.
func FuzzChunkLocations(f *testing.F) {
	for _, l := range []api.ChunkLocations{
		{}, {Complete: true, Shared: true}, {Complete: true, Nodes: []string{"n1", "n2"}, Holders: [][]int{{0, 1}, {}}},
	} {
		b, err := proto.Marshal(chunkLocationsToPB(l))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, len(l.Holders))
	}
	f.Fuzz(func(t *testing.T, b []byte, asked int) {
		var message pb.ChunkLocations
		if proto.Unmarshal(b, &message) != nil {
			return
		}
		l, err := chunkLocationsFromPB(&message, asked)
		if err != nil {
			return
		}
		if len(l.Holders) != asked && !l.Shared {
			t.Fatalf("holders of %d chunks, asked for %d", len(l.Holders), asked)
		}
		for _, holders := range l.Holders {
			for _, n := range holders {
				_ = l.Nodes[n]
			}
		}
		if again, err := chunkLocationsFromPB(chunkLocationsToPB(l), asked); err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("%+v became %+v, %v", l, again, err)
		}
	})
}

// FuzzVerifyChunks reads what peers may ask for, and what they may answer.
func FuzzVerifyChunks(f *testing.F) {
	for _, m := range []proto.Message{
		&pb.VerifyChunksRequest{Refs: list([]checkpoint.ChunkRef{chunkRef(1, 5), chunkRef(2, MaxChunkSize)}, checkpoint.ChunkRefToPB)},
		findingToPB(nil), findingToPB(ErrChunkNotFound), findingToPB(ErrChunkCorrupt), findingToPB(errDisk),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var request pb.VerifyChunksRequest
		if proto.Unmarshal(b, &request) == nil {
			refs, err := chunkRefsFromPB(request.GetRefs())
			for _, ref := range refs {
				if err == nil && checkChunkRef(ref) != nil {
					t.Fatalf("accepted %+v", ref)
				}
			}
		}
		var response pb.VerifyChunksResponse
		if proto.Unmarshal(b, &response) != nil {
			return
		}
		good := response.GetFinding() == pb.VerifyChunksResponse_FINDING_GOOD
		if err := errorOf(&response); (err == nil) != good {
			t.Fatalf("finding %s stands for %v", response.GetFinding(), err)
		} else if again := findingToPB(err); err != nil && errorOf(again).Error() != errorText(err.Error()) {
			t.Fatalf("%v became %v", err, errorOf(again))
		}
	})
}
