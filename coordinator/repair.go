package coordinator

import (
	"fmt"
	"time"
)

// Repair says how copies of chunks are made good that nodes have lost.
type Repair struct {
	// Delay is how long a node may be gone before its copies are made elsewhere: one that comes back has them still.
	Delay time.Duration
	// Rate bounds the bytes per second that the cluster copies for it.
	Rate int64
}

// DefaultRepair returns a delay that lets a node start again, and a rate that leaves most of a network to the jobs.
func DefaultRepair() Repair { return Repair{Delay: time.Minute, Rate: 64 << 20} }

// Validate returns an error that names the value that makes no sense.
func (r Repair) Validate() error {
	switch {
	case r.Delay < 0:
		return fmt.Errorf("repair delay %s: must not be negative", r.Delay)
	case r.Rate < 1:
		return fmt.Errorf("repair rate of %d bytes per second: must be positive", r.Rate)
	}
	return nil
}
