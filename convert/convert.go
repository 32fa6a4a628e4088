// Package convert moves the mail of a site: many users, each from a place of his own to another.
//
// Users come as an iterator, made of a list (List), of the folders that fit a template (Folders), or of accounts
// (Accounts); nothing else here knows where they come from. Run looks at all of them, then works on several at a time, the
// largest first, so that a mailbox of 300 GB does not keep one processor busy when all the others have long been done. What
// becomes of one mailbox is decided in dovetail/sync.
//
// A user who cannot be moved is listed with the reason and the others go on. Two users with one target are told apart by
// the place it has on disk: the first has it, the second is set aside, for mixed mail cannot be taken apart again.
//
// As root, all of a user's files are opened through no link that anybody but root could have planted, except to what is his
// own, and what is made belongs to him.
package convert

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"dovetail/formats/disk"
	"dovetail/formats/location"
)

// User is one whose mail is to be moved.
type User struct {
	Name           string
	Source, Target location.Location

	// Owner is whom mail files belong to. Nil is found by looking, at what the target is first and then at the source. Only
	// root can use it.
	Owner *Owner
}

// Owner is the ids of a user of the system.
type Owner struct{ UID, GID int }

// Users are the users of a site. An error that wraps a *UserError is about one of them and the next one follows; any
// other is the last.
type Users = iter.Seq2[User, error]

// UserError says why a user cannot be worked on.
type UserError struct {
	Name string // "" where it is not known
	Err  error
}

func (e *UserError) Error() string {
	if e.Name == "" {
		return e.Err.Error()
	}
	return e.Name + ": " + e.Err.Error()
}

func (e *UserError) Unwrap() error { return e.Err }

// Template gives places to users. In both %u is the name, %n and %d what is before and behind "@", and "~" and %h the home.
type Template struct{ Source, Target string }

// User fills in the template for a user with this home, "" if it is not known.
func (t Template) User(name, home string) (User, error) {
	return t.From(name, home, func() (location.Location, error) {
		return location.Parse(t.Source, location.Vars{User: name, Home: home})
	})
}

// From is User with a source that is found out otherwise.
func (t Template) From(name, home string, source func() (location.Location, error)) (User, error) {
	u := User{Name: name}
	if err := checkName(name); err != nil {
		return u, err
	}
	var err error
	if u.Source, err = source(); err != nil {
		return u, err
	}
	u.Target, err = location.Parse(t.Target, location.Vars{User: name, Home: home})
	return u, err
}

// checkName refuses names that would lead elsewhere in a path.
func checkName(name string) error {
	for part := range strings.SplitSeq(name, "@") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%q is no name of a user", name)
		}
	}
	if strings.ContainsAny(name, "/\x00\n") {
		return fmt.Errorf("%q is no name of a user: it could lead to the mail of others", name)
	}
	return nil
}

// settle finds out whom files belong to and frees the paths of links, where that is called for.
func (u *User) settle() (look, make *disk.FS, err error) {
	if os.Geteuid() != 0 {
		return &disk.FS{ReadOnly: true}, &disk.FS{}, nil
	}
	if u.Owner == nil {
		if u.Owner, err = ownerOf(u.Target.Root, u.Source.Root, u.Source.Inbox); err != nil {
			return nil, nil, err
		}
	}
	if u.Owner == nil { // there is nothing on either side
		return &disk.FS{ReadOnly: true}, &disk.FS{}, nil
	}
	for _, l := range []*location.Location{&u.Source, &u.Target} {
		if *l, err = l.WithoutLinks(u.Owner.UID); err != nil {
			return nil, nil, err
		}
	}
	return &disk.FS{ReadOnly: true, NoLinks: true}, &disk.FS{Own: true, UID: u.Owner.UID, GID: u.Owner.GID, NoLinks: true}, nil
}

// ownerOf gives the owner of the first path that exists; of a link it is who made it.
func ownerOf(paths ...string) (*Owner, error) {
	for _, path := range paths {
		if path == "" {
			continue
		}
		info, err := os.Lstat(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return &Owner{int(st.Uid), int(st.Gid)}, nil
		}
		return nil, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOTSUP}
	}
	return nil, nil
}

// makeParents makes the folders that a user's new mail lies in and that are not his, so that the next one can use them, too.
func (u *User) makeParents() error {
	if u.Owner == nil {
		return nil
	}
	shared := &disk.FS{NoLinks: true}
	for _, path := range u.Target.Paths() {
		parent := filepath.Dir(path)
		own, err := ownerOf(ancestors(parent)...)
		if err != nil {
			return err
		}
		if own == nil || own.UID == u.Owner.UID {
			continue
		}
		dir, err := shared.MakeRoot(parent, 0o755)
		if err != nil {
			return err
		}
		dir.Close()
	}
	return nil
}

// ancestors are a path and what is above it, the nearest first.
func ancestors(path string) (all []string) {
	for ; ; path = filepath.Dir(path) {
		all = append(all, path)
		if path == filepath.Dir(path) {
			return all
		}
	}
}
