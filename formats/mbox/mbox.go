package mbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Dialect says how a file tells the end of a message from a line of text that begins with "From ".
type Dialect string

// The dialects. Which one a foreign file has cannot be seen in it.
const (
	// Auto is what Dovecot reads and writes: Content-Length where it is right, else the next From_ line. Nothing is
	// unquoted.
	Auto Dialect = ""

	MboxO   Dialect = "mboxo"   // no Content-Length; ">From " at the start of a body line was "From "
	MboxRD  Dialect = "mboxrd"  // no Content-Length; one ">" is taken from ">From ", ">>From " and so on
	MboxCL  Dialect = "mboxcl"  // Content-Length, and quoted as in MboxO
	MboxCL2 Dialect = "mboxcl2" // Content-Length, not quoted
)

func (d Dialect) usesLength() bool { return d != MboxO && d != MboxRD }

// ParseDialect reads a dialect's name, with or without "mbox" before it; "" and "auto" are Auto.
func ParseDialect(name string) (Dialect, error) {
	switch d := Dialect("mbox" + strings.TrimPrefix(name, "mbox")); d {
	case "mbox", "mboxauto":
		return Auto, nil
	case MboxO, MboxRD, MboxCL, MboxCL2:
		return d, nil
	}
	return "", fmt.Errorf("mbox dialect %q: want auto, mboxo, mboxrd, mboxcl or mboxcl2", name)
}

// Options say where the mail is and how it is to be treated.
type Options struct {
	// Root is the folder of mailbox files. It may be one file for a source: then that is INBOX, and there is no other.
	Root string

	Inbox   string // file of INBOX; "" is inbox in Root, as with Dovecot, or INBOX there if only that exists
	Index   string // root of indexes; "" is Root, "MEMORY" none
	Control string // folder of .subscriptions; "" is Root

	UTF8   bool // mailbox names are raw UTF-8 on disk
	Escape byte // of listescape, 0 none

	FS      *disk.FS
	Create  bool // make a missing root
	Locks   Locks
	Dialect Dialect

	// Zone is that of dates without one; nil is the local zone.
	Zone *time.Location
}

// Store is a user's mail in mbox files.
type Store struct {
	opts    Options
	naming  layout.Naming
	root    *disk.Dir
	control *disk.Dir
	index   *disk.Dir // nil where there is none
	single  bool      // Root is one file

	mu      sync.Mutex             // guards writing
	writing map[string]*sync.Mutex // by path: one Update at a time
}

// Open opens a store. A missing root is an error that wraps fs.ErrNotExist unless o.Create is set.
func Open(_ context.Context, o Options) (*Store, error) {
	s := &Store{opts: o, writing: map[string]*sync.Mutex{}}
	s.naming = layout.Naming{Separator: '/', UTF8: o.UTF8, Escape: o.Escape, Reserved: []string{indexFolder}, Behind: len(lockSuffix), Format: "mbox"}
	var err error
	if s.root, err = s.openRoot(o.Root); errors.Is(err, unix.ENOTDIR) {
		s.single, s.opts.Inbox = true, o.Root
		s.root, err = o.FS.OpenRoot(filepath.Dir(filepath.Clean(o.Root)))
	}
	if err != nil {
		return nil, err
	}
	if s.control, err = s.folder(o.Control); err == nil && o.Index != "MEMORY" {
		s.index, err = s.folder(o.Index)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openRoot(root string) (*disk.Dir, error) {
	if s.opts.Create {
		return s.opts.FS.MakeRoot(root, 0o700)
	}
	return s.opts.FS.OpenRoot(root)
}

// folder opens a further root: nil when it is missing and not to be made, the mail root when it is not set.
func (s *Store) folder(name string) (*disk.Dir, error) {
	if name == "" {
		return s.root, nil
	}
	d, err := s.openRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return d, err
}

// Close gives the roots back.
func (s *Store) Close() error {
	var errs []error
	for _, d := range []*disk.Dir{s.control, s.index} {
		if d != nil && d != s.root {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(append(errs, s.root.Close())...)
}

// maxKeyword is the longest name of a keyword that Dovecot takes (setting mail_max_keyword_length).
const maxKeyword = 50

// Limits says what mbox files cannot hold.
func (s *Store) Limits() formats.Limits {
	return formats.Limits{
		Format:         "mbox",
		Separator:      "/",
		NameProblem:    s.nameProblem,
		SafeName:       s.safeName,
		KeywordProblem: keywordProblem,
		NoMailboxGUID:  true,
		NoGUID:         true,
		NoPOP3:         true,
		NoSaveDate:     true,
		NoModSeq:       true,
		OwnModSeq:      true,
		NoRecent:       true,
		OneTx:          true,
		NoChildren:     true,
		HiddenHeaders:  hiddenHeaders,
		HeaderProblem:  headerProblem,
	}
}

// keywordProblem knows the rules of Dovecot 2.3.19.1 (mailbox_keyword_is_valid): an IMAP atom of limited length. It
// drops others from X-IMAPbase when it next writes the file.
func keywordProblem(keyword string) string {
	switch {
	case keyword == "":
		return "it is empty"
	case len(keyword) > maxKeyword:
		return fmt.Sprintf("it is longer than %d bytes", maxKeyword)
	case strings.ContainsAny(keyword, ` (){%*"\]`):
		return "X-Keywords holds IMAP atoms only"
	}
	for _, c := range []byte(keyword) {
		if c <= ' ' || c >= 0x7f {
			return "X-Keywords holds IMAP atoms only"
		}
	}
	return ""
}

// internal tells which names of files and folders Dovecot does not take for mailboxes (2.3.19.1, mbox-storage.c:
// mbox_is_internal_name).
func internal(part string) bool {
	return part == indexFolder || len(part) > len(lockSuffix) && strings.HasSuffix(part, lockSuffix)
}

const (
	indexFolder       = ".imap"
	lockSuffix        = ".lock"
	subscriptionsFile = ".subscriptions"
)

func (s *Store) nameProblem(name string) string {
	if p := s.naming.Problem(name); p != "" {
		return p
	}
	for part := range strings.SplitSeq(name, "/") {
		if internal(part) {
			return `Dovecot does not show names that end in ".lock"`
		}
	}
	if name != "INBOX" && strings.EqualFold(name, "INBOX") {
		return "INBOX has another meaning in any case"
	}
	if name == subscriptionsFile {
		return "this is the list of subscriptions"
	}
	return ""
}

func (s *Store) safeName(name string) string {
	parts := strings.Split(s.naming.Safe(name), "/")
	for i, part := range parts {
		if internal(part) {
			parts[i] = strings.TrimSuffix(part, lockSuffix) + "_lock"
		}
	}
	if name = strings.Join(parts, "/"); s.nameProblem(name) != "" {
		return "_" + name
	}
	return name
}

func (s *Store) zone() *time.Location {
	if s.opts.Zone == nil {
		return time.Local
	}
	return s.opts.Zone
}

// Place tells two stores apart by the folder of their files, and the file of INBOX.
func (s *Store) Place() string {
	st, err := s.root.StatSelf()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("mbox %x.%x %s", st.Dev, st.Ino, s.inboxPlace())
}

func (s *Store) inboxPlace() string {
	dir, file, err := s.inbox()
	if err != nil {
		return ""
	}
	defer dir.Close()
	st, err := dir.StatSelf()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x.%x/%s", st.Dev, st.Ino, file)
}

// inbox gives the folder and name of the file of INBOX, which need not exist. Without a setting it is "inbox" in the
// root (Dovecot 2.3.19.1: "INBOX defaulted to").
func (s *Store) inbox() (*disk.Dir, string, error) {
	if s.opts.Inbox != "" {
		file := filepath.Clean(s.opts.Inbox)
		dir, err := s.opts.FS.OpenRoot(filepath.Dir(file))
		return dir, filepath.Base(file), err
	}
	dir, err := s.root.OpenDir(".")
	return dir, s.inboxName(), err
}

func (s *Store) inboxName() string {
	if _, err := s.root.Stat("inbox"); err != nil {
		if st, err := s.root.Stat("INBOX"); err == nil && st.Mode.IsRegular() {
			return "INBOX"
		}
	}
	return "inbox"
}

// locate gives the folder and name of a mailbox's file, which need not exist.
func (s *Store) locate(ctx context.Context, name string) (*disk.Dir, string, error) {
	if name == "INBOX" {
		return s.inbox()
	}
	if s.single {
		return nil, "", formats.ErrNoMailbox
	}
	storage, err := s.storage(ctx, name)
	if err != nil {
		return nil, "", err
	}
	dir, err := s.root.OpenDir(path.Dir(storage))
	if ok, _ := disk.Exists(err); !ok && err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			err = fmt.Errorf("%w: %w", formats.ErrNoMailbox, err)
		}
		return nil, "", err
	}
	return dir, path.Base(storage), nil
}

// storage gives the path below the root: as the name is written, or, for a name that cannot be written, as found.
func (s *Store) storage(ctx context.Context, name string) (string, error) {
	storage, err := s.naming.Storage(name)
	if err == nil {
		if _, serr := s.root.Stat(storage); serr == nil {
			return storage, nil
		}
	}
	found, lerr := s.tree(ctx)
	if lerr != nil {
		return "", lerr
	}
	if one, ok := layout.Lookup(found, name); ok && one.Err == nil {
		return one.Path, nil
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", formats.ErrNoMailbox, err)
	}
	return storage, nil
}

// indexDir opens the folder of Dovecot's index files of a mailbox: nil where there is none. INBOX has its own name
// there, wherever its file is.
func (s *Store) indexDir(b *Mailbox) *disk.Dir {
	if s.index == nil {
		return nil
	}
	dir, err := s.index.OpenDir(indexPath(b.storage))
	if err != nil {
		return nil
	}
	return dir
}

func indexPath(storage string) string {
	return path.Join(path.Dir(storage), indexFolder, path.Base(storage))
}
