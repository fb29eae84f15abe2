package localcluster

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// GoSource returns the directory of the Go distribution's own source: real text that every machine with Go has.
func GoSource() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "src"), nil
}
