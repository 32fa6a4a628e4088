// Package maildir reads and writes mail in Maildir folders, as Dovecot, Courier-IMAP and plain delivery agents keep them.
//
//	<folder>/new/              arrived, not yet seen by a mail session; no flags
//	<folder>/cur/              the rest: one file a message, never changed in place (copies may be hard links)
//	<folder>/tmp/              being written
//	<folder>/dovecot-uidlist   UIDs, GUIDs, POP3 UIDLs
//	<folder>/dovecot-keywords  the names behind keyword letters
//
// # File names
//
//	<unique>[,S=<bytes>][,W=<bytes>][:2,<flags><keywords>]
//
// The base name, everything before the first colon, identifies a message in all lists. S is the size of the message
// (uncompressed), W its size with CRLF line ends. Wrong values harm under Dovecot; here they never do: sizes are taken
// from the file, and only exact ones are written. Flags are D Draft, F Flagged, R Answered, S Seen, T Deleted; keywords
// a to z; other letters are kept. INTERNALDATE is the file's mtime, the save date its ctime. Compressed messages are told
// by their first bytes.
//
// # dovecot-uidlist
//
//	3 V<uidvalidity> N<uidnext> G<mailbox guid>[ <K><value>]…
//	<uid>[ <K><value>]… :<base name>
//
// Records ascend by UID. Keys are single letters: G message GUID (absent: the base name), P POP3 UIDL (empty: the base
// name), O POP3 order, S and W sizes; others are kept. UIDNEXT is N or the last UID + 1, whichever is higher. A last line
// without its line end does not count; an unordered one ends the reading. Version 1 ("1 <uidvalidity> <uidnext>",
// "<uid> <base name>") is read and rewritten as 3. Files without a record get the next UIDs, ordered by the number at the
// start of their names and the one after M.
//
// # dovecot-keywords
//
//	<0-25> <name>
//
// Letters are never given to another name. Keywords beyond 26 live in dovecot.index.
//
// # Where
//
// Layout Maildir++: folder A/B is <root>/.A.B/, INBOX is <root>; each sub-folder has an empty file maildirfolder. Layout
// fs: A/B is <root>/A/B. INBOX may lie elsewhere. With a control root, lists lie in <control>/<folder>, INBOX's in
// <control>/.INBOX (Maildir++) or <control>/INBOX (fs); likewise with an index root.
//
// Where there is no dovecot-uidlist, Courier's courierimapuiddb, courierpop3dsizelist and courierimapkeywords are read;
// where there is nothing, UIDs are given for the run (Status.Volatile).
//
// # Courier's lists
//
//	courierimapuiddb        "1 <uidvalidity> <uidnext>", then "<uid> <base name>"
//	courierpop3dsizelist    POP3 UIDLs of INBOX, in four versions
//	courierimapkeywords/    :list and, beside it, younger updates of single messages
//	courierimapsubscribed   in the root
//
// A store with Options.Lists of Courier reads and writes these alone; each is described where it is read. Every commit
// writes the POP3 list and the keywords first, which mean nothing for unknown files, then courierimapuiddb, and then
// moves the messages out of tmp/. GUIDs, modseqs and \Recent have no place there; a UIDL that is neither UIDn nor UIDn-v
// becomes the file's name, and POP3 order is that of names, which are chosen so. Flags and keywords that change together
// are in tmp/dovetail-flags until they have. The lock is tmp/courier.lock.
//
// Mailbox.Take makes the lists of one server from those of the other for the same folder, in place. It holds both locks,
// writes the list of UIDs last and renames message files after that. What it replaces stays as dovetail-old-<name>;
// dovetail-taken remembers what was written, so that a Take that was killed is finished by the next, and so that what
// nobody else has touched since may be replaced. Where Courier cuts names differently from Dovecot, or a UID, a line or a
// header is not possible, Taking.Problems says what becomes of it. A message without a P was shown by Dovecot under a UIDL
// made by its setting pop3_uidl_format; on the way to Courier that becomes a record, where it is UIDn, UIDn-v or the name.
//
// # Locks and order of writes
//
// Changes hold the dotlock dovecot-uidlist.lock, as Dovecot's do; readers take none. An append writes its files in tmp/
// under their final names, makes them durable, takes the lock, appends all records with one durable write and then moves
// the files to cur/. That write is what commits: who dies after it leaves records whose files are still in tmp/, which
// every later reader of ours finds there and every later writer moves; Dovecot does not show them until then. Who dies
// before it leaves files in tmp/ that nobody lists; they are removed by the next writer. Index records come last.
//
// Tested with Dovecot 2.3.19.1, Courier-IMAP 5.0.13 and trees of Courier-IMAP 4.18.2.
package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Options say where a store is and how it is laid out.
type Options struct {
	Root    string // the mail root
	Control string // CONTROL=; "": beside the mail
	Index   string // INDEX=; "": beside the mail; "MEMORY": none
	Inbox   string // INBOX=; "": the root

	// Layout is "" or "maildir++", or "fs".
	Layout string

	// UTF8 and Escape: see layout.Naming.
	UTF8   bool
	Escape byte

	// Lists are whose control files the store goes by. Courier's are kept beside the mail and in Maildir++ only.
	Lists Lists

	// POP3UIDLFormat is the pop3_uidl_format of the Dovecot that served the store, "" if there was none: Take gives
	// Courier the UIDLs that it made for messages without a P, as far as Courier can hold them.
	POP3UIDLFormat string

	// FS says how files are made. With FS.ReadOnly the store is a source: nothing in it is changed.
	FS *disk.FS

	// Create makes a missing root; without it Open fails with fs.ErrNotExist.
	Create bool
}

// Store is one user's mail in Maildir folders. It is a formats.Store, Subscriber, Noter and Placer.
type Store struct {
	opts   Options
	naming layout.Naming

	root    *disk.Dir
	inbox   *disk.Dir // root unless Options.Inbox says otherwise
	control *disk.Dir // nil: beside the mail
	index   *disk.Dir // nil: beside the mail

	mu    sync.Mutex             // guards locks
	locks map[string]*sync.Mutex // by mailbox name

	clock *clock
}

// Open opens the store.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if err := o.checkLists(); err != nil {
		return nil, err
	}
	o.UTF8 = o.UTF8 || o.Lists == Courier5Lists
	s := &Store{opts: o, locks: map[string]*sync.Mutex{}, clock: newClock()}
	switch strings.ToLower(o.Layout) {
	case "", "maildir++":
		s.naming = layout.Naming{Separator: '.', Format: "Maildir++"}
	case "fs":
		s.naming = layout.Naming{Separator: '/', Format: "Maildir", Reserved: []string{"cur", "new", "tmp"}, Beside: true}
	default:
		return nil, fmt.Errorf("maildir: layout %q is not known", o.Layout)
	}
	s.naming.UTF8, s.naming.Escape = o.UTF8, o.Escape
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.root, err = s.openRoot(o.Root); err != nil {
		return nil, err
	}
	s.inbox = s.root
	for _, r := range []struct {
		path string
		into **disk.Dir
	}{{o.Inbox, &s.inbox}, {o.Control, &s.control}, {o.Index, &s.index}} {
		if r.path == "" || r.path == "MEMORY" || sameplace(r.path, o.Root) {
			continue
		}
		*r.into, err = s.openRoot(r.path)
		if errors.Is(err, fs.ErrNotExist) && !o.Create {
			*r.into, err = nil, s.missing(r.path)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// checkLists refuses what Courier does not know.
func (o *Options) checkLists() error {
	if o.Lists.courier() && (o.Control != "" || o.Index != "" || strings.EqualFold(o.Layout, "fs")) {
		return errors.New("maildir: Courier keeps its lists beside the mail, has no index and only layout Maildir++")
	}
	return nil
}

// missing: a source without the folder of its inbox, control or index files simply has none of them.
func (s *Store) missing(path string) error {
	if s.readOnly() {
		return nil
	}
	d, err := s.opts.FS.MakeRoot(path, 0o700)
	if err == nil {
		d.Close()
	}
	return err
}

func sameplace(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

func (s *Store) openRoot(path string) (*disk.Dir, error) {
	if s.opts.Create {
		return s.opts.FS.MakeRoot(path, 0o700)
	}
	return s.opts.FS.OpenRoot(path)
}

func (s *Store) readOnly() bool { return s.opts.FS != nil && s.opts.FS.ReadOnly }

func (s *Store) fs() bool { return s.naming.Separator == '/' }

// Close gives the roots back.
func (s *Store) Close() error {
	if s.inbox != nil && s.inbox != s.root {
		s.inbox.Close()
	}
	for _, d := range []*disk.Dir{s.root, s.control, s.index} {
		if d != nil {
			d.Close()
		}
	}
	return nil
}

// Place names the roots by device and inode.
func (s *Store) Place() string {
	var place strings.Builder
	for _, d := range []*disk.Dir{s.root, s.inbox} {
		st, err := d.StatSelf()
		if err != nil {
			return ""
		}
		fmt.Fprintf(&place, "%d:%d ", st.Dev, st.Ino)
	}
	return strings.TrimSpace(place.String())
}

// Claim claims the mail root.
func (s *Store) Claim() (release func(), err error) { return s.root.Claim() }

// Limits of Maildir folders, and of Courier's.
func (s *Store) Limits() formats.Limits {
	l := formats.Limits{
		Format:         "maildir",
		Separator:      string(s.naming.Separator),
		NameProblem:    s.nameProblem,
		SafeName:       s.naming.Safe,
		KeywordProblem: keywordProblem,
		IDProblem:      idProblem,
		NoSaveDate:     true,
		PerMessage:     true,
	}
	if s.opts.Lists.courier() {
		l.Format, l.IDProblem, l.POP3OrderProblem = "courier", courierUIDLProblem, courierOrderProblem
		l.NoMailboxGUID, l.NoGUID, l.NoModSeq, l.NoRecent, l.POP3InboxOnly = true, true, true, true, true
		return l
	}
	if !s.keepsIndex() {
		l.MaxKeywords, l.NoModSeq = maxLetters, true
	}
	return l
}

func (s *Store) nameProblem(name string) string {
	if name != inboxName && strings.EqualFold(name, inboxName) {
		return "INBOX in another case is the inbox"
	}
	return s.naming.Problem(name)
}

// keywordProblem: a keyword stands on a line of dovecot-keywords and is an IMAP atom to clients.
func keywordProblem(keyword string) string {
	switch {
	case keyword == "":
		return "empty keyword"
	case strings.ContainsAny(keyword, " \t\r\n\x00"):
		return "white space in a keyword"
	}
	return ""
}

// changeLock is the mutex of a mailbox in this process.
func (s *Store) changeLock(name string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks[name] == nil {
		s.locks[name] = new(sync.Mutex)
	}
	return s.locks[name]
}
