package transport

import (
	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// The wire form of the messages about the state store.

func chunkToPB(c checkpoint.ChunkID) []byte { return c[:] }

func chunkRefsToPB(refs []checkpoint.ChunkRef) *transportpb.ChunkRefs {
	if len(refs) == 0 {
		return nil
	}
	pb := &transportpb.ChunkRefs{Ids: make([]byte, 0, len(refs)*len(checkpoint.ChunkID{})), Sizes: make([]int64, len(refs))}
	for i, ref := range refs {
		pb.Ids = append(pb.Ids, ref.ID[:]...)
		pb.Sizes[i] = ref.Size
	}
	return pb
}

func (d *decoder) chunkRefs(pb *transportpb.ChunkRefs) []checkpoint.ChunkRef {
	const idSize = len(checkpoint.ChunkID{})
	ids, sizes := pb.GetIds(), pb.GetSizes()
	if len(ids) != len(sizes)*idSize {
		d.failf("%d bytes of chunk IDs for %d sizes", len(ids), len(sizes))
		return nil
	}
	if len(sizes) == 0 {
		return nil
	}
	refs := make([]checkpoint.ChunkRef, len(sizes))
	for i, size := range sizes {
		refs[i] = checkpoint.ChunkRef{ID: checkpoint.ChunkID(ids[i*idSize:]), Size: d.count("chunk size", size)}
	}
	return refs
}

func chunkCopyToPB(c checkpoint.ChunkCopy) *transportpb.ChunkCopy {
	return &transportpb.ChunkCopy{Chunk: checkpoint.ChunkRefToPB(c.Chunk), From: each(c.From, nodeToPB)}
}

func (d *decoder) chunkCopy(pb *transportpb.ChunkCopy) checkpoint.ChunkCopy {
	ref, err := chunkRefFromPB(pb.GetChunk())
	if err != nil {
		d.failf("%v", err)
	}
	return checkpoint.ChunkCopy{Chunk: ref, From: each(pb.GetFrom(), nodeFromPB)}
}

func holdersToPB(positions []int) *transportpb.ChunkHolders {
	return &transportpb.ChunkHolders{Nodes: each(positions, func(n int) int64 { return int64(n) })}
}

func (d *decoder) chunksLocated(term checkpoint.Term, pb *transportpb.ChunksLocated) checkpoint.ChunksLocated {
	nodes := each(pb.GetNodes(), nodeFromPB)
	return checkpoint.ChunksLocated{
		Term: term, Request: pb.GetRequest(), Nodes: nodes,
		Holders: each(pb.GetChunks(), func(h *transportpb.ChunkHolders) []int {
			return each(h.GetNodes(), func(n int64) int { return d.int("position of a node", n, 0, int64(len(nodes))-1) })
		}),
	}
}

func storeReportToPB(m checkpoint.StoreReport) *transportpb.StoreReport {
	return &transportpb.StoreReport{
		Path: text(m.Path), Chunks: m.Chunks, Bytes: m.Bytes, StoredBytes: m.StoredBytes,
		FreeBytes: m.FreeBytes, TotalBytes: m.TotalBytes, Quarantined: m.Quarantined,
		Scrub: &transportpb.ScrubProgress{
			CompletedAt: int64(m.Scrub.CompletedAt), Corrupt: m.Scrub.Corrupt,
			StartedAt: int64(m.Scrub.StartedAt), Done: m.Scrub.Done, Total: m.Scrub.Total,
		},
	}
}

func (d *decoder) storeReport(pb *transportpb.StoreReport) checkpoint.StoreReport {
	scrub := pb.GetScrub()
	return checkpoint.StoreReport{
		Path: pb.GetPath(), Chunks: d.count("chunks", pb.GetChunks()), Bytes: d.count("bytes", pb.GetBytes()),
		StoredBytes: d.count("stored bytes", pb.GetStoredBytes()),
		FreeBytes:   d.count("free bytes", pb.GetFreeBytes()), TotalBytes: d.count("total bytes", pb.GetTotalBytes()),
		Quarantined: d.count("quarantined copies", pb.GetQuarantined()),
		Scrub: checkpoint.ScrubProgress{
			CompletedAt: checkpoint.Timestamp(scrub.GetCompletedAt()), Corrupt: d.count("corrupt copies", scrub.GetCorrupt()),
			StartedAt: checkpoint.Timestamp(scrub.GetStartedAt()),
			Done:      d.count("scrubbed bytes", scrub.GetDone()), Total: d.count("bytes to scrub", scrub.GetTotal()),
		},
	}
}

func chunkFailureToPB(f checkpoint.ChunkFailure) *transportpb.ChunkFailure {
	return &transportpb.ChunkFailure{Chunk: f.Chunk[:], Error: text(f.Error)}
}

func (d *decoder) chunkFailure(pb *transportpb.ChunkFailure) checkpoint.ChunkFailure {
	return checkpoint.ChunkFailure{Chunk: d.chunk(pb.GetChunk()), Error: pb.GetError()}
}
