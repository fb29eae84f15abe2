//go:build race

package faults

// everyNth is how many combinations of the matrix there are for each that is run. The race detector makes them ten times
// slower. Five leaves each job one, and both backends and all alignments among them.
const everyNth = 5
