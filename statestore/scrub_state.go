package statestore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// scrubState says how far a scrub has come. It is kept in a file, as JSON behind a line with its hash: a scrub that
// starts over because of a damaged file does no harm.
type scrubState struct {
	// Running says that a pass is under way, or was when the process ended. BeganAt is when it began, or the last one.
	Running bool                 `json:"running"`
	BeganAt checkpoint.Timestamp `json:"began_at"`
	// CompletedAt is when the last full pass was over, and Corrupt how many bad copies it found.
	CompletedAt checkpoint.Timestamp `json:"completed_at"`
	Corrupt     int64                `json:"corrupt"`
	// Done and Found are the bytes read and the bad copies found in the pass under way.
	Done  int64 `json:"done"`
	Found int64 `json:"found"`
	// Chunk is the last one with a file of its own that was read; with InPacks all were, and Pack is the last pack.
	Chunk   checkpoint.ChunkID `json:"chunk"`
	InPacks bool               `json:"in_packs"`
	Pack    uint64             `json:"pack"`
}

// begin starts a pass.
func (s *scrubState) begin(now checkpoint.Timestamp) {
	*s = scrubState{Running: true, BeganAt: now, CompletedAt: s.CompletedAt, Corrupt: s.Corrupt}
}

// complete ends a pass.
func (s *scrubState) complete(now checkpoint.Timestamp) {
	*s = scrubState{BeganAt: s.BeganAt, CompletedAt: now, Corrupt: s.Found}
}

// maxScrubState bounds the file in bytes.
const maxScrubState = 4096

func (s scrubState) encode() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x\n%s\n", blake3.Sum256(text), text), nil
}

func decodeScrubState(file []byte) (s scrubState, err error) {
	sum, text, _ := bytes.Cut(file, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\n"))
	if string(sum) != fmt.Sprintf("%x", blake3.Sum256(text)) {
		return s, errors.New("its hash is wrong")
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return scrubState{}, err
	}
	return s, nil
}

// saveScrub notes durably how far the scrub has come.
func (l *Local) saveScrub() error {
	file, err := l.scrubbing.get().encode()
	if err == nil {
		err = l.newFile(l.scrubState(), file)
	}
	if err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		return l.failed("write "+l.scrubState(), err)
	}
	return nil
}

// loadScrub reads how far a scrub had come when the process ended.
func (l *Local) loadScrub() {
	file, err := l.fs.ReadFile(l.scrubState(), maxScrubState)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		l.scrubbing.state, err = decodeScrubState(file)
	}
	if err != nil {
		l.log.Warn("how far the scrub had come cannot be read: it starts over", "path", l.scrubState(), "error", err)
	}
}
