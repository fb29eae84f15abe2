package statestore

// Stats says what a Local holds.
type Stats struct {
	Chunks int64
	// Bytes is the size of the chunks' content, StoredBytes that of the files that they are in: less where they are compressed.
	Bytes, StoredBytes int64
	// Quarantined counts the damaged copies that are kept, of QuarantinedBytes.
	Quarantined, QuarantinedBytes int64
	// FreeBytes and TotalBytes are of the disk.
	FreeBytes, TotalBytes int64
}

// Stats returns what the store holds, which it knows, and what is in quarantine and free on the disk, for which it looks.
func (l *Local) Stats() (Stats, error) {
	if err := l.begin(); err != nil {
		return Stats{}, err
	}
	defer l.running.Done()
	s := l.index.stats()
	files, bytes, err := l.countQuarantined()
	if err != nil {
		return s, l.failed("look what is in quarantine", err)
	}
	s.Quarantined, s.QuarantinedBytes = int64(files), bytes
	if s.FreeBytes, s.TotalBytes, err = l.fs.Space(l.dir); err != nil {
		return s, l.failed("look how much is free", err)
	}
	return s, nil
}

func (x *index) stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	return Stats{Chunks: x.chunks, Bytes: x.bytes, StoredBytes: x.stored}
}
