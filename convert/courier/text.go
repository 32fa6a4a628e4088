package courier

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteText prints the report for people: what was done with the folders, what was lost or found damaged, what to know,
// and one line for the user.
func (r *UserReport) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, s := range r.Steps {
		fmt.Fprintf(out, "%s: %s\n", r.User, s)
	}
	for _, f := range r.Folders {
		if f.Outcome == Skipped {
			fmt.Fprintf(out, "%s: skipped %s: %s\n", r.User, f.Folder, f.Reason)
			next(out, f.Next)
		}
	}
	for _, l := range r.Losses {
		fmt.Fprintf(out, "%s: %s\n", r.User, l)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(out, "%s: %s\n", r.User, p)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "%s: note: %s%s\n", r.User, in(n.Folder), n.Text)
	}
	fmt.Fprintln(out, r.Line())
	next(out, r.Next)
	return out.Flush()
}

func next(w io.Writer, text string) {
	if text != "" {
		fmt.Fprintf(w, "  next: %s\n", text)
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
	return b.String()
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
