package node

import (
	"log/slog"
	"strings"
	"testing"

	"cairn/dataflow"
)

// The store is named by "nodes" or by a URL; anything else is refused with what is allowed.
func TestStoreFlag(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ID, cfg.DataDir, cfg.Registry, cfg.Logger = "n1", "/data", dataflow.NewRegistry(), slog.New(slog.DiscardHandler)
	for _, store := range []string{"nodes", "file:///mnt/cairn", "mem://x", "s3://bucket/x?endpoint=https://host:9000"} {
		cfg.Store = store
		if err := cfg.Validate(); err != nil {
			t.Errorf("--store %s: %v", store, err)
		}
	}
	for store, orNodes := range map[string]bool{"": true, "node": true, "/mnt/cairn": true, "s3://bucket/x": false, "file://x": false} {
		cfg.Store = store
		err := cfg.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "--store: ") || strings.HasSuffix(err.Error(), ", or nodes") != orNodes {
			t.Errorf("--store %q: %v", store, err)
		}
	}
}
