package search_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/serve/search"
	"dovetail/sync/watch"
)

// counted counts how often messages are opened, and loses those that are gone.
type counted struct {
	formats.Mailbox
	opened int
	gone   formats.Ranges
}

func (c *counted) Body(ctx context.Context, m *formats.Message) (formats.Body, error) {
	c.opened++
	if c.gone.Contains(m.UID) {
		return nil, &formats.Error{Op: "open message", UID: m.UID, Err: formats.ErrNoMessage}
	}
	return c.Mailbox.Body(ctx, m)
}

// filled makes a mailbox with these messages.
func filled(t testing.TB, store formats.Store, mails []string) *watch.Box {
	t.Helper()
	if err := store.Create(t.Context(), "INBOX", formats.Status{}); err != nil && !errors.Is(err, formats.ErrExists) {
		t.Fatal(err)
	}
	box, err := watch.NewHub(time.Hour).Open(t.Context(), store, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	if _, err := box.Update(t.Context(), func(tx formats.Tx) error {
		for i, text := range mails {
			m := formats.Message{Detail: formats.Detail{InternalDate: time.Unix(int64(1600000000+i), 0)}}
			if err := tx.Append(t.Context(), m, body{bytes.NewReader([]byte(text))}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return box
}

func TestWhatWasReadOnceIsNotReadAgain(t *testing.T) {
	store := openStore(t, "sdbox:"+t.TempDir()+"/mail")
	box := filled(t, store, awkward())
	n := int(box.Snapshot().Len())
	c := &counted{Mailbox: box.Mailbox}
	b := mailboxOf(box)
	b.Box = c
	for _, line := range []string{"SORT (SUBJECT) UTF-8 ALL", "SEARCH HEADER X-Odd value", "SORT (SIZE) UTF-8 ALL"} {
		c.opened = 0
		ours(t, b, line)
		if c.opened > n {
			t.Errorf("%s opened %d of %d messages", line, c.opened, n)
		}
	}
	c.opened = 0
	for _, line := range []string{
		"SORT (SUBJECT FROM REVERSE DISPLAYTO SIZE ARRIVAL CC DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL",
		"SEARCH HEADER X-Odd second", "SEARCH FROM person", "SEARCH SENTSINCE 1-Jan-2020 LARGER 10 BEFORE 1-Jan-2030", "SEARCH SUBJECT hello NOT BODY", "SEARCH BODY x 99999",
	} {
		ours(t, b, line)
	}
	if c.opened > 0 {
		t.Errorf("messages were opened %d times for what is known", c.opened)
	}
	c.opened = 0
	ours(t, b, "SEARCH OR BODY nowhere TEXT nowhere")
	if c.opened != n {
		t.Errorf("two texts opened %d messages, there are %d", c.opened, n)
	}
}

// A cache is given only some fields of a message, however many are looked at.
func TestASearchMayLookAtAnyNumberOfFields(t *testing.T) {
	var mail, program strings.Builder
	for n := 1; n <= 100; n++ {
		fmt.Fprintf(&mail, "X-Field-%d: value %d\r\n", n, n)
		fmt.Fprintf(&program, "HEADER X-Field-%d nothing ", n)
	}
	box := filled(t, openStore(t, "sdbox:"+t.TempDir()+"/mail"), []string{mail.String() + "\r\nx\r\n", "Subject: y\r\n\r\ny\r\n"})
	line := "SEARCH " + strings.Repeat("OR ", 100) + program.String() + "HEADER X-Field-77 \"value 77\""
	for range 2 { // with what the first search has put into the cache
		if got := ours(t, mailboxOf(box), line); got != "SEARCH 1" {
			t.Errorf("found %q", got)
		}
		if got := ours(t, mailboxOf(box), "SEARCH HEADER X-Field-99 99"); got != "SEARCH 1" {
			t.Errorf("found %q of one field", got)
		}
	}
}

func TestMessagesThatAreGoneAreLeftOut(t *testing.T) {
	box := filled(t, formats.NewMemory(), []string{"Subject: b\n\nx\n", "Subject: a\n\nx\n", "Subject: c\n\nx\n"})
	b := mailboxOf(box)
	b.Box = &counted{Mailbox: box.Mailbox, gone: formats.RangesOf(b.View.At(2).UID)}
	for _, c := range []struct {
		line string
		want string
		lost bool
	}{
		{"SEARCH BODY x", "[1 3]", true}, {"SEARCH NOT BODY y", "[1 3]", true}, {"SEARCH OR ALL BODY x", "[1 2 3]", false}, {"SORT (REVERSE SUBJECT) UTF-8 ALL", "[3 1 2]", true},
	} {
		r, err := search.Run(t.Context(), b, parse(t, c.line))
		if err != nil || fmt.Sprint(r.Seqs) != c.want || r.Lost != c.lost {
			t.Errorf("%s: %v lost %v, %v; want %s lost %v", c.line, r.Seqs, r.Lost, err, c.want, c.lost)
		}
	}
	if out, lost, err := search.Thread(t.Context(), b, "REFERENCES", []uint32{1, 2, 3}, false, nil); err != nil || !lost || len(out) == 0 {
		t.Errorf("threads: %q, lost %v, %v", out, lost, err)
	}
}

func TestASearchThatIsNotWantedAnyMoreEnds(t *testing.T) {
	box := filled(t, formats.NewMemory(), []string{"Subject: b\n\nx\n", "Subject: a\n\nx\n"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := mailboxOf(box)
	for _, line := range []string{"SEARCH BODY x", "SORT (SUBJECT) UTF-8 ALL"} {
		if _, err := search.Run(ctx, b, parse(t, line)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, how := range []string{"REFERENCES", "REFS", "ORDEREDSUBJECT"} {
		if _, _, err := search.Thread(ctx, b, how, []uint32{1, 2}, false, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func parse(t testing.TB, line string) *imapwire.Search {
	t.Helper()
	c, err := imapwire.NewDecoder(strings.NewReader("a " + line + "\r\n")).Next()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return c.Args.(*imapwire.Search)
}

// Threads of messages that were made to be hard: a chain of all, one that ends in itself, IDs by the thousand, one subject.
func TestHostileThreads(t *testing.T) {
	const n = 3000
	for name, make := range map[string]func(i int) string{
		"a chain":              func(i int) string { return fmt.Sprintf("Message-ID: <%d@x>\nReferences: <%d@x>\n\n", i, i-1) },
		"a chain from its end": func(i int) string { return fmt.Sprintf("Message-ID: <%d@x>\nReferences: <%d@x>\n\n", n-i, n-i-1) },
		"all refer to the end": func(i int) string { return fmt.Sprintf("Message-ID: <%d@x>\nReferences: <%d@x> <%d@x>\n\n", i, n, i/2) },
		"loops": func(i int) string {
			return fmt.Sprintf("Message-ID: <%d@x>\nReferences: <%d@x> <%d@x>\n\n", i%50, (i+1)%50, (i*7)%50)
		},
		"one ID":      func(i int) string { return "Message-ID: <a@x>\nReferences: <a@x>\n\n" },
		"one subject": func(i int) string { return fmt.Sprintf("Subject: %ssame\n\n", strings.Repeat("Re: ", i%3)) },
		"IDs that nobody has": func(i int) string {
			return fmt.Sprintf("References:%s\n\n", strings.Repeat(fmt.Sprintf(" <%d@y>\n", i), 50))
		},
		"subjects of many letters": func(i int) string { return "Subject: " + strings.Repeat("[a]", 500) + "\n\n" },
	} {
		t.Run(name, func(t *testing.T) {
			mails := []string{}
			seqs := []uint32{}
			for i := range n {
				mails, seqs = append(mails, make(i)), append(seqs, uint32(i+1))
			}
			b := mailboxOf(filled(t, formats.NewMemory(), mails))
			for _, how := range []string{"REFERENCES", "REFS", "ORDEREDSUBJECT"} {
				out, _, err := search.Thread(t.Context(), b, how, seqs, false, nil)
				if err != nil {
					t.Fatal(err)
				}
				everyNumberOnce(t, how, out, n)
			}
		})
	}
}

func everyNumberOnce(t *testing.T, how string, out []byte, n int) {
	t.Helper()
	seen, depth := make([]bool, n+1), 0
	for _, word := range bytes.FieldsFunc(out, func(r rune) bool { return r < '0' || r > '9' }) {
		var seq int
		fmt.Sscan(string(word), &seq)
		if seq < 1 || seq > n || seen[seq] {
			t.Fatalf("%s: %d is there twice, or should not be", how, seq)
		}
		seen[seq] = true
	}
	for _, c := range out {
		if c == '(' {
			depth++
		} else if c == ')' {
			depth--
		}
	}
	for seq := 1; seq <= n; seq++ {
		if !seen[seq] {
			t.Fatalf("%s: %d is missing", how, seq)
		}
	}
	if depth != 0 {
		t.Errorf("%s: parentheses do not match", how)
	}
}

func TestAProgramAsDeepAsItMayBe(t *testing.T) {
	b := mailboxOf(filled(t, formats.NewMemory(), []string{"Subject: b\n\nx\n"}))
	line := "SEARCH " + strings.Repeat("NOT (SEEN OR ", 45) + "BODY x BODY y" + strings.Repeat(")", 45)
	line = strings.ReplaceAll(line, "OR ", "OR BODY z ")
	if got := ours(t, b, line); got != "SEARCH" && got != "SEARCH 1" && got != "BAD" {
		t.Error(got)
	}
}

func FuzzProgram(f *testing.F) {
	for _, line := range append(fixedQuestions, "SEARCH RETURN (SAVE) $", "SORT (DATE) UTF-8 BODY {3+}\r\nabc") {
		f.Add(line)
	}
	box := filled(f, formats.NewMemory(), awkward()[28:60])
	f.Fuzz(func(t *testing.T, line string) {
		d := imapwire.NewDecoder(strings.NewReader("a " + line + "\r\n"))
		d.Continue = func() error { return nil }
		c, err := d.Next()
		if err != nil {
			return
		}
		args, ok := c.Args.(*imapwire.Search)
		if !ok {
			return
		}
		b := mailboxOf(box)
		r, err := search.Run(t.Context(), b, args)
		if err != nil {
			return
		}
		if args.Thread != "" {
			search.Thread(t.Context(), b, args.Thread, r.Seqs, c.UID, nil)
		}
		for _, seq := range r.Seqs {
			if seq < 1 || seq > b.View.Len() {
				t.Fatalf("%q found %d", line, seq)
			}
		}
	})
}
