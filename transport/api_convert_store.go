package transport

import (
	"fmt"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
	"cairn/transport/transportpb"
)

func storeStatusToPB(s api.StoreStatus) *transportpb.StoreStatusResponse {
	return &transportpb.StoreStatusResponse{
		Backend: s.Backend, Replicas: int64(s.Replicas), Chunks: s.Chunks, Bytes: s.Bytes, Complete: s.Complete,
		UnderReplicated: chunkCountToPB(s.UnderReplicated), Lost: chunkCountToPB(s.Lost), Repairing: chunkCountToPB(s.Repairing),
		SweptAt: s.SweptAt, Nodes: list(s.Nodes, storeNodeToPB), Problems: list(s.Problems, text),
	}
}

func storeStatusFromPB(pb *transportpb.StoreStatusResponse) api.StoreStatus {
	return api.StoreStatus{
		Backend: pb.GetBackend(), Replicas: int(pb.GetReplicas()), Chunks: pb.GetChunks(), Bytes: pb.GetBytes(), Complete: pb.GetComplete(),
		UnderReplicated: chunkCountFromPB(pb.GetUnderReplicated()), Lost: chunkCountFromPB(pb.GetLost()),
		Repairing: chunkCountFromPB(pb.GetRepairing()), SweptAt: pb.GetSweptAt(), Nodes: list(pb.GetNodes(), storeNodeFromPB),
		Problems: append([]string{}, pb.GetProblems()...),
	}
}

func chunkCountToPB(c api.ChunkCount) *transportpb.ChunkCount {
	return &transportpb.ChunkCount{Chunks: c.Chunks, Bytes: c.Bytes}
}

func chunkCountFromPB(pb *transportpb.ChunkCount) api.ChunkCount {
	return api.ChunkCount{Chunks: pb.GetChunks(), Bytes: pb.GetBytes()}
}

func storeNodeToPB(n api.StoreNode) *transportpb.StoreNode {
	return &transportpb.StoreNode{
		Id: n.ID, Zone: n.Zone, State: n.State, Path: text(n.Path), Complete: n.Complete, Chunks: n.Chunks, Bytes: n.Bytes,
		StoredBytes: n.StoredBytes, FreeBytes: n.FreeBytes, TotalBytes: n.TotalBytes, UnderReplicated: n.UnderReplicated,
		Corrupt: n.Corrupt, Repairing: n.Repairing, ScrubbedAt: n.ScrubbedAt, ScrubCorrupt: n.ScrubCorrupt, ScrubShare: n.ScrubShare,
	}
}

func storeNodeFromPB(pb *transportpb.StoreNode) api.StoreNode {
	return api.StoreNode{
		ID: pb.GetId(), Zone: pb.GetZone(), State: pb.GetState(), Path: pb.GetPath(), Complete: pb.GetComplete(), Chunks: pb.GetChunks(),
		Bytes: pb.GetBytes(), StoredBytes: pb.GetStoredBytes(), FreeBytes: pb.GetFreeBytes(), TotalBytes: pb.GetTotalBytes(),
		UnderReplicated: pb.GetUnderReplicated(), Corrupt: pb.GetCorrupt(), Repairing: pb.GetRepairing(),
		ScrubbedAt: pb.GetScrubbedAt(), ScrubCorrupt: pb.GetScrubCorrupt(), ScrubShare: pb.GetScrubShare(),
	}
}

func locationToPB(l api.CheckpointLocation) *transportpb.CheckpointLocation {
	pb := &transportpb.CheckpointLocation{
		Job: l.Job, JobName: text(l.JobName), Id: l.ID, Kind: l.Kind, Manifest: checkpoint.ChunkRefToPB(l.Manifest),
		Replicas: int64(l.Replicas), Incomplete: l.Incomplete,
	}
	if !l.Detail.ID.IsZero() {
		pb.Detail = checkpoint.ChunkRefToPB(l.Detail)
	}
	return pb
}

func locationFromPB(pb *transportpb.CheckpointLocation) (api.CheckpointLocation, error) {
	l := api.CheckpointLocation{
		Job: pb.GetJob(), JobName: pb.GetJobName(), ID: pb.GetId(), Kind: pb.GetKind(), Replicas: int(pb.GetReplicas()),
		Incomplete: pb.GetIncomplete(),
	}
	var err error
	if l.Manifest, err = chunkRefFromPB(pb.GetManifest()); err != nil {
		return l, fmt.Errorf("manifest: %w", err)
	}
	if pb.GetDetail() != nil {
		l.Detail, err = chunkRefFromPB(pb.GetDetail())
	}
	return l, err
}

func chunkLocationsToPB(l api.ChunkLocations) *transportpb.ChunkLocations {
	return &transportpb.ChunkLocations{
		Complete: l.Complete, Shared: l.Shared, Nodes: l.Nodes,
		Holders: list(l.Holders, func(holders []int) *transportpb.LocatedChunk {
			return &transportpb.LocatedChunk{Nodes: list(holders, func(n int) uint32 { return uint32(n) })}
		}),
	}
}

// chunkLocationsFromPB refuses an answer that does not fit a question about so many chunks.
func chunkLocationsFromPB(pb *transportpb.ChunkLocations, asked int) (api.ChunkLocations, error) {
	l := api.ChunkLocations{Complete: pb.GetComplete(), Shared: pb.GetShared(), Nodes: pb.GetNodes()}
	if len(pb.GetHolders()) != asked && !l.Shared {
		return l, fmt.Errorf("%w: holders of %d chunks, %d were asked for", ErrMalformed, len(pb.GetHolders()), asked)
	}
	for _, of := range pb.GetHolders() {
		holders := make([]int, 0, len(of.GetNodes()))
		for _, n := range of.GetNodes() {
			if int64(n) >= int64(len(l.Nodes)) {
				return l, fmt.Errorf("%w: holder %d of %d nodes", ErrMalformed, n, len(l.Nodes))
			}
			holders = append(holders, int(n))
		}
		l.Holders = append(l.Holders, holders)
	}
	return l, nil
}

func chunkRefsFromPB(pb []*checkpointpb.ChunkRef) ([]checkpoint.ChunkRef, error) {
	refs := make([]checkpoint.ChunkRef, len(pb))
	for i, one := range pb {
		var err error
		if refs[i], err = chunkRefFromPB(one); err != nil {
			return nil, err
		}
	}
	return refs, nil
}
