// Node is the stock task node of Cairn: it joins a cluster by gossip and runs the jobs in cairn/jobs.
package main

import (
	"cairn/jobs"
	"cairn/node"
)

func main() { node.Main(jobs.Programs()...) }
