package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"cairn/checkpoint/checkpointpb"
)

// A manifest starts with four bytes of magic and a version, so that a foreign or newer file is refused
// with a clear error instead of being half understood.
// Version 1 did not count the entries of lists.
const (
	manifestMagic   = "CRNM"
	manifestVersion = 2
)

var (
	// ErrNotManifest says that the bytes are not a manifest at all, or are damaged.
	ErrNotManifest = errors.New("not a checkpoint manifest")
	// ErrManifestVersion says that a newer version of Cairn wrote the manifest.
	ErrManifestVersion = errors.New("checkpoint manifest of an unsupported version")
)

// EncodeManifest returns the persisted form of m. Equal manifests give equal bytes.
func EncodeManifest(m Manifest) ([]byte, error) {
	pb := &checkpointpb.Manifest{
		Job: m.Job[:], Checkpoint: uint64(m.ID), Attempt: uint32(m.Attempt), Kind: uint32(m.Kind),
		TriggerTimestamp: int64(m.TriggerTimestamp),
	}
	for _, v := range m.Vertices {
		pbv := &checkpointpb.Vertex{
			Id: string(v.ID), Parallelism: int32(v.Parallelism), MaxParallelism: int32(v.MaxParallelism),
			SharingGroup: v.SharingGroup,
		}
		for _, op := range v.Operators {
			pbv.Operators = append(pbv.Operators, string(op))
		}
		pb.Vertices = append(pb.Vertices, pbv)
	}
	for _, s := range m.Subtasks {
		pb.Subtasks = append(pb.Subtasks, SubtaskStateToPB(s))
	}
	pb.WriterNodes, pb.Writers = writersToPB(m.Writers)
	header := binary.BigEndian.AppendUint16([]byte(manifestMagic), manifestVersion)
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(header, pb)
}

// DecodeManifest reads what EncodeManifest wrote. It returns an error that wraps ErrNotManifest or
// ErrManifestVersion for anything else.
func DecodeManifest(b []byte) (Manifest, error) {
	headerLen := len(manifestMagic) + 2
	if len(b) < headerLen || string(b[:len(manifestMagic)]) != manifestMagic {
		return Manifest{}, fmt.Errorf("%w: %d bytes without its magic", ErrNotManifest, len(b))
	}
	version := binary.BigEndian.Uint16(b[len(manifestMagic):])
	if version < 1 || version > manifestVersion {
		return Manifest{}, fmt.Errorf("%w: %d, this build reads 1 to %d", ErrManifestVersion, version, manifestVersion)
	}
	var pb checkpointpb.Manifest
	if err := proto.Unmarshal(b[headerLen:], &pb); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrNotManifest, err)
	}
	m := Manifest{
		ID: ID(pb.Checkpoint), Attempt: Attempt(pb.Attempt), Kind: Kind(pb.Kind),
		TriggerTimestamp: Timestamp(pb.TriggerTimestamp),
	}
	if copy(m.Job[:], pb.Job) != len(m.Job) || len(pb.Job) != len(m.Job) {
		return Manifest{}, fmt.Errorf("%w: job ID of %d bytes", ErrNotManifest, len(pb.Job))
	}
	for _, pbv := range pb.Vertices {
		v := Vertex{ID: VertexID(pbv.Id), Parallelism: int(pbv.Parallelism), MaxParallelism: int(pbv.MaxParallelism), SharingGroup: pbv.SharingGroup}
		for _, op := range pbv.Operators {
			v.Operators = append(v.Operators, OperatorID(op))
		}
		m.Vertices = append(m.Vertices, v)
	}
	for _, pbs := range pb.Subtasks {
		s, err := SubtaskStateFromPB(pbs)
		if err != nil {
			return Manifest{}, fmt.Errorf("%w: %w", ErrNotManifest, err)
		}
		if version == 1 {
			s.forgetEntries()
		}
		m.Subtasks = append(m.Subtasks, s)
	}
	writers, err := writersFromPB(&pb)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrNotManifest, err)
	}
	m.Writers = writers
	return m, nil
}

// writersToPB names each node once: a job has thousands of subtasks, and few nodes.
func writersToPB(writers []NodeID) (nodes []string, of []int32) {
	known := make(map[NodeID]int32)
	for _, id := range writers {
		at, found := known[id]
		if !found {
			at = int32(len(nodes))
			known[id] = at
			nodes = append(nodes, string(id))
		}
		of = append(of, at)
	}
	return nodes, of
}

func writersFromPB(pb *checkpointpb.Manifest) ([]NodeID, error) {
	if len(pb.Writers) == 0 {
		return nil, nil
	}
	if len(pb.Writers) != len(pb.Subtasks) {
		return nil, fmt.Errorf("writers of %d subtasks, there are %d", len(pb.Writers), len(pb.Subtasks))
	}
	writers := make([]NodeID, len(pb.Writers))
	for i, at := range pb.Writers {
		if at < 0 || int(at) >= len(pb.WriterNodes) {
			return nil, fmt.Errorf("writer %d of %d", at, len(pb.WriterNodes))
		}
		writers[i] = NodeID(pb.WriterNodes[at])
	}
	return writers, nil
}

// forgetEntries marks the lists of a subtask as not counted.
func (s SubtaskState) forgetEntries() {
	for i := range s.Handles {
		if s.Handles[i].Kind != KeyedState {
			s.Handles[i].Entries = UnknownEntries
		}
	}
}

// SubtaskStateToPB converts s to its persisted form, which acks and deployments carry too.
func SubtaskStateToPB(s SubtaskState) *checkpointpb.SubtaskState {
	pb := &checkpointpb.SubtaskState{
		Vertex: string(s.Subtask.Vertex), Index: int32(s.Subtask.Index), EndOfData: s.EndOfData,
	}
	for _, h := range s.Handles {
		pbh := &checkpointpb.Handle{
			Operator: string(h.Operator), Name: h.Name, Kind: uint32(h.Kind),
			FirstKeyGroup: int32(h.KeyGroups.First), LastKeyGroup: int32(h.KeyGroups.Last),
			Entries: int64(h.Entries), FirstEntry: int64(h.Take.First), NumEntries: int64(h.Take.Count),
			PeerVertex: string(h.Channel.Peer), Edge: int32(h.Channel.Edge), Output: h.Channel.Output,
			Format: uint32(h.Format),
		}
		for _, c := range h.Chunks {
			pbh.Chunks = append(pbh.Chunks, ChunkRefToPB(c))
		}
		pb.Handles = append(pb.Handles, pbh)
	}
	return pb
}

// SubtaskStateFromPB reads what SubtaskStateToPB wrote.
func SubtaskStateFromPB(pb *checkpointpb.SubtaskState) (SubtaskState, error) {
	s := SubtaskState{
		Subtask:   SubtaskID{Vertex: VertexID(pb.GetVertex()), Index: int(pb.GetIndex())},
		EndOfData: pb.GetEndOfData(),
	}
	for _, pbh := range pb.GetHandles() {
		h, err := handleFromPB(pbh)
		if err != nil {
			return SubtaskState{}, fmt.Errorf("subtask %s, operator %s: %w", s.Subtask, pbh.GetOperator(), err)
		}
		s.Handles = append(s.Handles, h)
	}
	return s, nil
}

func handleFromPB(pb *checkpointpb.Handle) (Handle, error) {
	h := Handle{
		Operator: OperatorID(pb.GetOperator()), Name: pb.GetName(), Kind: HandleKind(pb.GetKind()), Format: StateFormat(pb.GetFormat()),
		KeyGroups: KeyGroupRange{First: int(pb.GetFirstKeyGroup()), Last: int(pb.GetLastKeyGroup())},
		Entries:   int(pb.GetEntries()),
		Take:      EntryRange{First: int(pb.GetFirstEntry()), Count: int(pb.GetNumEntries())},
		Channel:   ChannelEnd{Output: pb.GetOutput(), Peer: VertexID(pb.GetPeerVertex()), Edge: int(pb.GetEdge())},
	}
	if pb.GetFormat() > math.MaxUint8 {
		return Handle{}, fmt.Errorf("state format %d", pb.GetFormat())
	}
	if h.Entries < UnknownEntries || h.Take.First < 0 || h.Take.Count < 0 {
		return Handle{}, fmt.Errorf("%d entries, of which %d from %d on", h.Entries, h.Take.Count, h.Take.First)
	}
	for _, pbc := range pb.GetChunks() {
		c, err := ChunkRefFromPB(pbc)
		if err != nil {
			return Handle{}, err
		}
		h.Chunks = append(h.Chunks, c)
	}
	return h, nil
}

// ChunkRefToPB converts c to its persisted form.
func ChunkRefToPB(c ChunkRef) *checkpointpb.ChunkRef {
	return &checkpointpb.ChunkRef{Id: c.ID[:], Size: c.Size}
}

// ChunkRefFromPB reads what ChunkRefToPB wrote.
func ChunkRefFromPB(pb *checkpointpb.ChunkRef) (ChunkRef, error) {
	var c ChunkRef
	if len(pb.GetId()) != len(c.ID) || pb.GetSize() < 0 {
		return ChunkRef{}, fmt.Errorf("chunk reference with a name of %d bytes and size %d", len(pb.GetId()), pb.GetSize())
	}
	copy(c.ID[:], pb.Id)
	c.Size = pb.Size
	return c, nil
}
