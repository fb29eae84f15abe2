package file

import (
	"strings"
)

// The handle of a transaction is the names of its parts, one on each line. Names hold no line breaks (checkBucket).

func encodeTransaction(parts []part) []byte {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.String()
	}
	return []byte(strings.Join(names, "\n"))
}

func decodeTransaction(handle []byte) ([]part, error) {
	var parts []part
	for name := range strings.SplitSeq(string(handle), "\n") {
		p, err := parsePart(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}
