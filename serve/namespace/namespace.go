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
	"os"
	"slices"
	"strings"
	"sync"

	"dovetail/auth"
	"dovetail/formats"
	"dovetail/formats/conf/variable"
	"dovetail/formats/disk"
	"dovetail/formats/location"
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
	Spaces []*Space // as configured, in the order of their settings "order"

	byPrefix []*Space // the longest prefix first
}

// Space is one namespace.
type Space struct {
	options.Namespace
	Prefix    string // expanded
	Separator byte

	where location.Location
	fs    *disk.FS

	mu    sync.Mutex
	store formats.Store // nil until it is needed
}

// Options of Open.
type Options struct {
	View    config.View     // for this connection
	Account *auth.User      // whose mail
	Lookup  variable.Lookup // further variables of the connection: %{session}, %{remote_ip}; may be nil
	FS      *disk.FS        // with the ids that files are to have; nil: those of the process
}

// Open finds out where a user's mail is. No file is touched before the first mailbox is asked for.
func Open(o Options) (*User, error) {
	spaces, err := options.ReadNamespaces(o.View)
	if err != nil {
		return nil, err
	}
	v := newVariables(&o)
	u := &User{Name: o.Account.Name}
	for _, n := range spaces {
		s, err := v.space(n)
		if err != nil {
			if n.IgnoreOnFailure {
				continue
			}
			return nil, fmt.Errorf("Namespace '%s': %w", n.Prefix.Text, err)
		}
		u.Spaces = append(u.Spaces, s)
	}
	slices.SortStableFunc(u.Spaces, func(a, b *Space) int { return cmp.Compare(a.Order, b.Order) })
	u.byPrefix = slices.Clone(u.Spaces)
	slices.SortStableFunc(u.byPrefix, func(a, b *Space) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	return u, nil
}

// variables are what the user's places are made of.
type variables struct {
	o    *Options
	home string
	mail string // of the user database, in 2.3's spelling; "" none
}

func newVariables(o *Options) *variables {
	v := &variables{o: o, home: o.Account.Home, mail: o.Account.Fields.Value("mail")}
	if v.home == "" {
		if users, err := options.Read[options.Users](o.View); err == nil {
			v.home, _ = users.Home.Expand(v.lookup)
		}
	}
	return v
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
		return fmt.Sprint(v.o.Account.UID), nil
	case "gid":
		return fmt.Sprint(v.o.Account.GID), nil
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

// space puts the user into a namespace's settings.
func (v *variables) space(n options.Namespace) (*Space, error) {
	s := &Space{Namespace: n, fs: v.o.FS}
	if s.fs == nil {
		s.fs = &disk.FS{}
	}
	var err error
	if s.Prefix, err = n.Prefix.Expand(v.lookup); err != nil {
		return nil, err
	}
	place := n.Place
	if v.mail != "" && n.Inbox {
		place = options.ParsePlace(v.mail)
	}
	if s.where, err = place.Location(v.lookup, v.home); err != nil {
		return nil, err
	}
	s.Separator = '/'
	switch {
	case n.Separator != "":
		s.Separator = n.Separator[0]
	case s.where.Driver == "maildir" && s.where.Layout != "fs":
		s.Separator = '.'
	}
	if s.Prefix != "" && s.Prefix[len(s.Prefix)-1] != s.Separator {
		return nil, fmt.Errorf("prefix %q doesn't end with the separator %q", s.Prefix, string(s.Separator))
	}
	return s, nil
}

// Store opens the store of the namespace when it is first asked for, and makes its root.
func (s *Space) Store(ctx context.Context) (formats.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		return s.store, nil
	}
	store, err := location.Open(ctx, s.where, location.Options{FS: s.fs, Create: true})
	if err != nil {
		return nil, err
	}
	s.store = store
	return store, nil
}

// Close closes the stores that were opened.
func (u *User) Close() error {
	var errs []error
	for _, s := range u.Spaces {
		s.mu.Lock()
		if s.store != nil {
			errs = append(errs, s.store.Close())
			s.store = nil
		}
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}
