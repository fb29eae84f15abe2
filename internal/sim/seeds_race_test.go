//go:build race

package sim

// usualSeeds is fewer than without the race detector, which makes worlds ten times slower and has little to find in
// them: each lives in one goroutine.
const usualSeeds = 60
