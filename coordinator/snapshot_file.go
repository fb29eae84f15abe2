package coordinator

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"cairn/api"
	"cairn/fsm"
)

// A snapshot that leaves the cluster is an envelope around what fsm.EncodeSnapshot wrote, so that a file can be
// judged without a cluster:
//
//	magic "CRNS" · version (2 bytes) · term (8) · size of the state (8) · the state · SHA-256 of all before (32)
//
// Numbers are big-endian. A newer version is refused; version 1 is the only one so far.
const (
	fileMagic   = "CRNS"
	fileVersion = 1
	fileHeader  = len(fileMagic) + 2 + 8 + 8
)

// maxSnapshotFile bounds what is read of a file: far more than the state of any cluster.
const maxSnapshotFile = 1 << 30

var (
	errForeignSnapshot = errors.New("it is not a snapshot of Cairn's coordinators")
	errCorruptSnapshot = errors.New("it is damaged")
	errNewerSnapshot   = errors.New("it was written by a newer version of Cairn")
)

// encodeSnapshotFile puts a state, in its persisted form, into an envelope.
func encodeSnapshotFile(term uint64, state []byte) []byte {
	b := make([]byte, 0, fileHeader+len(state)+sha256.Size)
	b = append(b, fileMagic...)
	b = binary.BigEndian.AppendUint16(b, fileVersion)
	b = binary.BigEndian.AppendUint64(b, term)
	b = binary.BigEndian.AppendUint64(b, uint64(len(state)))
	b = append(b, state...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeSnapshotFile returns the state in a file and what is to be said of it. The whole file has been checked then,
// the state included.
func decodeSnapshotFile(file []byte) (state []byte, info api.SnapshotInfo, err error) {
	if !bytes.HasPrefix(file, []byte(fileMagic)) {
		return nil, info, fmt.Errorf("%w: it does not begin with %q", errForeignSnapshot, fileMagic)
	}
	if len(file) < fileHeader {
		return nil, info, fmt.Errorf("%w: it ends after %d bytes, within its header", errCorruptSnapshot, len(file))
	}
	header := file[len(fileMagic):]
	if version := binary.BigEndian.Uint16(header); version != fileVersion {
		return nil, info, fmt.Errorf("%w: it has version %d, this one reads %d", errNewerSnapshot, version, fileVersion)
	}
	info.Term = binary.BigEndian.Uint64(header[2:])
	size := binary.BigEndian.Uint64(header[10:])
	if have := uint64(len(file)); size > maxSnapshotFile || have != uint64(fileHeader)+size+sha256.Size {
		return nil, info, fmt.Errorf("%w: it has %d bytes, and a state of %d bytes makes %d", errCorruptSnapshot,
			have, size, uint64(fileHeader)+size+sha256.Size)
	}
	body, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, info, fmt.Errorf("%w: its checksum does not fit its content", errCorruptSnapshot)
	}
	state = body[fileHeader:]
	content, err := fsm.Inspect(state)
	switch {
	case errors.Is(err, fsm.ErrNewerVersion):
		return nil, info, fmt.Errorf("%w: %w", errNewerSnapshot, err)
	case err != nil:
		return nil, info, fmt.Errorf("%w: %w", errCorruptSnapshot, err)
	}
	whole := sha256.Sum256(file)
	return state, api.SnapshotInfo{
		Version: content.Version, Index: content.Index, Term: info.Term, Size: int64(len(file)), SHA256: hex.EncodeToString(whole[:]),
		Jobs: content.Jobs, Checkpoints: content.Checkpoints, Savepoints: content.Savepoints,
	}, nil
}

// readSnapshotFile reads a file to its end, and refuses one that is larger than any can be.
func readSnapshotFile(r io.Reader) ([]byte, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxSnapshotFile+1))
	if err != nil {
		return nil, err
	}
	if len(file) > maxSnapshotFile {
		return nil, fmt.Errorf("%w: it has more than %d bytes", errForeignSnapshot, maxSnapshotFile)
	}
	return file, nil
}

// InspectSnapshot describes a snapshot that SaveSnapshot wrote, after checking it as a restore would.
func InspectSnapshot(r io.Reader) (api.SnapshotInfo, error) {
	file, err := readSnapshotFile(r)
	if err != nil {
		return api.SnapshotInfo{}, err
	}
	_, info, err := decodeSnapshotFile(file)
	return info, err
}
