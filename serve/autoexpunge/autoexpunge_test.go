package autoexpunge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/parsed"
	"dovetail/serve/config"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

const conf = `ssl = no
protocols = imap
first_valid_uid = 1
mail_location = %s
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    autoexpunge = 30 days
  }
  mailbox Trash/* {
    autoexpunge = 30 days
  }
  mailbox Few {
    autoexpunge_max_mails = 2
  }
  mailbox Both {
    autoexpunge = 30 days
    autoexpunge_max_mails = 2
  }
  mailbox NotThere {
    autoexpunge = 1s
  }
}
`

const day = 24 * time.Hour

// site is the mail of one user.
type site struct {
	t    *testing.T
	ctx  context.Context
	home string
	user *namespace.User
	Cleaner
}

func open(t *testing.T, kind string) *site {
	t.Helper()
	dir := dovecot.TempDir(t)
	path := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, conf, dovecot.Location(kind, "~/mail")), 0o644); err != nil {
		t.Fatal(err)
	}
	live, problems := config.Start(t.Context(), path, config.Options{Expand: true})
	if live == nil {
		t.Fatalf("%+v", problems.All)
	}
	account := &auth.User{Name: "ann", Home: dir}
	if os.Getuid() == 0 {
		uid, gid := dovecot.IDs()
		account.UID, account.GID, account.HasUID, account.HasGID = uint32(uid), uint32(gid), true, true
	}
	dovecot.Own(t, dir)
	stores := &namespace.Stores{}
	user, err := namespace.Open(namespace.Options{View: live.Config().For(config.Filter{Protocol: "imap"}), Account: account, Stores: stores})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, ctx: t.Context(), home: dir, user: user, Cleaner: Cleaner{Hub: watch.NewHub(0)}}
	s.Hub.Hold = stores.Hold
	t.Cleanup(func() { s.Hub.Close(); user.Close() })
	return s
}

func (s *site) box(name string) *watch.Box {
	s.t.Helper()
	m, err := s.user.Find(name)
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := m.Space.Store(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	box, err := s.Hub.Open(s.ctx, store, m.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	return box
}

// fill makes a mailbox of messages that came in so long ago.
func (s *site) fill(name string, ages ...time.Duration) {
	s.t.Helper()
	if _, err := s.user.Create(s.ctx, name); err != nil {
		s.t.Fatal(err)
	}
	box := s.box(name)
	defer box.Close()
	if _, err := box.Update(s.ctx, namespace.WithIndex); err != nil {
		s.t.Fatal(err)
	}
	i := 0
	done, err := box.Append(s.ctx, func() (watch.Message, error) {
		if i == len(ages) {
			return watch.Message{}, io.EOF
		}
		i++
		text := fmt.Sprintf("Subject: %d\n\nbody\n", i)
		return watch.Message{Body: strings.NewReader(text), Size: int64(len(text))}, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	i = 0
	for uid := range done.UIDs.All() {
		m := formats.Message{UID: uid}
		body, err := box.Body(s.ctx, &m)
		if err != nil {
			s.t.Fatal(err)
		}
		if age := ages[i]; age > 0 {
			box.Parsed().Put(uid, &parsed.Data{Size: body.Size(), VirtualSize: -1, Saved: time.Now().Add(-age).Unix(), HasSaved: true})
		}
		body.Close()
		i++
	}
	box.Parsed().Flush()
}

// wants cleans as at a later time, and checks what remains.
func (s *site) wants(later time.Duration, removed int, left map[string]int) {
	s.t.Helper()
	s.Now = func() time.Time { return time.Now().Add(later) }
	n := s.Clean(s.ctx, s.user, func(_ slog.Level, text string) { s.t.Errorf("logged: %s", text) })
	if n != removed {
		s.t.Errorf("after %v: %d messages are gone, want %d", later, n, removed)
	}
	for name, n := range left {
		box := s.box(name)
		if got := box.Snapshot().Status.Messages; got != uint32(n) {
			s.t.Errorf("after %v: %d messages in %s, want %d", later, got, name, n)
		}
		box.Close()
	}
}

// old messages, and those that are too many, are removed.
func TestR250OldMessagesGo(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			s := open(t, kind)
			s.fill("Few", 0, 0, 0, 0, 0)
			s.fill("Other", 100*day, 0)
			if kind == "mbox" { // where one name cannot be a mailbox and a parent
				s.fill("Trash/a/b", 31*day, 31*day, 0)
				s.wants(0, 5, map[string]int{"Few": 2, "Other": 2, "Trash/a/b": 1})
				return
			}
			s.fill("Trash", 40*day, 31*day, 29*day, 50*day)
			s.fill("Trash/a/b", 31*day)
			s.fill("Both", 0, 31*day, 31*day, 0)
			s.wants(0, 3+2+1+3, map[string]int{"Few": 2, "Other": 2, "Trash": 2, "Trash/a/b": 0, "Both": 1})
			s.wants(0, 0, nil)
			s.wants(31*day, 3, map[string]int{"Trash": 0, "Both": 0, "Few": 2, "Other": 2})
		})
	}
}

// Where a save date is not kept, messages count from the first time that they are looked at.
func TestR250MessagesWithoutASaveDate(t *testing.T) {
	s := open(t, "mbox")
	s.fill("Trash", 0, 0)
	s.wants(0, 0, map[string]int{"Trash": 2})
	s.wants(29*day, 0, map[string]int{"Trash": 2})
	s.wants(31*day, 2, map[string]int{"Trash": 0})
}

// A mailbox that is renamed into the trash keeps its messages as long as if they had been moved there one by one.
func TestR250ARenamedMailboxCountsFromThen(t *testing.T) {
	for _, kind := range []string{"sdbox", "mdbox", "maildir"} {
		t.Run(kind, func(t *testing.T) {
			s := open(t, kind)
			s.fill("Project", 100*day, 100*day)
			s.fill("Project/2019", 100*day)
			if err := s.user.Rename(s.ctx, "Project", "Trash/Project"); err != nil {
				t.Fatal(err)
			}
			s.wants(0, 0, map[string]int{"Trash/Project": 2, "Trash/Project/2019": 1})
			s.wants(29*day, 0, nil)
			s.wants(31*day, 3, map[string]int{"Trash/Project": 0, "Trash/Project/2019": 0})
			t.Run("Dovecot finds the same in its index", func(t *testing.T) {
				dovecot.Need(t)
				j := dovecot.New(t, dovecot.Location(kind, filepath.Join(s.home, "mail")))
				c := j.IMAP()
				c.Select("Trash/Project")
				c.Close()
				j.MustBeClean()
			})
		})
	}
}

// Two sessions that end at the same time do not do it twice.
func TestOneSessionAtATime(t *testing.T) {
	s := open(t, "sdbox")
	s.fill("Few", 0, 0, 0)
	if !s.begin("ann") || s.begin("ann") || !s.begin("bob") {
		t.Fatal("ann begins once")
	}
	s.wants(0, 0, map[string]int{"Few": 3})
	s.end("ann")
	s.wants(0, 1, map[string]int{"Few": 2})
}
