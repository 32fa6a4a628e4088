package location_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/location"
)

var liveKinds = []string{"mbox", "maildir", "maildir-fs", "sdbox"}

// live is one store, open to Dovecot and to us.
type live struct {
	t     *testing.T
	judge *dovecot.Judge
	store formats.Store
	box   formats.Mailbox
}

func newLive(t *testing.T, kind string) *live {
	root := filepath.Join(dovecot.TempDir(t), "mail")
	where := dovecot.Location(kind, root)
	// An mbox that is written anew is another file, which Dovecot's inotify does not see: it looks every 30 seconds.
	j := dovecot.New(t, where, "mailbox_idle_check_interval = 1s")
	s := j.IMAP()
	s.Append("INBOX", "", "", mail("first"))
	s.Close()
	l, err := location.Parse(where, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), l, location.Options{FS: dovecot.FS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	box, err := store.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return &live{t, j, store, box}
}

func mail(subject string) string { return "Subject: " + subject + "\r\n\r\nbody\r\n" }

func (l *live) update(fn func(formats.Tx) error) formats.Committed {
	l.t.Helper()
	done, err := l.box.Update(l.t.Context(), fn)
	if err != nil {
		l.t.Fatal(err)
	}
	return done
}

// append1 saves one message and gives its UID.
func (l *live) append1(ctx context.Context, subject string, keywords ...string) (formats.UID, error) {
	text := strings.ReplaceAll(mail(subject), "\r\n", "\n")
	done, err := l.box.Update(ctx, func(tx formats.Tx) error {
		m := formats.Message{Keywords: keywords, Detail: formats.Detail{InternalDate: time.Unix(1600000000, 0)}}
		return tx.Append(ctx, m, formats.BytesBody([]byte(text)))
	})
	if err != nil {
		return 0, err
	}
	for uid := range done.UIDs.All() {
		return uid, nil
	}
	return 0, fmt.Errorf("%s: no UID in %v", subject, done.UIDs)
}

// messages is what we see now.
func (l *live) messages() []formats.Message {
	l.t.Helper()
	var all []formats.Message
	for m, err := range l.box.Messages(l.t.Context(), formats.Query{}) {
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// Beside an open Dovecot session, in every format: what one side appends, flags and expunges, the other sees.
func TestLiveBesideDovecot(t *testing.T) {
	for _, kind := range liveKinds {
		t.Run(kind, func(t *testing.T) {
			l := newLive(t, kind)
			s := l.judge.IMAP()
			s.Select("INBOX")
			l.theySeeOurs(s)
			l.weSeeTheirs(s)
			s.Close()
			l.judge.MustBeClean()
		})
	}
}

func (l *live) theySeeOurs(s *dovecot.Session) {
	t := l.t
	s.Idle()
	uid, err := l.append1(t.Context(), "ours", "kw")
	if err != nil {
		t.Fatal(err)
	}
	s.Wait(`^\* 2 EXISTS`)
	s.Done()
	if got := s.Fetch(fmt.Sprint(uid)); len(got) != 1 || got[0].Body != mail("ours") || !slices.Equal(got[0].Keywords, []string{"kw"}) {
		t.Errorf("Dovecot sees %+v", got)
	}

	s.Idle()
	l.update(func(tx formats.Tx) error {
		return tx.SetFlags(formats.RangesOf(1, uid), formats.FlagChange{Op: formats.AddFlags, Flags: formats.Flagged, Keywords: []string{"late"}})
	})
	s.Wait(`^\* 1 FETCH \(.*\\Flagged`)
	s.Wait(`^\* 2 FETCH \(.*late`)
	s.Done()

	s.Idle()
	l.update(func(tx formats.Tx) error { return tx.Expunge(formats.RangesOf(1)) })
	s.Wait(`^\* 1 EXPUNGE`)
	s.Done()
}

func (l *live) weSeeTheirs(s *dovecot.Session) {
	t := l.t
	s.Append("INBOX", `\Seen`, "", mail("theirs"))
	s.Cmd("NOOP")
	all := l.messages()
	if len(all) != 2 || all[1].UID != 3 || all[1].Flags&formats.Seen == 0 {
		t.Fatalf("after Dovecot's append we see %+v", all)
	}
	s.Cmd(`UID STORE 2:3 +FLAGS.SILENT (\Answered theirs)`)
	s.Cmd("CHECK")
	for _, m := range l.messages() {
		if m.Flags&formats.Answered == 0 || !formats.HasKeyword(m.Keywords, "theirs") {
			t.Errorf("after Dovecot's STORE we see %+v", m)
		}
	}
	s.Cmd(`UID STORE 2 +FLAGS.SILENT (\Deleted)`)
	s.Cmd("EXPUNGE")
	if all := l.messages(); len(all) != 1 || all[0].UID != 3 {
		t.Errorf("after Dovecot's EXPUNGE we see %+v", all)
	}
}

// Two sides that append and change flags at the same time lose nothing and never give a UID twice.
func TestLiveTogetherWithDovecot(t *testing.T) {
	const each = 25
	for _, kind := range liveKinds {
		t.Run(kind, func(t *testing.T) {
			l := newLive(t, kind)
			var wg sync.WaitGroup
			var failed error
			wg.Go(func() {
				for i := range each {
					if _, err := l.append1(t.Context(), fmt.Sprintf("ours %d", i)); err != nil {
						failed = err
						return
					}
				}
			})
			s := l.judge.IMAP()
			s.Select("INBOX")
			for i := range each {
				s.Append("INBOX", "", "", mail(fmt.Sprintf("theirs %d", i)))
				s.Cmd(`STORE * +FLAGS.SILENT (\Answered)`)
			}
			s.Close()
			wg.Wait()
			if failed != nil {
				t.Fatal(failed)
			}
			l.complete(each)
			l.judge.MustBeClean()
		})
	}
}

// complete wants every message of both sides once, and both sides to see the same.
func (l *live) complete(each int) {
	t := l.t
	t.Helper()
	theirs := l.judge.Fetch("INBOX")
	ours := l.messages()
	if len(theirs) != 2*each+1 || len(ours) != len(theirs) {
		t.Fatalf("Dovecot sees %d messages, we %d, want %d", len(theirs), len(ours), 2*each+1)
	}
	seen := map[string]bool{}
	for i, m := range theirs {
		if seen[m.Body] {
			t.Errorf("twice: %q", m.Body)
		}
		seen[m.Body] = true
		o := ours[i]
		if o.UID != m.UID || o.Flags&formats.SystemFlags != m.Flags&formats.SystemFlags {
			t.Errorf("we see uid %d %v, Dovecot uid %d %v", o.UID, o.Flags, m.UID, m.Flags)
		}
	}
}
