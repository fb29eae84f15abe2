package file

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cairn/checkpoint"
	"cairn/dataflow"
)

const (
	inProgressSuffix = ".inprogress" // being written; nothing names it
	pendingSuffix    = ".pending"    // complete and durable; a snapshot names it
	writeBufferSize  = 64 << 10
)

// part names one output file, which holds the records of one transaction. The job is part of the name: one that goes
// on from another's savepoint counts its attempts anew, and may write into the same directory.
type part struct {
	job     string // the first digits of its ID
	subtask int
	attempt checkpoint.Attempt
	seq     uint64 // counts the files of the subtask in the attempt, from 0
}

// String returns the file's final name.
func (p part) String() string {
	return fmt.Sprintf("part-%s-%d-%d-%d", p.job, p.subtask, p.attempt, p.seq)
}

// jobDigits is the number of digits of the job's ID in a part's name.
const jobDigits = 8

func jobOf(id checkpoint.JobID) string { return id.String()[:jobDigits] }

// parsePart reads the form that String writes, and no other.
func parsePart(name string) (part, error) {
	fields := strings.Split(name, "-")
	if len(fields) == 5 && len(fields[1]) == jobDigits && strings.Trim(fields[1], "0123456789abcdef") == "" {
		subtask, errSubtask := strconv.Atoi(fields[2])
		attempt, errAttempt := strconv.ParseUint(fields[3], 10, 32)
		seq, errSeq := strconv.ParseUint(fields[4], 10, 64)
		p := part{job: fields[1], subtask: subtask, attempt: checkpoint.Attempt(attempt), seq: seq}
		if errors.Join(errSubtask, errAttempt, errSeq) == nil && subtask >= 0 && p.String() == name {
			return p, nil
		}
	}
	return part{}, fmt.Errorf("output file %q: want part-<job>-<subtask>-<attempt>-<seq>", name)
}

// partWriter writes one part. It belongs to one goroutine.
type partWriter struct {
	dir  string
	part part
	file *os.File
	buf  *bufio.Writer
}

// createPart starts a part. A file of that name from elsewhere is never written over.
func createPart(dir string, p part) (*partWriter, error) {
	path := filepath.Join(dir, p.String()+inProgressSuffix)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &partWriter{dir: dir, part: p, file: f, buf: bufio.NewWriterSize(f, writeBufferSize)}, nil
}

func (w *partWriter) write(record []byte) error {
	_, err := w.buf.Write(record)
	return err
}

// finish makes the part durable under its pending name.
func (w *partWriter) finish() error {
	if err := errors.Join(w.buf.Flush(), w.file.Sync(), w.file.Close()); err != nil {
		return err
	}
	name := w.part.String()
	if err := os.Rename(filepath.Join(w.dir, name+inProgressSuffix), filepath.Join(w.dir, name+pendingSuffix)); err != nil {
		return err
	}
	return syncDir(w.dir)
}

// abort gives the part up.
func (w *partWriter) abort() error {
	closed := w.file.Close()
	if errors.Is(closed, fs.ErrClosed) {
		closed = nil // finish got as far as closing it
	}
	return errors.Join(closed, removeIfExists(filepath.Join(w.dir, w.part.String()+inProgressSuffix)))
}

// commitPart gives a pending part its final name, durably. Doing it again changes nothing. When neither file is there,
// records that a checkpoint counts as written are lost, and the error says so. No attempt can mend what the directory
// then lacks, or has twice: those errors are Permanent.
func commitPart(dir string, p part) error {
	final := filepath.Join(dir, p.String())
	pending := final + pendingSuffix
	hasFinal, errFinal := exists(final)
	hasPending, errPending := exists(pending)
	if err := errors.Join(errFinal, errPending); err != nil {
		return err
	}
	switch {
	case hasFinal && hasPending:
		return dataflow.Permanent(fmt.Errorf("committing %s: a file of that name is there already, and is not overwritten", final))
	case hasPending:
		err := os.Rename(pending, final)
		if errors.Is(err, fs.ErrNotExist) {
			return committedByAnother(dir, p)
		}
		if err != nil {
			return err
		}
	case !hasFinal:
		return committedByAnother(dir, p)
	}
	return syncDir(dir)
}

// committedByAnother reports whether a part whose pending file is not there has its final name: the task of an
// earlier attempt, told of the same completion, may have renamed it between two looks of ours.
func committedByAnother(dir string, p part) error {
	final := filepath.Join(dir, p.String())
	hasFinal, err := exists(final)
	if err != nil {
		return err
	}
	if !hasFinal {
		return dataflow.Permanent(fmt.Errorf("committing %s: neither it nor %s is there: output is lost, or it went to another directory",
			final, filepath.Base(final)+pendingSuffix))
	}
	return syncDir(dir)
}

// abortPart removes what there is of an uncommitted part.
func abortPart(dir string, p part) error {
	name := filepath.Join(dir, p.String())
	return errors.Join(removeIfExists(name+inProgressSuffix), removeIfExists(name+pendingSuffix))
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
