package main

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
	"dovetail/formats/location"
)

// owner is who files in a target belong to; nil: the process's own ids.
type owner struct{ uid, gid int }

// parseOwner reads "user", "user:group", or numbers in their place; "" is nil. A user alone brings his own group.
func parseOwner(s string) (*owner, error) {
	if s == "" {
		return nil, nil
	}
	name, group, hasGroup := strings.Cut(s, ":")
	u, err := lookupUser(name)
	if err != nil {
		return nil, usagef("--owner %s: %w", s, err)
	}
	if !hasGroup {
		return u, nil
	}
	if u.gid, err = lookupGroup(group); err != nil {
		return nil, usagef("--owner %s: %w", s, err)
	}
	return u, nil
}

func lookupUser(name string) (*owner, error) {
	u, err := user.Lookup(name)
	if err != nil {
		uid, notNumber := strconv.ParseUint(name, 10, 31)
		if notNumber != nil {
			return nil, err
		}
		if u, err = user.LookupId(name); err != nil {
			return &owner{int(uid), int(uid)}, nil // a number of no user: the group has the same
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return &owner{uid, gid}, errors.Join(err, err2)
}

func lookupGroup(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return strconv.Atoi(g.Gid)
	}
	gid, notNumber := strconv.ParseUint(name, 10, 31)
	if notNumber != nil {
		return 0, err
	}
	return int(gid), nil
}

// ownerOf gives the owner of the first place that exists: the root of the first location, its inbox, the root of the
// next. Only root may give files away, so it is nil for everybody else.
func ownerOf(locations ...location.Location) (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, loc := range locations {
		for _, path := range []string{loc.Root, loc.Inbox} {
			var st unix.Stat_t
			err := unix.Stat(path, &st)
			if err == nil {
				return &owner{int(st.Uid), int(st.Gid)}, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
			}
		}
	}
	return nil, nil
}

// fileSystem is how a target is written.
func (o *owner) fileSystem() *disk.FS {
	if o == nil {
		return &disk.FS{}
	}
	return &disk.FS{Own: true, UID: o.uid, GID: o.gid}
}
