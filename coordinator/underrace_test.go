//go:build race

package coordinator

// underRace says that the race detector makes everything slow and large.
const underRace = true
