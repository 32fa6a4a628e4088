package maildir

import (
	"bytes"
	"strconv"
	"strings"
)

const keywordsName = "dovecot-keywords"

// maxLetters is the number of keywords that file names can hold.
const maxLetters = 26

// keywordTable is the content of dovecot-keywords: the names behind the letters a to z; "" for a letter without one.
type keywordTable [maxLetters]string

// parseKeywords reads what can be understood; lines that Dovecot skips are skipped (maildir-keywords.c,
// maildir_keywords_sync): no space, an index past z, a name that another letter has already.
func parseKeywords(b []byte) keywordTable {
	var t keywordTable
	for line := range bytes.Lines(b) {
		line, whole := bytes.CutSuffix(line, []byte{'\n'})
		number, name, ok := bytes.Cut(line, []byte{' '})
		i, isNumber := number32(number)
		if !whole || !ok || !isNumber || i >= maxLetters || len(name) == 0 || t.index(string(name)) >= 0 {
			continue
		}
		t[i] = string(name)
	}
	return t
}

// append writes the file.
func (t *keywordTable) append(b []byte) []byte {
	for i, name := range t {
		if name != "" {
			b = append(strconv.AppendInt(b, int64(i), 10), ' ')
			b = append(append(b, name...), '\n')
		}
	}
	return b
}

// index finds a name in any case; -1 when it has no letter.
func (t *keywordTable) index(name string) int {
	for i, known := range t {
		if known != "" && strings.EqualFold(known, name) {
			return i
		}
	}
	return -1
}

// full tells that no letter is left.
func (t *keywordTable) full() bool {
	for _, name := range t {
		if name == "" {
			return false
		}
	}
	return true
}

// unnamed tells whether one of the letters has no name.
func (t *keywordTable) unnamed(set letters) bool {
	for i := range maxLetters {
		if set&(1<<i) != 0 && t[i] == "" {
			return true
		}
	}
	return false
}

// add gives a name a letter, the first free one; -1 when all are taken or the name cannot stand in the file.
// Letters are never given to another name: files in other places may carry them.
func (t *keywordTable) add(name string) int {
	if i := t.index(name); i >= 0 {
		return i
	}
	if name == "" || strings.ContainsAny(name, "\n\r\x00") {
		return -1
	}
	for i := range t {
		if t[i] == "" {
			t[i] = name
			return i
		}
	}
	return -1
}

// names are the keywords of a set of letters. A letter without a name becomes "unknown-<n>", as Dovecot shows it.
func (t *keywordTable) names(set letters) []string {
	var names []string
	for i := range maxLetters {
		if set&(1<<i) == 0 {
			continue
		}
		if t[i] != "" {
			names = append(names, t[i])
		} else {
			names = append(names, "unknown-"+strconv.Itoa(i))
		}
	}
	return names
}
