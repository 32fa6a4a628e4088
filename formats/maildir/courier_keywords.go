package maildir

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
)

// Courier's folder of keywords. Its file :list has names one per line, an empty line, then for each message with keywords
//
//	basename:IDX IDX …     places in the list of names, from 0
//
// and beside it lie pending updates, which override :list for their message: "basename", the newest, with one keyword a
// line, and ".N.basename", the larger N the newer. Verified with Courier-IMAP 4.18.2 and 5.0.13.
const (
	courierKeywordsDir  = "courierimapkeywords"
	courierKeywordsList = ":list"
)

// parseCourierKeywords reads the names of a :list and gives what stands behind them.
func parseCourierKeywords(text []byte) (names []string, rest []byte) {
	for len(text) > 0 {
		line, after, whole := bytes.Cut(text, []byte{'\n'})
		text = after
		if !whole {
			return names, nil
		}
		if len(line) == 0 {
			return names, text
		}
		names = append(names, string(line))
	}
	return names, nil
}

// parseCourierKeywordsLine reads the line of a message, appending to places. bad says that it is not understood in part:
// no colon, something that is no place in the table, or no line end, which leaves its last number in doubt (Courier 5.0.13
// takes it as it is, and so do we).
func parseCourierKeywordsLine(l controlLine, names int, places []int) (base []byte, found []int, bad bool) {
	base, numbers, ok := bytes.Cut(l.text, []byte{infoSep})
	if !ok || len(base) == 0 {
		return nil, places, true
	}
	for number := range bytes.FieldsSeq(numbers) {
		i, ok := number32(number)
		switch {
		case !ok || int64(i) >= int64(names):
			bad = true
		case !slices.Contains(places, int(i)):
			places = append(places, int(i))
		}
	}
	return base, places, bad || !l.whole
}

func appendCourierKeywordNames(b []byte, names []string) []byte {
	for _, name := range names {
		b = append(append(b, name...), '\n')
	}
	return append(b, '\n')
}

func appendCourierKeywordsLine(b, base []byte, places []int) []byte {
	b = append(append(b, base...), infoSep)
	for i, place := range places {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(place), 10)
	}
	return append(b, '\n')
}

// parseCourierUpdate reads a pending update: one keyword per line; an empty file is no keywords.
func parseCourierUpdate(b []byte) []string {
	var names []string
	for line := range strings.Lines(string(b)) {
		if name := strings.TrimSuffix(line, "\n"); name != "" && !formats.HasKeyword(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// courierUpdateName reads the name of a pending update: "basename" is the newest, ".N.basename" has the age N, the
// larger the newer. ok is false for :list and scratch files.
func courierUpdateName(name string) (base string, age int64, ok bool) {
	if name == "" || name[0] == infoSep || strings.HasPrefix(name, ".tmp.") {
		return "", 0, false
	}
	if name[0] != '.' {
		return name, math.MaxInt64, true
	}
	number, base, ok := strings.Cut(name[1:], ".")
	age, err := strconv.ParseInt(number, 10, 62)
	return base, age, ok && err == nil && age >= 0 && base != ""
}
