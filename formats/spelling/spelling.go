// Package spelling finds the word that was meant by one that is misspelt, for what an error suggests.
package spelling

import "strings"

// Nearest gives the first of the names that is the fewest letters away from a word (Levenshtein's distance, in bytes,
// without regard to case), or "" if all of them are more than limit away.
func Nearest(word string, names []string, limit int) string {
	best := ""
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name), limit); d < limit || d == limit && best == "" {
			best, limit = name, d
		}
	}
	return best
}

// tooLong is a word that nobody has misspelt; to compare it would take time.
const tooLong = 200

// distance counts the letters that must be added, removed or replaced to make b of a. It gives limit+1 when it is certain
// to be more than limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > tooLong {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
