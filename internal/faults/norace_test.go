//go:build !race

package faults

const everyNth = 1
