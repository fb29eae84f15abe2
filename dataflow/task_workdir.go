package dataflow

import (
	"errors"
	"fmt"
	"os"

	"cairn/checkpoint"
)

// checkBackend refuses a task whose state cannot be kept where its job wants it.
func checkBackend(spec TaskSpec, deps TaskDeps) error {
	switch {
	case spec.Backend > checkpoint.BackendPebble:
		return fmt.Errorf("subtask %s: unknown state.backend %d", spec.Subtask, spec.Backend)
	case spec.Backend == checkpoint.BackendPebble && (deps.Rows == nil || spec.WorkDir == ""):
		return errors.New("dataflow: Rows and WorkDir must be set for a job with state.backend pebble")
	}
	return nil
}

// rowHome says where the task keeps rows on disk.
func (t *Task) rowHome() rowHome {
	if t.spec.Backend != checkpoint.BackendPebble {
		return rowHome{}
	}
	node := t.spec.Assignment.Node(t.topology.Ordinal(t.spec.Subtask)).ID
	return rowHome{backend: t.deps.Rows, dir: t.spec.WorkDir, node: node, fail: t.mailbox.fail}
}

// clearWorkDir removes what an attempt has on disk. What counts is in the checkpoints.
func (t *Task) clearWorkDir() error {
	if t.spec.Backend != checkpoint.BackendPebble {
		return nil
	}
	return os.RemoveAll(t.spec.WorkDir)
}
