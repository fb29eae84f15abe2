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

// Restores returns an error when the backend cannot go on from state in the given format.
func (b StateBackend) Restores(f StateFormat) error {
	if f == CanonicalFormat || b == BackendPebble && f == PebbleFormat {
		return nil
	}
	return fmt.Errorf("%w: its keyed state is files of state.backend pebble, and the job has state.backend %s: "+
		"keep pebble, or take a savepoint, from which every backend goes on", ErrStateMismatch, b)
}
