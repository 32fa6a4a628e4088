// Package namespace is a user's mail as clients see it: one tree of names over the stores of the configuration's
// namespaces.
//
// A client's name is a path whose parts are joined by the separator of its namespace, behind the namespace's prefix; a
// store's name (package formats) is joined by "/" and has no prefix. The namespace of a name is the one with the longest
// prefix that fits. "INBOX" in any case is the inbox, in the namespace that has it, whatever its prefix is.
//
//	separator "." prefix "INBOX."    INBOX -> INBOX    INBOX.Sent.2024 -> Sent/2024
//	separator "/" prefix ""          inbox -> INBOX    Sent/2024 -> Sent/2024
//
// Names here are UTF-8; the modified UTF-7 of the wire is the protocol's business.
package namespace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dovetail/auth"
	"dovetail/formats"
	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/formats/disk"
	"dovetail/formats/location"
	"dovetail/formats/mbox"
	"dovetail/formats/mdbox"
	"dovetail/formats/message"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Inbox is the one name that is the same whatever its case.
const Inbox = "INBOX"

// Errors that clients are told of.
var (
	ErrNoNamespace = errors.New("Mailbox name is outside of every namespace")
	ErrBadName     = errors.New("Invalid mailbox name")
	ErrInbox       = errors.New("INBOX can't be deleted.")
	ErrOtherSpace  = errors.New("Can't rename mailboxes across specified storages.")
)

// User is the mail of one user. It may be used by several goroutines.
type User struct {
	Name   string
	Spaces []*Space    // as configured, in the order of their settings "order"
	View   config.View // what the configuration says, with what the user database has for this user

	variables variable.Lookup
	byPrefix  []*Space // the longest prefix first
	crlf      bool     // mail_save_crlf
	rotation  mdbox.Rotation
	locks     mbox.Locks
	fs        *disk.FS // as whom files are touched
	rawlog    string   // rawlog_dir; "" none
}

// Space is one namespace.
type Space struct {
	options.Namespace
	Prefix    string // expanded
	Separator byte

	user   *User
	of     *Space // whose mail it shows (alias_for); nil: its own
	where  location.Location
	fs     *disk.FS
	stores *Stores

	mu    sync.Mutex
	store formats.Store // nil until it is needed
}

// Options of Open.
type Options struct {
	View    config.View     // for this connection
	Account *auth.User      // whose mail
	Lookup  variable.Lookup // further variables of the connection: %{session}, %{remote_ip}; may be nil
	Stores  *Stores         // of the process; nil: the user's stores are shared with nobody
}

// Open finds out where a user's mail is, and as whom it may be touched. No file is touched before the first mailbox is
// asked for. Errors are for the log, in Dovecot's words where it has any.
func Open(o Options) (*User, error) {
	o.View = own(o.View, o.Account)
	if o.Stores == nil {
		o.Stores = &Stores{}
	}
	fs, err := files(o.View, o.Account)
	if err != nil {
		return nil, err
	}
	storage, err := options.Read[options.Storage](o.View)
	if err != nil {
		return nil, err
	}
	grow, err := options.Read[options.Mdbox](o.View)
	if err != nil {
		return nil, err
	}
	locks, err := options.Read[options.Mbox](o.View)
	if err != nil {
		return nil, err
	}
	spaces, err := options.ReadNamespaces(o.View)
	if err != nil {
		return nil, err
	}
	v := &variables{o: &o, fs: fs}
	if err := v.settle(); err != nil {
		return nil, err
	}
	if o.View.Dialect == conf.V24 {
		v.mail = o.Account.Fields.Value("mail")
	}
	u := &User{Name: o.Account.Name, View: o.View, variables: v.lookup, crlf: storage.SaveCRLF, fs: fs}
	u.rotation = mdbox.Rotation{Size: int64(min(grow.RotateSize, 1<<32-1)), Interval: grow.RotateInterval, Preallocate: grow.PreallocateSpace}
	u.locks = mbox.Locks{Timeout: locks.LockTimeout, Stale: locks.DotlockChangeTimeout}
	if u.rawlog, err = v.rawlogDir(); err != nil {
		return nil, err
	}
	for _, n := range spaces {
		s, err := v.space(n)
		if err != nil {
			if n.IgnoreOnFailure {
				continue
			}
			return nil, fmt.Errorf("Namespace '%s': %w", n.Prefix.Text, err)
		}
		s.user = u
		u.Spaces = append(u.Spaces, s)
	}
	slices.SortStableFunc(u.Spaces, func(a, b *Space) int { return cmp.Compare(a.Order, b.Order) })
	if err := u.check(); err != nil {
		return nil, fmt.Errorf("namespace configuration error: %w", err)
	}
	u.byPrefix = slices.Clone(u.Spaces)
	slices.SortStableFunc(u.byPrefix, func(a, b *Space) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	return u, nil
}

// variables are what the user's places are made of.
type variables struct {
	o    *Options
	fs   *disk.FS
	home string // as the user sees it, below root
	root string // of what he sees; "" everything
	mail string // of the user database, in 2.3's spelling, where the configuration is one of 2.4; "" none
}

func (v *variables) lookup(name string) (string, error) {
	user := v.o.Account.Name
	local, domain, _ := strings.Cut(user, "@")
	switch name {
	case "u", "user":
		return user, nil
	case "n", "username":
		return local, nil
	case "d", "domain":
		return domain, nil
	case "h", "home":
		return v.home, nil
	case "i", "uid":
		return idOr(v.fs.Own, v.fs.UID, os.Geteuid()), nil
	case "gid":
		return idOr(v.fs.Own, v.fs.GID, os.Getegid()), nil
	case "p", "pid", "process:pid":
		return fmt.Sprint(os.Getpid()), nil
	case "hostname", "system:hostname":
		return os.Hostname()
	}
	if key, ok := strings.CutPrefix(name, "userdb:"); ok {
		return v.o.Account.Fields.Value(key), nil
	}
	if v.o.Lookup != nil {
		return v.o.Lookup(name)
	}
	return "", variable.ErrUnknown
}

func idOr(own bool, theirs, ours int) string {
	if own {
		return strconv.Itoa(theirs)
	}
	return strconv.Itoa(ours)
}

// space puts the user into a namespace's settings.
func (v *variables) space(n options.Namespace) (*Space, error) {
	s := &Space{Namespace: n, fs: v.fs, stores: v.o.Stores}
	var err error
	if s.Prefix, err = n.Prefix.Expand(v.lookup); err != nil {
		return nil, err
	}
	place := n.Place
	if v.mail != "" && n.Inbox {
		place = options.ParsePlace(v.mail)
	}
	if place.Root.Text == "" {
		if place, err = v.usual(place); err != nil {
			return nil, err
		}
	}
	if v.home == "" && strings.HasPrefix(place.Root.Text, "~") {
		return nil, fmt.Errorf("Home directory not set for user. Can't expand ~/ for mail root dir in: %s", place.Root.Text)
	}
	if s.where, err = place.Location(v.lookup, v.home); err != nil {
		return nil, err
	}
	if s.where, err = v.inside(s.where); err != nil {
		return nil, err
	}
	if s.fs.NoLinks {
		if s.where, err = s.where.WithoutLinks(s.fs.UID); err != nil {
			return nil, err
		}
	}
	if s.where.Driver == "" {
		if s.where.Driver, err = location.Detect(s.where.Root); err != nil {
			return nil, err
		}
	}
	s.Separator = '/'
	switch {
	case n.Separator != "":
		s.Separator = n.Separator[0]
	case s.where.Driver == "maildir" && s.where.Layout != "fs":
		s.Separator = '.'
	}
	return s, nil
}

// usual gives the first of the places where mail usually is that is there: those that Dovecot 2.3 looks at when
// mail_location is not set.
func (v *variables) usual(p options.Place) (options.Place, error) {
	for _, t := range [][2]string{{"mdbox", "mdbox"}, {"sdbox", "sdbox"}, {"maildir", "Maildir"}, {"mbox", "mail"}, {"mbox", "Mail"}} {
		root := filepath.Join(v.home, t[1])
		at := filepath.Join("/", v.root, root)
		if p.Driver != "" && p.Driver != t[0] {
			continue
		}
		if driver, err := location.Detect(at); v.home != "" && err == nil && driver == t[0] {
			p.Driver, p.Root = t[0], options.Template{Text: strings.ReplaceAll(root, "%", "%%")}
			return p, nil
		}
	}
	return p, fmt.Errorf("mail_location not set and autodetection failed: Mail storage autodetection failed with home=%s", v.home)
}

// check refuses namespaces that contradict each other (Dovecot 2.3.19, src/lib-storage/mail-namespace.c,
// namespaces_check), and finds those that show another one's mail.
func (u *User) check() error {
	var inbox, listed, visible, subscribed bool
	separator := byte(0)
	for i, s := range u.Spaces {
		if slices.ContainsFunc(u.Spaces[i+1:], func(o *Space) bool { return o.Prefix == s.Prefix }) {
			return fmt.Errorf("Duplicate namespace prefix: %q", s.Prefix)
		}
		if s.Inbox && inbox {
			return errors.New("There can be only one namespace with inbox=yes")
		}
		inbox, visible, subscribed = inbox || s.Inbox, visible || !s.Hidden, subscribed || s.Subscriptions
		if err := u.alias(s); err != nil {
			return err
		}
		if s.Namespace.List == "no" {
			continue
		}
		listed = listed || s.Namespace.List == "yes"
		switch {
		case s.Prefix != "" && s.Prefix[len(s.Prefix)-1] != s.Separator:
			return fmt.Errorf("list=yes requires prefix=%s to end with separator %c", s.Prefix, s.Separator)
		case s.Prefix != "" && s.Prefix[0] == s.Separator:
			return fmt.Errorf("list=yes requires prefix=%s not to start with separator", s.Prefix)
		case separator != 0 && separator != s.Separator:
			return errors.New("All list=yes namespaces must use the same separator")
		}
		separator = s.Separator
	}
	for _, need := range []struct {
		have bool
		what string
	}{{inbox, "inbox=yes"}, {listed, "list=yes"}, {visible, "hidden=no"}, {subscribed, "subscriptions=yes"}} {
		if !need.have {
			return errors.New(need.what + " namespace missing")
		}
	}
	return nil
}

// alias finds the namespace whose mail another one shows under its own prefix.
func (u *User) alias(s *Space) error {
	if s.AliasFor == nil {
		return nil
	}
	i := slices.IndexFunc(u.Spaces, func(o *Space) bool { return o.Prefix == s.AliasFor.Text })
	switch {
	case i < 0:
		return fmt.Errorf("Invalid namespace alias_for: %s", s.AliasFor.Text)
	case u.Spaces[i].AliasFor != nil:
		return fmt.Errorf("Chained namespace alias_for: %s", s.AliasFor.Text)
	}
	s.of = u.Spaces[i]
	s.Inbox = s.Inbox || s.of.Inbox
	return nil
}

// Store opens the store of the namespace when it is first asked for, and makes its root. It stays open until User.Close.
func (s *Space) Store(ctx context.Context) (formats.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		return s.store, nil
	}
	store, err := s.stores.get(ctx, s.where, s.fs, s.user.rotation, s.user.locks)
	if err != nil {
		return nil, err
	}
	s.store = store
	return store, nil
}

// LineEnds gives a message that comes in with the line ends that it is to be stored with: LF, unless mail_save_crlf is
// set; size is its length, -1 unknown.
func (u *User) LineEnds(body io.Reader, size int64) (io.Reader, int64) {
	if body == nil || u.crlf {
		return body, size
	}
	return message.WithoutCR(body), -1
}

// Expand puts the user's variables into a setting.
func (u *User) Expand(t options.Template) (string, error) { return t.Expand(u.variables) }

// KeepsCR tells whether messages are stored with CRLF (mail_save_crlf).
func (u *User) KeepsCR() bool { return u.crlf }

// Root opens the root of the namespace's indexes, which the caller closes: where locks for all of its mail are.
func (s *Space) Root(ctx context.Context) (*disk.Dir, error) {
	if _, err := s.Store(ctx); err != nil { // which makes the root
		return nil, err
	}
	root := s.where.Root
	if s.where.Index != "" && s.where.Index != "MEMORY" {
		root = s.where.Index
	}
	return s.fs.MakeRoot(root, 0o700)
}

// Control opens the root of the namespace's control files, which the caller closes: where files for all of its mail are
// that several programs keep.
func (s *Space) Control(ctx context.Context) (*disk.Dir, error) {
	if _, err := s.Store(ctx); err != nil { // which makes the root
		return nil, err
	}
	return s.fs.MakeRoot(cmp.Or(s.where.Control, s.where.Root), 0o700)
}

// FullName turns a name of the store into the client's. A store whose names hold the separator cannot show them: ok is
// false.
func (s *Space) FullName(name string) (full string, ok bool) { return s.full(name) }

// Close gives back the stores that were opened.
func (u *User) Close() error {
	var errs []error
	for _, s := range u.Spaces {
		s.mu.Lock()
		if s.store != nil {
			errs = append(errs, s.stores.put(s.store))
			s.store = nil
		}
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}
