// Package aligner decides when a task with several input channels takes its snapshot for a checkpoint: Flink's barrier
// alignment, aligned, at-least-once, unaligned, and aligned until a timeout.
//
// It is pure. The task's goroutine tells an Aligner what it has read, heard or waited for, by the On methods; what it has
// to do then comes back as Effects: block channels, take the snapshot, release them, give the checkpoint up. No method reads
// a clock, blocks, or may be called by another goroutine. Overtakes, MayOvertake and OvertakesAt say the same of a single
// barrier to those that hold one in a queue.
package aligner
