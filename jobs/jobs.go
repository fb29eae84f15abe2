// Package jobs lists the programs that the stock node binary ships. A binary with programs of its own passes
// them to node.Main.
package jobs

import (
	"cairn/dataflow"
	"cairn/jobs/nexmark"
	"cairn/jobs/sessionize"
	"cairn/jobs/wordcount"
)

// Programs returns the programs of the stock node binary.
func Programs() []dataflow.Program {
	return []dataflow.Program{wordcount.Program(), nexmark.Program(), sessionize.Program()}
}
