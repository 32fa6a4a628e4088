// Package conf reads and writes the syntax of Dovecot's configuration files:
// lines, sections, includes, comments and positions, and nothing of what the
// settings mean.
//
// A file is a sequence of logical lines. A logical line is one physical line,
// or several joined by a backslash at their ends:
//
//	key = value            an assignment; the value may be "quoted"
//	key = <path            the content of a file, which is not read here
//	type {                 opens a section
//	type name {            opens a named section
//	group @label name {    opens a group (2.4)
//	}                      closes the last section
//	!include pattern       reads other files here; must match something
//	!include_try pattern   the same, but may match nothing
//	# text                 a comment; also after any of the above
//
// Four readers of that form are known, and differ in detail:
//
//   - V1, Dovecot 1.0 to 1.2 (measured with 1.1.rc8): no includes, no "<",
//     no "$"; what follows "{" is silently ignored; a comment or blank line
//     does not end a continued line; lines are joined without a blank.
//   - V23, Dovecot 2.0 to 2.3 (2.3.19.1): quotes take backslash and any
//     character; blanks are space and tab; lines are joined by one blank; a
//     comment or blank line inside a continued line drops what came before.
//   - V24, Dovecot 2.4 (2.4.4): the same, but only \\ and \" are escapes, keys
//     may be quoted, groups exist, and a vertical tab, form feed or carriage
//     return is a blank.
//   - Ext, the external .conf.ext files of 2.x: lines as in V23, errors and
//     sections as in V1, no "<"; "$ENV:NAME" is the only reference.
//
// Four things are other than in Dovecot, on purpose:
//
//   - A continued line at the end of an included file is dropped, as it is at
//     the end of the main file; 2.3 joins it to the includer's next line.
//   - "Recursive include file" names the line of the include; Dovecot names
//     line 0 of a file that waits to be read.
//   - A NUL is an error; Dovecot ignores the rest of the line.
//   - Includes of special files are errors, and what is read has limits (see
//     Limits); Dovecot waits for a FIFO and reads on without end.
//
// Reading never stops at an error. A line that is wrong becomes a line of kind
// Bad with a Problem: its Text is what Dovecot says, its Hint what we add.
//
// Printing a File that was not changed gives the bytes that were read. A line
// whose value was changed keeps its indentation and its comment.
package conf

import "strconv"

// Dialect is one of the readers that the package doc describes.
type Dialect int

const (
	Unknown Dialect = iota // let Load find out
	V1                     // Dovecot 1.0 to 1.2
	V23                    // Dovecot 2.0 to 2.3
	V24                    // Dovecot 2.4
	Ext                    // external .conf.ext file of Dovecot 2.0 to 2.3
)

func (d Dialect) String() string {
	switch d {
	case V1:
		return "1.x"
	case V23:
		return "2.3"
	case V24:
		return "2.4"
	case Ext:
		return "2.3 external"
	}
	return "unknown"
}

// Kind says what a logical line is.
type Kind int

const (
	Blank   Kind = iota // one or more blank lines
	Comment             // one or more comment lines in a row
	Assign              // Key = Value
	Open                // Key [Name] {
	Close               // }
	Include             // !include Value, !include_try Value
	Bad                 // breaks the grammar; Problem says how
	Lost                // a continued line that the reader drops silently
	Root                // the node above all others; no line has it
)

// Form says how a value was written, which decides what may be expanded in it.
type Form int

const (
	Plain     Form = iota // as it stands
	Quoted                // in quotes; nothing is expanded
	FromFile              // <path; Value is the path
	Reference             // unquoted and contains "$"
)

// Pos is where something was written. Line is the number that Dovecot reports:
// of a continued line the last physical line, while First is the first one.
// Col counts bytes from 1 in line First. A Line of 0 means the file as a whole.
type Pos struct {
	File  string
	Line  int
	First int
	Col   int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Line is one logical line, or a run of blank lines or of comment lines.
type Line struct {
	Kind      Kind
	Form      Form // of an Assign
	KeyQuoted bool // the key was in quotes (2.4)
	NameSet   bool // an Open has a name, which may be empty: namespace "" {
	Quoted    bool // the name of an Open was in quotes
	Group     bool // group @label name {; Key is the label with its "@"
	Try       bool // !include_try
	Pos       Pos
	Key       string // setting, or section type
	Name      string // section name, unquoted
	Value     string // of an Assign without its quotes; pattern of an Include
	Comment   string // the comment at the end of the line, from its "#"
	Problem   *Problem

	raw      string // the bytes, with line ends
	from, to int    // where the value stands in raw, as written
	index    int    // in File.Lines
	rules    *rules
	tail     bool // something follows "{"
}

// Raw gives the bytes of the line with its line end; the last line of a file
// may have none.
func (l *Line) Raw() string { return l.raw }

// Written gives the value as it stands in the file, with quotes, "<" and line
// breaks.
func (l *Line) Written() string { return l.raw[l.from:l.to] }
