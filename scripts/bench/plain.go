package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// plainFile is what the state store is compared with: a file that is written from its beginning to its end, and read so.
type plainFile struct {
	path string
	size int64 // bytes
}

const plainBlock = mib

// write writes the file and syncs it.
func (p plainFile) write() error {
	block := noise(1, plainBlock)
	f, err := os.Create(p.path)
	if err != nil {
		return err
	}
	for left := p.size; left > 0 && err == nil; left -= plainBlock {
		_, err = f.Write(block[:min(left, plainBlock)])
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// writing measures how fast the file is written. It is removed again.
func (p plainFile) writing(context.Context) (mibPerSecond float64, err error) {
	start := time.Now()
	if err := p.write(); err != nil {
		return 0, err
	}
	return rate(p.size, time.Since(start)), os.Remove(p.path)
}

// reading measures how fast the file gets into memory.
func (p plainFile) reading(context.Context) (mibPerSecond float64, err error) {
	start := time.Now()
	_, err = os.ReadFile(p.path)
	return rate(p.size, time.Since(start)), err
}

// rate returns MiB per second.
func rate(bytes int64, took time.Duration) float64 { return float64(bytes) / mib / took.Seconds() }
