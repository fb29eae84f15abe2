package file

import (
	"errors"
	"io"
	"os"
)

var errEndsEarly = errors.New("the file has become shorter")

// csvSource is what the parser reads: a file up to the size that it had when it was listed. It bounds the memory
// that a quote which is never closed can take. Once it has failed it fails the same way for ever: the parser may have
// taken the first failure for something else.
type csvSource struct {
	file   *os.File
	offset int64 // of the next byte
	size   int64
	record int64 // where the record under way begins
	most   int64 // how far behind record the parser may read
	err    error
}

func (s *csvSource) Read(p []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.offset >= s.size:
		return 0, io.EOF
	case s.offset-s.record > s.most:
		s.err = errTooLong
		return 0, s.err
	}
	n, err := s.file.Read(p[:min(int64(len(p)), s.size-s.offset)])
	s.offset += int64(n)
	if errors.Is(err, io.EOF) {
		err = errEndsEarly
	}
	s.err = err
	return n, err
}
