package search_test

import (
	"bytes"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/imapwire"
	"dovetail/formats/location"
	"dovetail/serve/search"
	"dovetail/sync/watch"
)

// questionCount is how many questions are made up.
const questionCount = 300

// asker puts questions to both servers about one mailbox.
type asker struct {
	t       *testing.T
	session *dovecot.Session
	b       *search.Mailbox
	differ  int
}

// ours answers as the server would, without the tagged line: "SEARCH 1 2", "BAD" or "NO".
func ours(t testing.TB, b *search.Mailbox, line string) string {
	t.Helper()
	c, err := imapwire.NewDecoder(strings.NewReader("a " + line + "\r\n")).Next()
	if err != nil {
		return "BAD"
	}
	args := c.Args.(*imapwire.Search)
	r, err := search.Run(t.Context(), b, args)
	switch {
	case err == search.ErrCharset:
		return "NO"
	case err == search.ErrKey:
		return "BAD"
	case err != nil:
		return "NO " + err.Error()
	}
	if args.Thread != "" {
		out, _, err := search.Thread(t.Context(), b, args.Thread, r.Seqs, c.UID, []byte("THREAD "))
		if err != nil {
			return "NO " + err.Error()
		}
		return string(out)
	}
	out := []byte("SEARCH")
	if len(args.Sort) > 0 {
		out = []byte("SORT")
	}
	for _, seq := range r.Seqs {
		if c.UID {
			seq = uint32(b.View.At(seq).UID)
		}
		out = strconv.AppendUint(append(out, ' '), uint64(seq), 10)
	}
	return string(out)
}

func (a *asker) theirs(line string) string {
	lines, status := a.session.Try(line)
	if !strings.HasPrefix(status, "OK") {
		return status[:strings.IndexByte(status+" ", ' ')]
	}
	for _, l := range lines {
		for _, kind := range []string{"SEARCH", "SORT", "THREAD"} {
			if rest, ok := strings.CutPrefix(l, "* "+kind); ok {
				rest, _, _ = strings.Cut(rest, " (MODSEQ")
				return kind + rest
			}
		}
	}
	return "nothing: " + strings.Join(lines, "|")
}

func (a *asker) ask(line string) {
	a.t.Helper()
	got, want := ours(a.t, a.b, line), a.theirs(line)
	if got != want {
		a.differ++
		if a.differ <= 40 {
			a.t.Errorf("%q\ngot  %.600s\nwant %.600s", line, got, want)
		}
	}
}

// openStore opens a store of the judge's user.
func openStore(t testing.TB, where string) formats.Store {
	t.Helper()
	l, err := location.Parse(where, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: dovecot.FS(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// open gives one mailbox of it as a session sees it.
func open(t testing.TB, where string) *search.Mailbox {
	t.Helper()
	s := openStore(t, where)
	box, err := watch.NewHub(time.Hour).Open(t.Context(), s, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return mailboxOf(box)
}

func mailboxOf(box *watch.Box) *search.Mailbox {
	return &search.Mailbox{Box: box, View: box.Snapshot(), Cache: box.Parsed(), Name: "INBOX", Zone: time.UTC, Recent: formats.Ranges{{First: 1, Last: 1 << 30}}}
}

// real gives messages of the samples.
func real(t testing.TB) (list []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "samples", "demo.mbox"))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range bytes.Split(append([]byte("\n"), b...), []byte("\nFrom ")) {
		if _, rest, ok := bytes.Cut(text, []byte("\n")); ok && i > 0 && len(rest) < 100<<10 {
			list = append(list, string(rest)+"\n")
		}
	}
	more, _ := filepath.Glob(filepath.Join("..", "..", "samples", "messages", "*", "*"))
	for _, name := range more {
		if b, err := os.ReadFile(name); err == nil && len(b) < 100<<10 && len(b) > 0 && bytes.IndexByte(b, 0) < 0 {
			list = append(list, string(b))
		}
	}
	return list
}

func TestAnswersAreDovecots(t *testing.T) {
	for _, kind := range []string{"sdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) { compare(t, kind) })
	}
}

func compare(t *testing.T, kind string) {
	where := dovecot.Location(kind, filepath.Join(dovecot.TempDir(t), "mail"))
	judge := dovecot.New(t, where)
	session := judge.IMAP()
	random := rand.New(rand.NewSource(6))
	mails, count := awkward(), 50
	if kind == "sdbox" {
		mails, count = append(mails, real(t)...), questionCount
	}
	mails = mails[:min(len(mails), 500)]
	at := time.Date(2020, 2, 27, 22, 0, 0, 0, time.UTC)
	for i, text := range mails {
		flags := []string{"", `\Seen`, `\Flagged work`, `\Answered \Seen`, `\Deleted`, `\Draft $Junk`}[i%6]
		session.Append("INBOX", flags, at.Add(time.Duration(random.Intn(90*24))*time.Hour).Format(`02-Jan-2006 15:04:05 -0700`), text)
	}
	session.Select("INBOX")
	session.Cmd("STORE 7,11 +FLAGS (\\Deleted)")
	session.Cmd("UID EXPUNGE 7,11,13")
	a := &asker{t: t, session: session, b: open(t, where)}
	if got := int(a.b.View.Len()); got < len(mails)-3 {
		t.Fatalf("%d of %d messages are there", got, len(mails))
	}
	for _, line := range fixedQuestions {
		if kind != "mbox" || !strings.Contains(line, "MODSEQ") { // an mbox of ours keeps none
			a.ask(line)
		}
	}
	for _, line := range questions(random, mails, a.b.View.Len(), count) {
		a.ask(line)
	}
	a.b = open(t, where) // another server answers out of what the first one has kept
	for _, line := range fixedQuestions {
		if kind != "mbox" || !strings.Contains(line, "MODSEQ") {
			a.ask(line)
		}
	}
	if a.differ > 0 {
		t.Errorf("%d answers differ", a.differ)
	}
	session.Close()
	judge.MustBeClean()
}
