package courier

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WriteText prints the report for people: what was done with the folders, what was lost or found damaged, what to know,
// and one line for the user.
func (r *UserReport) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	say := func(text string) { fmt.Fprintln(out, clean(r.User+": "+text)) }
	for i := 0; i < len(r.Steps); {
		line, n := grouped(r.Steps[i:])
		say(line)
		i += n
	}
	for _, f := range r.Folders {
		if f.Outcome == Skipped {
			say(fmt.Sprintf("skipped %s: %s", f.Folder, f.Reason))
			next(out, f.Next)
		}
	}
	for _, l := range r.Losses {
		say(l.String())
	}
	for _, p := range r.Problems {
		say(p.String())
	}
	for _, n := range r.Notes {
		say("note: " + in(n.Folder) + n.Text)
	}
	fmt.Fprintln(out, r.Line())
	next(out, r.Next)
	return out.Flush()
}

// fewRenames is how many message files of a folder are named that are renamed for the same reason.
const fewRenames = 3

// grouped is the line for the first steps and how many it stands for: message files that are renamed for the same reason
// are one line when they are many.
func grouped(steps []Step) (line string, n int) {
	first := steps[0]
	for n < len(steps) && first.Kind == RenameMessage && steps[n].Kind == first.Kind && steps[n].Folder == first.Folder && steps[n].Why == first.Why {
		n++
	}
	if n <= fewRenames {
		return first.String(), 1
	}
	return fmt.Sprintf("%ss in %s: %d files: %s", RenameMessage, first.Folder, n, first.Why), n
}

// clean makes one line of names that their users chose: what cannot be printed is escaped.
func clean(text string) string {
	var b strings.Builder
	for i, c := range text {
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(c):
			b.WriteRune(c)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
	}
	return b.String()
}

func next(w io.Writer, text string) {
	if text != "" {
		fmt.Fprintf(w, "  next: %s\n", clean(text))
	}
}

func in(folder string) string {
	if folder == "" {
		return ""
	}
	return folder + ": "
}

// Line is the user in one line: `bob@example.com: converted, 7 folders, 52 messages`.
func (r *UserReport) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.User, r.Outcome)
	if r.Reason != "" {
		fmt.Fprintf(&b, ": %s", r.Reason)
	}
	t := r.Totals
	for _, c := range []struct {
		n    int
		what string
	}{
		{t.Converted, "folder converted"}, {t.Already, "folder already converted"}, {t.Skipped, "folder skipped"}, {t.Renamed, "folder renamed"},
		{t.Messages, "message"}, {len(r.Losses), "loss"}, {len(r.Problems), "problem"},
	} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %s", countOf(c.n, c.what))
		}
	}
	return clean(b.String())
}

// countOf gives "1 folder converted", "2 folders converted", "2 losses".
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	noun, rest, _ := strings.Cut(what, " ")
	if strings.HasSuffix(noun, "s") {
		noun += "e"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %ss %s", n, noun, rest))
}

// String is one line without the user: `rename folder .Q&A -> .Q&-A: not valid modified UTF-7`.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(string(s.Kind))
	if s.Kind != RenameFolder && s.Folder != "" {
		b.WriteString(" in " + s.Folder)
	}
	switch {
	case s.From != "" && s.To != "":
		fmt.Fprintf(&b, ": %s -> %s", s.From, s.To)
	case s.From+s.To != "":
		fmt.Fprintf(&b, ": %s", s.From+s.To)
	}
	if s.Why != "" {
		fmt.Fprintf(&b, ": %s", s.Why)
	}
	return b.String()
}

func (l Loss) String() string {
	text := "lost: " + l.What
	if l.Detail != "" {
		text += " " + l.Detail
	}
	if l.Folder != "" {
		text += " in " + l.Folder
	}
	if l.Message != "" {
		text += " of " + l.Message
	}
	return text + ": " + l.Why
}

func (p Problem) String() string {
	word := "problem: "
	if p.Harmless {
		word = "repaired: "
	}
	text := word + in(p.Folder)
	if p.Path != "" {
		text += p.Path
		if p.Offset > 0 {
			text += fmt.Sprintf(" at byte %d", p.Offset)
		}
		text += ": "
	}
	text += p.What
	if p.Fate != "" {
		text += "; " + p.Fate
	}
	return text
}
