package conf

import "strings"

// MaxLines is how many logical lines Parse reads of one file. Real trees have
// a few thousand; the limit keeps a file of nothing but short lines from
// taking many times its size in memory.
const MaxLines = 500_000

// maxProblems is how many problems of one file are kept.
const maxProblems = 1000

// Parse reads one file. It accepts everything: what is wrong stands in
// Problems, and in the lines of kind Bad. Dialect Unknown reads as V23.
func Parse(name, data string, d Dialect) *File {
	if d == Unknown {
		d = V23
	}
	x := lexer{rules: d.rules(), src: data, file: &File{Name: name, Dialect: d}}
	if strings.HasPrefix(data, "\xef\xbb\xbf") {
		x.report(&Problem{Severity: Notice, Pos: Pos{File: name, Line: 1, First: 1, Col: 1},
			Text: "byte order mark at the start of the file",
			Hint: "save the file as UTF-8 without a byte order mark"})
	}
	for x.end < len(x.src) && len(x.file.Lines) < MaxLines {
		x.physical()
	}
	if x.end < len(x.src) {
		x.tooLong()
	}
	x.lose(x.end, "it ends with the file")
	addHints(x.file)
	return x.file
}

// lexer joins physical lines to logical ones.
type lexer struct {
	rules *rules
	file  *File
	src   string
	done  int // bytes that stand in file.Lines
	end   int // bytes taken from src; those after done wait for their logical line
	line  int // number of the last physical line taken

	parts   []part // a continued line so far
	first   int    // number of its first line
	comment string // comments at the ends of its lines
}

// part is what one physical line gives to a logical one.
type part struct {
	text string
	at   int // offset in src
}

// physical takes one line of src.
func (x *lexer) physical() {
	begin := x.end
	text := x.src[begin:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
		x.end += i + 1
	} else {
		x.end = len(x.src)
	}
	text = strings.TrimSuffix(text, "\r")
	x.line++
	body := x.rules.trimLeft(text)
	if body == "" || body[0] == '#' {
		x.idle(body, begin)
		return
	}
	at := begin + len(text) - len(body)
	if begin == x.done {
		x.first, x.comment = x.line, ""
	}
	body = x.cutComment(body, at)
	if !strings.HasSuffix(body, `\`) {
		x.parts = append(x.parts, part{body, at})
		x.logical()
		return
	}
	body = body[:len(body)-1]
	if !x.rules.glue {
		body = x.rules.trimRight(body)
	}
	if body != "" {
		x.parts = append(x.parts, part{body, at})
	}
}

// idle takes a blank line or a comment. It may end a continued line.
func (x *lexer) idle(body string, begin int) {
	if begin > x.done {
		if x.rules.keep {
			return
		}
		x.lose(begin, "a blank line or a comment follows it")
	}
	kind := Blank
	if body != "" {
		kind = Comment
	}
	if n := len(x.file.Lines); n > 0 && x.file.Lines[n-1].Kind == kind {
		last := x.file.Lines[n-1]
		last.raw = x.src[x.done-len(last.raw) : x.end]
		last.Pos.Line = x.line
		x.done = x.end
		return
	}
	x.first = x.line
	x.emit(&Line{Kind: kind}, x.end)
}

// emit adds a line that takes the bytes up to end.
func (x *lexer) emit(l *Line, end int) {
	l.raw = x.src[x.done:end]
	x.done = end
	l.Pos.File, l.Pos.First = x.file.Name, x.first
	if l.Pos.Line == 0 {
		l.Pos.Line = x.line
	}
	if l.Pos.Col == 0 {
		l.Pos.Col = 1
	}
	l.index = len(x.file.Lines)
	x.file.Lines = append(x.file.Lines, l)
	x.parts = x.parts[:0]
}

// lose ends a continued line without its last part, as Dovecot does silently.
func (x *lexer) lose(end int, why string) {
	if end == x.done {
		return
	}
	l := &Line{Kind: Lost}
	if end < x.end {
		l.Pos.Line = x.line - 1
	}
	empty := len(x.parts) == 0
	x.emit(l, end)
	if !empty {
		l.Problem = &Problem{Severity: Notice, Pos: l.Pos, Text: "this line has no effect: " + why,
			Hint: `remove the '\' at its end`}
		x.report(l.Problem)
	}
}

// tooLong puts the rest of a file with too many lines into one.
func (x *lexer) tooLong() {
	x.lose(x.end, "the file has too many lines")
	x.end = len(x.src)
	x.line++
	l := &Line{Kind: Bad}
	x.first = x.line
	x.emit(l, x.end)
	x.bad(l, "The file has too many lines")
}

// bad marks a line as one that breaks the grammar.
func (x *lexer) bad(l *Line, text string) {
	l.Kind = Bad
	l.Problem = &Problem{Pos: l.Pos, Text: text}
	x.report(l.Problem)
}

func (x *lexer) report(p *Problem) {
	if len(x.file.Problems) < maxProblems {
		x.file.Problems = append(x.file.Problems, p)
	}
}

// cutComment takes the comment and the blanks before it off a line. Quotes
// hide a "#"; one that is not closed hides all of them.
func (x *lexer) cutComment(s string, at int) string {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
			}
		case '#':
			if x.rules.ambiguous && !x.rules.blank(s[i-1]) {
				pos := Pos{File: x.file.Name, Line: x.line, First: x.line, Col: x.column(at + i)}
				x.report(&Problem{Severity: Warning, Pos: pos, Text: "Ambiguous '#' character in line, " +
					"treating it as comment. Add a space before it to remove this warning.",
					Hint: `put the value in quotes if '#' belongs to it`})
			}
			x.comment = strings.TrimPrefix(x.comment+" "+s[i:], " ")
			return x.rules.trimRight(s[:i])
		}
	}
	return x.rules.trimRight(s)
}

// column counts from 1 the byte at an offset in its physical line.
func (x *lexer) column(at int) int {
	return at - strings.LastIndexByte(x.src[:at], '\n')
}
