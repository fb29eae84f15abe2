package fsm

import "encoding/binary"

// SnapshotInfo describes the content of a snapshot.
type SnapshotInfo struct {
	Version     int    // of the format
	Index       uint64 // of the last Raft entry that it holds
	Jobs        int
	Checkpoints int // retained
	Savepoints  int // imported ones, too
}

// Inspect describes a snapshot that EncodeSnapshot wrote. It demands as much of the bytes as DecodeSnapshot.
func Inspect(snapshot []byte) (SnapshotInfo, error) {
	s, err := DecodeSnapshot(snapshot)
	if err != nil {
		return SnapshotInfo{}, err
	}
	info := SnapshotInfo{
		Version: int(binary.BigEndian.Uint16(snapshot[len(snapshotMagic):])), Index: s.LastIndex, Jobs: len(s.Jobs),
	}
	for _, j := range s.Jobs {
		info.Checkpoints += len(j.Completed)
		info.Savepoints += len(j.Savepoints)
	}
	info.Savepoints += len(s.Imports)
	return info, nil
}
