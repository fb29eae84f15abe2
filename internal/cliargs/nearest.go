package cliargs

// Nearest returns the known word that is most likely meant by a mistyped one, or "" when none is close: at most
// one letter in three, and always one, may be missing, extra, wrong or swapped with its neighbour. Of equally
// close words the first counts.
func Nearest(word string, known []string) string {
	best, distance := "", max(1, len([]rune(word))/3)+1
	for _, k := range known {
		if d := editDistance([]rune(word), []rune(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that make b of a (the
// optimal string alignment distance).
func editDistance(a, b []rune) int {
	var beforeLast, last []int // rows of the distances between a[:i] and all b[:j]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		beforeLast, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], beforeLast[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
