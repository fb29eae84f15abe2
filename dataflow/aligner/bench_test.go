package aligner

import (
	"fmt"
	"testing"

	"cairn/checkpoint"
)

func BenchmarkAligner(b *testing.B) {
	for _, channels := range []int{4, 100} {
		b.Run(fmt.Sprint("channels=", channels), func(b *testing.B) {
			a := New(channels)
			b.ReportAllocs()
			for i := range b.N {
				for c := range channels {
					a.OnBarrier(c, checkpoint.Barrier{ID: checkpoint.ID(i + 1), Mode: checkpoint.ExactlyOnce})
				}
			}
		})
	}
}
