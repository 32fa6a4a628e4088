package location_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/formatstest/samples"
	"dovetail/formats/location"
)

// planted is what a mail user can put in his own store to make a program that runs as root read or wait for something
// else: links to a secret, FIFOs, folders where files belong.
func planted(t *testing.T, secret string) map[string]func(path string) error {
	t.Helper()
	return map[string]func(path string) error{
		"a link to a file":   func(path string) error { return os.Symlink(secret, path) },
		"a link to a folder": func(path string) error { return os.Symlink(filepath.Dir(secret), path) },
		"a FIFO":             func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link to a FIFO-like device": func(path string) error {
			return os.Symlink("/dev/zero", path)
		},
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
	}
}

// Whatever a mail user plants in his store, nothing outside of it is read, nothing blocks, and the rest comes out.
func TestPlantedFilesAreNotFollowed(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("From x@y Wed Jan  1 00:00:00 2020\nSubject: secret\n\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place := range []struct{ sample, path string }{
		{"maildir-awkward", "mail/cur/1500000009.M9P1.host:2,S"},
		{"maildir-awkward", "mail/new/1500000009.M9P1.host"},
		{"maildir-awkward", "mail/.Planted"},
		{"maildir-fs-awkward", "mail/Planted"},
		{"mbox-awkward", "mail/Planted"},
		{"sdbox-awkward", "mail/mailboxes/Planted"},
		{"sdbox-awkward", "mail/mailboxes/INBOX/dbox-Mails/u.4711"},
		{"mdbox-awkward", "mail/mailboxes/Planted"},
	} {
		for what, plant := range planted(t, secret) {
			t.Run(what+" as "+place.sample+" "+filepath.Base(place.path), func(t *testing.T) {
				dir, e := samples.Load(t, place.sample)
				if err := plant(filepath.Join(dir, place.path)); err != nil {
					t.Fatal(err)
				}
				readWithoutSecret(t, e)
			})
		}
	}
}

// Control files that are links or FIFOs are refused or ignored, and never followed.
func TestPlantedControlFilesAreNotFollowed(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("V\t2\n\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place := range []struct{ sample, path string }{
		{"maildir-awkward", "mail/subscriptions"},
		{"maildir-awkward", "mail/dovecot-uidlist"},
		{"maildir-awkward", "mail/dovecot-keywords"},
		{"mbox-awkward", "mail/.subscriptions"},
		{"sdbox-awkward", "mail/subscriptions"},
		{"sdbox-awkward", "mail/mailboxes/INBOX/dbox-Mails/dovecot.index.log"},
		{"mdbox-awkward", "mail/storage/dovecot.map.index.log"},
	} {
		for what, plant := range planted(t, secret) {
			t.Run(what+" as "+place.sample+" "+filepath.Base(place.path), func(t *testing.T) {
				dir, e := samples.Load(t, place.sample)
				path := filepath.Join(dir, place.path)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := plant(path); err != nil {
					t.Fatal(err)
				}
				lookAround(t, e)
			})
		}
	}
}

// readWithoutSecret wants every message of the sample and none of the secret.
func readWithoutSecret(t *testing.T, e samples.Expect) {
	t.Helper()
	want := 0
	for _, box := range e.Mailboxes {
		want += len(box.Messages)
	}
	if got := lookAround(t, e); got != want {
		t.Errorf("%d messages came out, want %d", got, want)
	}
}

// lookAround reads all that can be read, in bounded time, and counts the messages.
func lookAround(t *testing.T, e samples.Expect) int {
	t.Helper()
	blocked := time.AfterFunc(30*time.Second, func() { panic("blocked on " + t.Name()) })
	defer blocked.Stop()
	l, err := location.Parse(e.Location, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{FS: &disk.FS{ReadOnly: true}})
	if err != nil {
		return 0 // refused as a whole
	}
	defer s.Close()
	infos, err := s.Mailboxes(t.Context())
	if err != nil {
		return 0
	}
	if sub, ok := s.(formats.Subscriber); ok {
		names, _ := sub.Subscriptions(t.Context()) // an error is a refusal
		for _, name := range names {
			if name == "secret" {
				t.Error("the subscriptions come from outside of the store")
			}
		}
	}
	n := 0
	for _, info := range infos {
		if info.Err == nil && !info.NoSelect {
			n += readAll(t, s, info.Name)
		}
	}
	return n
}

func readAll(t *testing.T, s formats.Store, name string) int {
	t.Helper()
	box, err := s.Open(t.Context(), name)
	if err != nil {
		return 0
	}
	defer box.Close()
	n := 0
	for m, err := range box.Messages(t.Context(), formats.Query{Want: formats.WantAll}) {
		if _, damaged := formats.Damaged(err); damaged {
			continue
		}
		if err != nil {
			break
		}
		body, err := box.Body(t.Context(), &m)
		if err != nil {
			continue
		}
		var text strings.Builder
		if _, err := body.WriteTo(&text); err == nil {
			n++
		}
		body.Close()
		if strings.Contains(text.String(), "secret") {
			t.Errorf("%s uid %d is the secret", name, m.UID)
		}
	}
	return n
}
