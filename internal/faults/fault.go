package faults

import (
	"fmt"
	"math/rand/v2"
)

// Fault is a way to make things go wrong.
type Fault uint8

const (
	// TaskPanic makes an operator panic on a record.
	TaskPanic Fault = iota
	// NodeKill ends a task node's process, and starts another one later.
	NodeKill
	// ChannelCut breaks one data channel between two nodes.
	ChannelCut
	// LeaderKill ends the leading coordinator's process without a hand-over, and starts another one later.
	LeaderKill
	// CheckpointTimeout keeps the nodes' stores from taking anything until a checkpoint has expired.
	CheckpointTimeout
	// NodeCutOff separates a task node from everybody for a while. Its tasks go on.
	NodeCutOff
	// LeaderCutOff separates the leading coordinator from the others, and not from the nodes, for a while.
	LeaderCutOff

	numFaults
)

var faultNames = [numFaults]string{
	"task panic", "node kill", "channel cut", "leader kill", "checkpoint timeout", "node cut off", "leader cut off",
}

// String returns the fault's name for people.
func (f Fault) String() string {
	if f >= numFaults {
		return fmt.Sprintf("fault(%d)", uint8(f))
	}
	return faultNames[f]
}

// perKind is how often each kind of fault strikes in one run.
const perKind = 3

// deck returns the faults of one run, each kind perKind times, in random order.
func deck(random *rand.Rand) []Fault {
	var all []Fault
	for f := range numFaults {
		for range perKind {
			all = append(all, f)
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
