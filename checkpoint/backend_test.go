package checkpoint

import (
	"errors"
	"strings"
	"testing"
)

func TestRestorableBy(t *testing.T) {
	for _, test := range []struct {
		backend StateBackend
		format  StateFormat
		refused bool
	}{
		{BackendMemory, CanonicalFormat, false},
		{BackendMemory, PebbleFormat, true},
		{BackendPebble, CanonicalFormat, false},
		{BackendPebble, PebbleFormat, false},
		{BackendPebble, 9, true},
	} {
		m := Manifest{Subtasks: []SubtaskState{{Handles: []Handle{
			{Operator: "read", Kind: ListState}, {Operator: "count", Kind: KeyedState, Format: test.format},
		}}}}
		err := m.RestorableBy(test.backend)
		if (err != nil) != test.refused {
			t.Errorf("%s from the format %s: %v", test.backend, test.format, err)
		}
		if err != nil && (!errors.Is(err, ErrStateMismatch) || !strings.Contains(err.Error(), "operator count") || !strings.Contains(err.Error(), "savepoint")) {
			t.Error(err)
		}
	}
}

func TestParseStateBackend(t *testing.T) {
	for _, b := range []StateBackend{BackendMemory, BackendPebble} {
		if got, err := ParseStateBackend(b.String()); err != nil || got != b {
			t.Errorf("%s: %s, %v", b, got, err)
		}
	}
	if _, err := ParseConfig(map[string]string{"state.backend": "rocksdb"}); err == nil || !strings.Contains(err.Error(), "memory or pebble") {
		t.Error(err)
	}
	memory := DefaultConfig()
	pebble := memory
	pebble.Backend = BackendPebble
	if err := memory.Mutable(pebble); err == nil || !strings.Contains(err.Error(), "state.backend") {
		t.Errorf("the backend of a running job may be changed: %v", err)
	}
}
