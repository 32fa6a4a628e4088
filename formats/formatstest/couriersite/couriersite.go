// Package couriersite gives tests the site in samples/courier-site: what Courier and vpopmail left on disk, what real
// Courier showed of it, and the checker that compares any server with that. The README there says what is in it.
package couriersite

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/formatstest/samples"
)

// Site is one copy of the site.
type Site struct {
	t    testing.TB
	Root string // the folder that stands for "/"
	Truth

	truthFile string
}

// Truth is what the real Courier showed.
type Truth struct {
	Users   map[string]User   `json:"users"` // by address
	Aliases map[string]string `json:"aliases"`
}

// User is one user of the truth.
type User struct {
	Password    string `json:"password"`
	Maildir     string `json:"maildir"` // below Root
	Courier     int    `json:"courier"`
	IMAPAllowed bool   `json:"imap_allowed"`
	POP3Allowed bool   `json:"pop3_allowed"`
	IMAP        struct {
		Folders []Folder `json:"folders"`
		Lsub    []struct {
			Name  string   `json:"name"`
			Attrs []string `json:"attrs"`
		} `json:"lsub"`
	} `json:"imap"`
	POP3 []PopMessage `json:"pop3"`
}

// Folder is one mailbox of the truth.
type Folder struct {
	Name          string    `json:"name"` // "INBOX.A.B"
	Dir           string    `json:"dir"`  // ".A.B", "" or "." for the inbox
	Attrs         []string  `json:"attrs"`
	UIDValidity   uint64    `json:"uidvalidity"`
	UIDNextBefore uint32    `json:"uidnext_before"`
	HadUIDdb      bool      `json:"had_uiddb"`
	NameValid     *bool     `json:"name_valid"`
	Error         any       `json:"error"`
	Messages      []Message `json:"messages"`
}

// NoSelect tells whether the folder is only the parent of others.
func (f *Folder) NoSelect() bool { return slices.Contains(f.Attrs, `\Noselect`) || f.Error != nil }

// Message is one message of the truth. Known: the tree promises this UID.
type Message struct {
	UID        uint32   `json:"uid"`
	Flags      []string `json:"flags"`
	Date       int64    `json:"internaldate_epoch"`
	File       string   `json:"file"`
	SHA256     string   `json:"file_sha256"` // of the bytes on disk
	BodySHA256 string   `json:"body_sha256"` // as Courier sent it
	CRLFSHA256 string   `json:"crlf_sha256"` // of the bytes with CRLF line ends
	Known      bool     `json:"known"`
}

// PopMessage is one line of UIDL. Known: the tree promises it.
type PopMessage struct {
	UIDL  string `json:"uidl"`
	Size  int64  `json:"size"`
	File  string `json:"file"`
	Known bool   `json:"known"`
}

// Unpack makes a copy in a temporary folder. For root owners are as they were (89:89, which need not exist); for others
// everything is their own.
func Unpack(t testing.TB) *Site {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() == 0 {
		for _, d := range []string{dir, filepath.Dir(dir)} { // mail users must get through
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := &Site{t: t, Root: filepath.Join(dir, "site"), truthFile: filepath.Join(dir, "truth.json")}
	tree, err := siteTar()
	if err == nil {
		err = unpack(bytes.NewReader(tree), dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := truthText()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s.Truth); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.truthFile, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// Each is decompressed once, which takes longer than all the rest.
var (
	siteTar   = sync.OnceValues(func() ([]byte, error) { return decompressed("site.tar.xz") })
	truthText = sync.OnceValues(func() ([]byte, error) { return decompressed("truth.json.xz") })
)

func decompressed(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(samples.Folder(), "courier-site", name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := xz.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(x)
}

func unpack(r io.Reader, dir string) error {
	var folders []*tar.Header // their times and modes are set last
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := unpackOne(tr, h, filepath.Join(dir, h.Name)); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			folders = append(folders, h)
		}
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if err := dress(filepath.Join(dir, folders[i].Name), folders[i]); err != nil {
			return err
		}
	}
	return nil
}

func unpackOne(r io.Reader, h *tar.Header, path string) error {
	if h.Typeflag == tar.TypeDir {
		return os.MkdirAll(path, 0o700)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return dress(path, h)
}

// dress gives owner, mode and time.
func dress(path string, h *tar.Header) error {
	if os.Getuid() == 0 {
		if err := os.Lchown(path, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(path, fs.FileMode(h.Mode).Perm()); err != nil {
		return err
	}
	return os.Chtimes(path, time.Time{}, h.ModTime)
}

// Maildir is the path of a user's Maildir.
func (s *Site) Maildir(user string) string {
	u, ok := s.Users[user]
	if !ok {
		s.t.Fatalf("no user %s in the truth", user)
	}
	return filepath.Join(s.Root, u.Maildir)
}

// Domains is the folder of vpopmail's domains.
func (s *Site) Domains() string { return filepath.Join(s.Root, "home/vpopmail/domains") }

// Names gives the addresses of all users, sorted.
func (s *Site) Names() []string {
	var names []string
	for name := range s.Users {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// IDs of the mail users.
func IDs() (uid, gid int) {
	if os.Getuid() == 0 {
		return 89, 89
	}
	return dovecot.IDs()
}
