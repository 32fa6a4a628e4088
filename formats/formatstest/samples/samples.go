// Package samples gives tests the stores in the folder samples: small real ones, made by Dovecot 2.3, and broken ones.
//
// A sample is a folder with two files:
//
//	mail.tar.gz   the store, with modification times and empty folders, which git does not keep
//	expect.json   what Dovecot shows of it, or, for what Dovecot does not read, what must come out of it
//
// Fields of expect.json are those that "dovetail fetch --json" and "dovetail mailbox status --json" print. scripts/make-samples
// makes all of them again.
package samples

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// Expect is expect.json.
type Expect struct {
	About string `json:"about"` // what is special, and how it was made

	// Location is in the syntax of mail_location; "%r" stands for the folder that holds the unpacked store.
	Location string `json:"location"`

	// Settings are lines of dovecot.conf that Dovecot needs to read it (plugins).
	Settings []string `json:"settings,omitempty"`

	Subscribed []string  `json:"subscribed"`
	Mailboxes  []Mailbox `json:"mailboxes"`

	// Unsure names fields that nobody can tell, for instance "guid" where a damaged list makes readers choose.
	Unsure []string `json:"unsure,omitempty"`
}

// Mailbox is one entry of the list, with its messages.
type Mailbox struct {
	Mailbox       string              `json:"mailbox"`
	NoSelect      bool                `json:"noselect,omitempty"`
	GUID          string              `json:"guid,omitempty"`
	UIDValidity   formats.UIDValidity `json:"uidvalidity,omitempty"`
	UIDNext       formats.UID         `json:"uidnext,omitempty"`
	HighestModSeq formats.ModSeq      `json:"highestmodseq,omitempty"`
	Messages      []Message           `json:"messages,omitempty"`

	// Damaged lists UIDs that must be reported as damaged and not come out.
	Damaged []formats.UID `json:"damaged,omitempty"`
}

// Message is one message.
type Message struct {
	UID       formats.UID    `json:"uid"`
	GUID      string         `json:"guid,omitempty"`
	Flags     []string       `json:"flags"`
	Keywords  []string       `json:"keywords,omitempty"`
	Date      time.Time      `json:"date"`
	ModSeq    formats.ModSeq `json:"modseq,omitempty"`
	VSize     int64          `json:"vsize"`
	POP3UIDL  string         `json:"pop3uidl,omitempty"`
	POP3Order uint32         `json:"pop3order,omitempty"`
	SHA256    string         `json:"sha256"`         // of the form with CRLF line ends
	Text      string         `json:"text,omitempty"` // the first header line, for people
}

// Folder is the folder samples of this checkout.
func Folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "samples")
}

// Names lists the samples.
func Names(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(Folder(), "*", "expect.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no samples in %s: %v", Folder(), err)
	}
	var names []string
	for _, path := range found {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names
}

// Load unpacks a sample into a temporary folder that belongs to the mail user. In e.Location "%r" is replaced.
func Load(t testing.TB, name string) (dir string, e Expect) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Folder(), name, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	dir = dovecot.TempDir(t)
	f, err := os.Open(filepath.Join(Folder(), name, "mail.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unpack(f, dir); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	dovecot.Own(t, dir)
	e.Location = strings.ReplaceAll(e.Location, "%r", dir)
	for i := range e.Settings {
		e.Settings[i] = strings.ReplaceAll(e.Settings[i], "%r", dir)
	}
	return dir, e
}

func unpack(r io.Reader, dir string) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	var folders []*tar.Header // their times are set last
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := unpackOne(tr, h, dir); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			folders = append(folders, h)
		}
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if err := os.Chtimes(filepath.Join(dir, folders[i].Name), time.Time{}, folders[i].ModTime); err != nil {
			return err
		}
	}
	return nil
}

func unpackOne(r io.Reader, h *tar.Header, dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(h.Name))
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o700)
	case tar.TypeLink:
		return os.Link(filepath.Join(dir, filepath.FromSlash(h.Linkname)), path)
	case tar.TypeSymlink:
		return os.Symlink(strings.ReplaceAll(h.Linkname, "%r", dir), path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(h.Mode).Perm())
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return os.Chtimes(path, time.Time{}, h.ModTime)
}
