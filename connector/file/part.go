package file

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cairn/checkpoint"
)

const (
	inProgressSuffix = ".inprogress" // being written; nothing names it
	pendingSuffix    = ".pending"    // complete; durable, too, once a snapshot names it
)

// part names one output file, which holds records of one transaction. The job is part of the name: one that goes
// on from another's savepoint counts its attempts anew, and may write into the same directory.
type part struct {
	bucket  string // the directory it is in, below the sink's, with slashes; empty for the sink's own
	job     string // the first digits of its ID
	subtask int
	attempt checkpoint.Attempt
	seq     uint64 // counts the files of the subtask in the attempt, from 0
	suffix  string // one of partSuffixes
}

// partSuffixes tell what a part holds; lines have none.
var partSuffixes = []string{"", csvSuffix, jsonSuffix, gzipSuffix, csvSuffix + gzipSuffix, jsonSuffix + gzipSuffix}

const (
	csvSuffix  = ".csv"
	jsonSuffix = ".jsonl"
	gzipSuffix = ".gz"
)

// String returns the file's final name, below the sink's directory.
func (p part) String() string {
	return path.Join(p.bucket, fmt.Sprintf("part-%s-%d-%d-%d%s", p.job, p.subtask, p.attempt, p.seq, p.suffix))
}

// in returns the file's final name below dir.
func (p part) in(dir string) string { return filepath.Join(dir, filepath.FromSlash(p.String())) }

// jobDigits is the number of digits of the job's ID in a part's name.
const jobDigits = 8

func jobOf(id checkpoint.JobID) string { return id.String()[:jobDigits] }

// parsePart reads the form that String writes, and no other. A handle must not become a way to rename other files.
func parsePart(name string) (part, error) {
	bucket, base := path.Split(name)
	stem, suffix := base, ""
	if dot := strings.IndexByte(base, '.'); dot >= 0 {
		stem, suffix = base[:dot], base[dot:]
	}
	fields := strings.Split(stem, "-")
	if len(fields) == 5 && len(fields[1]) == jobDigits && strings.Trim(fields[1], "0123456789abcdef") == "" {
		subtask, errSubtask := strconv.Atoi(fields[2])
		attempt, errAttempt := strconv.ParseUint(fields[3], 10, 32)
		seq, errSeq := strconv.ParseUint(fields[4], 10, 64)
		p := part{
			bucket: strings.TrimSuffix(bucket, "/"), job: fields[1], subtask: subtask, attempt: checkpoint.Attempt(attempt), seq: seq, suffix: suffix,
		}
		err := errors.Join(errSubtask, errAttempt, errSeq, checkBucket(p.bucket))
		if err == nil && subtask >= 0 && slices.Contains(partSuffixes, suffix) && p.String() == name {
			return p, nil
		}
	}
	return part{}, fmt.Errorf("output file %q: want [<bucket>/]part-<job>-<subtask>-<attempt>-<seq>[.csv|.jsonl][.gz]", name)
}

// checkBucket returns an error for a bucket that is not a plain directory below the sink's: one that leads out of it,
// or whose names are hidden or not for people's eyes. The empty one is the sink's directory itself.
func checkBucket(bucket string) error {
	if bucket == "" {
		return nil
	}
	for name := range strings.SplitSeq(bucket, "/") {
		if name == "" || name[0] == '.' || strings.ContainsFunc(name, notInBucket) || strings.HasPrefix(name, "part-") {
			return fmt.Errorf("bucket %q: want directory names with a slash between them, none of which is empty, begins with a dot "+
				"or \"part-\", or holds a backslash, a control character or a byte that is no text", bucket)
		}
	}
	return nil
}

func notInBucket(r rune) bool {
	return r == '\\' || r == unicode.ReplacementChar || unicode.IsControl(r)
}
