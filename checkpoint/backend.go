package checkpoint

import "fmt"

// StateBackend is where the tasks of a job keep keyed state while they run. The numbers are persisted.
type StateBackend uint8

const (
	// BackendMemory keeps it in memory: fast, and as large as that is.
	BackendMemory StateBackend = 0
	// BackendPebble keeps it in an LSM tree on the node's disk: state larger than memory, and incremental checkpoints.
	BackendPebble StateBackend = 1
)

// String returns the word for the backend in configurations.
func (b StateBackend) String() string {
	switch b {
	case BackendMemory:
		return "memory"
	case BackendPebble:
		return "pebble"
	}
	return fmt.Sprintf("backend(%d)", uint8(b))
}

// ParseStateBackend reads the form that String writes.
func ParseStateBackend(s string) (StateBackend, error) {
	for _, b := range []StateBackend{BackendMemory, BackendPebble} {
		if b.String() == s {
			return b, nil
		}
	}
	return 0, fmt.Errorf("state backend %q: allowed are memory and pebble", s)
}

// RestorableBy returns an error, which wraps ErrStateMismatch, when a job with the given backend cannot go on from the
// checkpoint because of the format of its keyed state.
func (m Manifest) RestorableBy(b StateBackend) error {
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			if h.Format != CanonicalFormat && (h.Format != PebbleFormat || b != BackendPebble) {
				return fmt.Errorf("%w: the keyed state of operator %s is in the format %s, and the job has state.backend %s: "+
					"set it to pebble, or take a savepoint, from which every backend goes on", ErrStateMismatch, h.Operator, h.Format, b)
			}
		}
	}
	return nil
}
