package maildir

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
)

const (
	courierKeywordsDir  = "courierimapkeywords"
	courierKeywordsList = ":list"
)

// courierKeywords is Courier's :list: names one per line, an empty line, then for each message with keywords
//
//	basename:IDX IDX …     places in the list of names, from 0
type courierKeywords struct {
	Names    []string
	Messages []courierMessageKeywords
}

type courierMessageKeywords struct {
	Base    string
	Indexes []int
}

// parseCourierKeywords leaves out what Courier leaves out: lines without a colon, places behind the table, a last line
// without its line end.
func parseCourierKeywords(b []byte) courierKeywords {
	var k courierKeywords
	inNames := true
	for line := range bytes.Lines(b) {
		line, whole := bytes.CutSuffix(line, []byte{'\n'})
		switch {
		case !whole:
		case inNames && len(line) == 0:
			inNames = false
		case inNames:
			k.Names = append(k.Names, string(line))
		default:
			k.addMessage(string(line))
		}
	}
	return k
}

func (k *courierKeywords) addMessage(line string) {
	base, numbers, ok := strings.Cut(line, ":")
	if !ok || base == "" {
		return
	}
	m := courierMessageKeywords{Base: base}
	for number := range strings.FieldsSeq(numbers) {
		i, ok := number32(number)
		if ok && int64(i) < int64(len(k.Names)) && !slices.Contains(m.Indexes, int(i)) {
			m.Indexes = append(m.Indexes, int(i))
		}
	}
	k.Messages = append(k.Messages, m)
}

// append writes the list.
func (k *courierKeywords) append(b []byte) []byte {
	for _, name := range k.Names {
		b = append(append(b, name...), '\n')
	}
	b = append(b, '\n')
	for _, m := range k.Messages {
		b = append(append(b, m.Base...), ':')
		for i, index := range m.Indexes {
			if i > 0 {
				b = append(b, ' ')
			}
			b = strconv.AppendInt(b, int64(index), 10)
		}
		b = append(b, '\n')
	}
	return b
}

// of maps base names to keywords.
func (k *courierKeywords) of() map[string][]string {
	out := make(map[string][]string, len(k.Messages))
	for _, m := range k.Messages {
		var names []string
		for _, i := range m.Indexes {
			if !formats.HasKeyword(names, k.Names[i]) {
				names = append(names, k.Names[i])
			}
		}
		out[m.Base] = names
	}
	return out
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
	if name == courierKeywordsList || name == "" || strings.HasPrefix(name, ".tmp.") {
		return "", 0, false
	}
	if name[0] != '.' {
		return name, 1<<63 - 1, true
	}
	number, base, ok := strings.Cut(name[1:], ".")
	age, err := strconv.ParseInt(number, 10, 62)
	return base, age, ok && err == nil && age >= 0 && base != ""
}
