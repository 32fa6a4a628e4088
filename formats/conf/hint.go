package conf

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// sectionTypes are the words that usually open a section.
var sectionTypes = strings.Fields(`protocol service namespace passdb userdb auth plugin mailbox dict local
	local_name remote inet_listener unix_listener fifo_listener socket client master server group`)

// addHints says what to do about the lines that break the grammar.
func addHints(f *File) {
	for i, l := range f.Lines {
		if l.Kind == Bad && l.Problem.Hint == "" {
			var before, after *Line
			if i > 0 {
				before = f.Lines[i-1]
			}
			if i+1 < len(f.Lines) {
				after = f.Lines[i+1]
			}
			l.Problem.Hint = hint(l, before, after)
		}
	}
}

func hint(l, before, after *Line) string {
	text := strings.TrimSpace(l.raw)
	switch complaint := l.Problem.Text; {
	case strings.HasPrefix(complaint, "Garbage"):
		return "put what follows '{' on lines of its own, and '}' too"
	case strings.HasPrefix(complaint, "Unknown escape"):
		return `in quotes only \\ and \" may stand; write \\ for a backslash`
	case strings.HasPrefix(complaint, "Expecting group"):
		return "write: group @label name {"
	case !strings.HasPrefix(complaint, "Expecting"):
		return ""
	case text == "{":
		return bracePlace(before)
	case strings.HasPrefix(text, "}"):
		return "put '}' on a line of its own"
	}
	return wordHint(l, after, text)
}

// bracePlace answers a lone "{".
func bracePlace(before *Line) string {
	if before != nil && before.Kind == Bad {
		return "put '{' at the end of line " + strconv.Itoa(before.Pos.Line)
	}
	return "put '{' at the end of the line before"
}

// wordHint answers a line of words without "=" or "{".
func wordHint(l, after *Line, text string) string {
	brace := strings.IndexByte(text, '{')
	switch {
	case misspelt(l.Key) != "":
		return "did you mean " + misspelt(l.Key) + "?"
	case printedBy1x().MatchString(text):
		return "this looks like what 'dovecot -n' of 1.x prints, which is not a configuration: write name = value"
	case brace > 0 && strings.TrimSpace(text[brace+1:]) == "":
		return "put a blank before '{'"
	case brace > 0 && strings.IndexByte(text, '=') < 0:
		return "put a blank before '{', and nothing after it"
	case after != nil && strings.HasPrefix(strings.TrimSpace(after.raw), "{"):
		return "put '{' at the end of the line"
	case slices.Contains(sectionTypes, l.Key):
		return "missing '{' at the end of the line?"
	}
	return "missing '='?"
}

// printedBy1x is "name: value", or "name(imap): value" where protocols differ.
var printedBy1x = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_]+(\([a-z0-9]+\))?:( |$)`) })

// misspelt gives the include that a word was meant to be, or nothing.
func misspelt(word string) string {
	bare := strings.ToLower(strings.Trim(strings.ReplaceAll(word, "-", "_"), "!:#%@."))
	switch bare {
	case "include", "includes", "inlcude", "inclue", "incldue", "import":
		return "!include"
	case "include_try", "includetry", "try_include":
		return "!include_try"
	}
	return ""
}

// includeHint says what to do about an include that failed.
func includeHint(n *Node, text string, err error) string {
	switch p := n.Value; {
	case text != "No matches":
		return ""
	case errors.Is(err, fs.ErrPermission):
		return "the directory cannot be searched: " + err.Error()
	case strings.HasPrefix(p, "="):
		return "remove the '='"
	case strings.HasPrefix(p, `"`) || strings.HasPrefix(p, "'"):
		return "remove the quotes"
	case strings.HasPrefix(p, "~"):
		return "write the whole path: '~' is not expanded"
	}
	return "use !include_try if the file may be absent"
}
