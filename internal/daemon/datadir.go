package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cairn/checkpoint"
	"cairn/membership"
)

// ownerFile holds whose data a directory is.
const ownerFile = "owner"

// ClaimDataDir creates a data directory, or checks that an existing one belongs to the same member: files of
// another coordinator hold another one's votes, files of another node chunks that the cluster looks for elsewhere.
func ClaimDataDir(dir string, role membership.Role, id checkpoint.NodeID) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, ownerFile)
	want := fmt.Sprintf("%s %s\n", role, id)
	got, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.WriteFile(path, []byte(want), 0o640); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case string(got) != want:
		return fmt.Errorf("data directory %s belongs to %s, not to %s: start it with its own --id, or give this one another --data-dir",
			dir, strings.TrimSpace(string(got)), strings.TrimSpace(want))
	}
	return nil
}
