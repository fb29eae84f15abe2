package transport

import (
	"bufio"
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"cairn/api"
	pb "cairn/transport/transportpb"
)

// Snapshots of the replicated state travel in pieces of at most snapshotPiece bytes, like chunks; neither side holds
// more of one than that.

// SaveSnapshot implements api.Service. It is bounded by ctx alone. Nothing was written to w when it fails before the
// first piece; then the next coordinator is asked.
func (c *Client) SaveSnapshot(ctx context.Context, w io.Writer) (api.SnapshotInfo, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also when w takes no more
	var info api.SnapshotInfo
	how := manner{name: "save snapshot", patient: true}
	err := c.ask(ctx, how, func(ctx context.Context, to pb.CoordinatorServiceClient, o grpc.CallOption) error {
		stream, err := to.SaveSnapshot(ctx, &pb.SaveSnapshotRequest{}, o)
		if err != nil {
			return err
		}
		var written int64
		info, written, err = receiveSnapshot(stream, w)
		if written > 0 {
			err = brokenOff(err, written)
		}
		return err
	})
	return info, err
}

// brokenOff makes an error final: what was written cannot be taken back, so nobody else is asked.
func brokenOff(err error, written int64) error {
	if said := (*api.Error)(nil); err == nil || errors.As(err, &said) {
		return err
	}
	code := api.Unavailable
	if said := apiFromStatus(err); said != nil {
		code = said.Code
	}
	return api.Errorf(code, "save snapshot: it broke off after %d bytes: %s", written, status.Convert(err).Message())
}

// receiveSnapshot writes the pieces to w, and returns what follows them and how much was written.
func receiveSnapshot(stream interface{ RecvMsg(any) error }, w io.Writer) (api.SnapshotInfo, int64, error) {
	last := &pb.SnapshotPiece{}
	in := incoming{header: last}
	defer in.free()
	written := int64(0)
	for {
		if err := stream.RecvMsg(&in); errors.Is(err, io.EOF) {
			return api.SnapshotInfo{}, written, api.Errorf(api.Internal, "save snapshot: it ended after %d bytes without its description", written)
		} else if err != nil {
			return api.SnapshotInfo{}, written, err
		}
		if !in.isPayload {
			return snapshotInfoFromPB(last.GetInfo()), written, nil
		}
		n, err := w.Write(in.data)
		written += int64(n)
		if err != nil {
			return api.SnapshotInfo{}, written, api.Errorf(api.Internal, "save snapshot: writing it: %v", err)
		}
		in.free()
	}
}

// RestoreSnapshot implements api.Service. It is bounded by ctx alone, and goes on to another coordinator only as long
// as nothing was read from r.
func (c *Client) RestoreSnapshot(ctx context.Context, r io.Reader) (api.SnapshotInfo, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // without its end the receiver does not take the snapshot for whole
	var info api.SnapshotInfo
	how := manner{name: "restore snapshot", once: true, patient: true}
	err := c.ask(ctx, how, func(ctx context.Context, to pb.CoordinatorServiceClient, o grpc.CallOption) error {
		stream, err := to.RestoreSnapshot(ctx, o)
		if err != nil {
			return err
		}
		if err := sendSnapshot(stream, r); err != nil {
			return err
		}
		response, err := stream.CloseAndRecv()
		info = snapshotInfoFromPB(response)
		return err
	})
	return info, err
}

// sendSnapshot sends all of r. When the receiver wants no more it returns nil: the end of the call tells why.
func sendSnapshot(stream interface{ SendMsg(any) error }, r io.Reader) error {
	buffer := make([]byte, snapshotPiece)
	for {
		n, err := io.ReadFull(r, buffer)
		if n > 0 {
			if err := stream.SendMsg(&outgoing{data: buffer[:n]}); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return api.Errorf(api.Invalid, "restore snapshot: reading it: %v", err)
		}
	}
}

// SaveSnapshot sends what the service writes, and behind it the snapshot's description.
func (s *apiServer) SaveSnapshot(_ *pb.SaveSnapshotRequest, stream grpc.ServerStreamingServer[pb.SnapshotPiece]) error {
	out := bufio.NewWriterSize(pieceWriter{stream}, snapshotPiece)
	info, err := s.service.SaveSnapshot(stream.Context(), out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return apiToStatus(err)
	}
	return stream.Send(&pb.SnapshotPiece{Info: snapshotInfoToPB(info)})
}

// pieceWriter sends what is written to it.
type pieceWriter struct {
	stream interface{ SendMsg(any) error }
}

func (w pieceWriter) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		piece := p[sent:min(len(p), sent+snapshotPiece)]
		if err := w.stream.SendMsg(&outgoing{data: piece}); err != nil {
			return sent, err
		}
		sent += len(piece)
	}
	return sent, nil
}

// RestoreSnapshot hands the service what arrives.
func (s *apiServer) RestoreSnapshot(stream grpc.ClientStreamingServer[pb.SnapshotPiece, pb.SnapshotInfo]) error {
	r := &pieceReader{stream: stream, in: incoming{header: &pb.SnapshotPiece{}}}
	defer r.in.free()
	info, err := s.service.RestoreSnapshot(stream.Context(), r)
	if err != nil {
		return apiToStatus(err)
	}
	return stream.SendAndClose(snapshotInfoToPB(info))
}

// pieceReader reads what arrives. It returns io.EOF only when the sender has said that it was all.
type pieceReader struct {
	stream interface{ RecvMsg(any) error }
	in     incoming
	rest   []byte // of the last piece
}

func (r *pieceReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.stream.RecvMsg(&r.in); err != nil {
			return 0, err
		}
		if !r.in.isPayload {
			return 0, api.Errorf(api.Invalid, "restore snapshot: not a piece of one")
		}
		r.rest = r.in.data
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func snapshotInfoToPB(i api.SnapshotInfo) *pb.SnapshotInfo {
	return &pb.SnapshotInfo{
		Version: int64(i.Version), Index: i.Index, Term: i.Term, Size: i.Size, Sha256: i.SHA256,
		Jobs: int64(i.Jobs), Checkpoints: int64(i.Checkpoints), Savepoints: int64(i.Savepoints),
	}
}

func snapshotInfoFromPB(i *pb.SnapshotInfo) api.SnapshotInfo {
	return api.SnapshotInfo{
		Version: int(i.GetVersion()), Index: i.GetIndex(), Term: i.GetTerm(), Size: i.GetSize(), SHA256: i.GetSha256(),
		Jobs: int(i.GetJobs()), Checkpoints: int(i.GetCheckpoints()), Savepoints: int(i.GetSavepoints()),
	}
}
