package sync

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteText prints the report for people: a line for each mailbox in which something was done, then what was lost, set
// aside or different, then one line of totals.
func (r *Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i := range r.Mailboxes {
		if line := r.Mailboxes[i].line(); line != "" {
			fmt.Fprintln(out, line)
		}
	}
	for line := range r.LeftOver {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, r.Summary())
	if r.Unfinished != "" {
		fmt.Fprintf(out, "not finished: %s\n%s\n", r.Unfinished, r.Next)
	}
	return out.Flush()
}

// LeftOver gives what was lost, set aside or is different, as lines for people.
func (r *Report) LeftOver(yield func(fmt.Stringer) bool) {
	for _, l := range r.Losses {
		if !yield(l) {
			return
		}
	}
	for _, s := range r.SetAside {
		if !yield(s) {
			return
		}
	}
	for _, d := range r.Differences {
		if !yield(d) {
			return
		}
	}
}

// line is "" for a mailbox in which nothing was done.
func (m *MailboxReport) line() string {
	if !m.changed() && m.Own == 0 {
		return ""
	}
	var parts []string
	if m.Did != "" {
		parts = append(parts, m.Did)
	}
	if m.Was != "" {
		parts[len(parts)-1] += " from " + m.Was
	}
	for _, c := range []struct {
		n    int
		what string
	}{
		{m.Appended, "appended"}, {m.Flagged, "with new flags"}, {m.Expunged, "expunged"},
		{m.Unchanged, "unchanged"}, {m.Own, "of the target's own"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	name := m.Mailbox
	if m.Target != "" {
		name += " -> " + m.Target
	}
	return name + ": " + strings.Join(parts, ", ")
}

// String is one line: what, where, which messages, why, and what a client sees of it.
func (l Loss) String() string {
	var b strings.Builder
	word := "lost"
	if l.Harmless {
		word = "note"
	}
	fmt.Fprintf(&b, "%s: %s", word, l.What)
	if l.Detail != "" {
		fmt.Fprintf(&b, " %s", l.Detail)
	}
	if l.Mailbox != "" {
		fmt.Fprintf(&b, " in %s", l.Mailbox)
	}
	if l.Count > 0 {
		fmt.Fprintf(&b, ", %s (uid %s)", countOf(l.Count, "message"), shortened(l.UIDs))
	}
	fmt.Fprintf(&b, ": %s; %s", l.Why, l.Effect)
	return b.String()
}

// longestUIDs is how much of a list of UIDs a line of text shows; JSON has all of it.
const longestUIDs = 60

func shortened(uids string) string {
	if len(uids) <= longestUIDs {
		return uids
	}
	cut := strings.LastIndexByte(uids[:longestUIDs], ',')
	if cut < 0 {
		cut = longestUIDs
	}
	return uids[:cut] + ",…"
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (s SetAside) String() string {
	var b strings.Builder
	b.WriteString("set aside: ")
	if s.Mailbox != "" {
		b.WriteString(s.Mailbox)
		if s.UID != 0 {
			fmt.Fprintf(&b, " uid %d", s.UID)
		}
		b.WriteString(": ")
	}
	b.WriteString(s.Reason)
	if s.Next != "" {
		b.WriteString("\n  next: " + s.Next)
	}
	return b.String()
}

func (d Difference) String() string {
	where := d.Mailbox
	if d.UID != 0 {
		where += fmt.Sprintf(" uid %d", d.UID)
	}
	return fmt.Sprintf("different: %s: %s: want %s, got %s", where, d.Field, quoted(d.Want), quoted(d.Got))
}

func quoted(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// Summary is one line of totals.
func (r *Report) Summary() string {
	t := r.Totals
	if r.Verb == "verify" {
		return fmt.Sprintf("verified %s in %d mailboxes, %d bytes, in %.1f s: %d identical, %d equal but for line ends, %s",
			countOf(t.Messages, "message"), len(r.Mailboxes), t.Bytes, r.Duration,
			t.Identical, t.Equal-t.Identical, countOf(len(r.Differences), "difference"))
	}
	return fmt.Sprintf("%s -> %s: %s in %d mailboxes, %d appended (%d bytes), %d with new flags, %d expunged, %d unchanged, %d set aside, in %.1f s",
		r.Source, r.Target, countOf(t.Messages, "message"), len(r.Mailboxes), t.Appended, t.Bytes, t.Flagged, t.Expunged,
		t.Unchanged, len(r.SetAside), r.Duration)
}
