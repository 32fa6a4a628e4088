package namespace

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"

	"dovetail/auth"
	"dovetail/formats/conf"
	"dovetail/formats/disk"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// notSettings are fields of a user database that say something else than a setting (Dovecot 2.3.19,
// src/lib-storage/mail-storage-service.c, user_reply_handle).
var notSettings = map[string]bool{"uid": true, "gid": true, "home": true, "chroot": true, "system_groups_user": true, "chdir": true,
	"nice": true, "auth_token": true, "auth_user": true, "master_user": true, "admin": true, "user": true, "login": true}

// own gives the view with what the user database says of this user.
func own(v config.View, u *auth.User) config.View {
	var list []config.Override
	for _, f := range u.Fields {
		switch key, value := f.Key, f.Value; {
		case notSettings[key]:
		case key == "mail" && v.Dialect == conf.V24: // a place in 2.3's spelling: see variables
		case key == "mail":
			list = append(list, config.Override{Key: "mail_location", Text: value})
		default:
			list = append(list, config.Override{Key: key, Text: cmp.Or(value, "yes")})
		}
	}
	return v.With(list)
}

// What cannot be done for a user, in Dovecot's words.
var (
	errNoUID = errors.New("User is missing UID (see mail_uid setting)")
	errNoGID = errors.New("User is missing GID (see mail_gid setting)")
	errRoot  = errors.New("Mail access not allowed for root")
)

// files says whose the files of a user's mail are: the ids of the user database, else mail_uid and mail_gid, else those
// of the process, which must not be root's. The rules and texts are those of Dovecot 2.3.19
// (src/lib-storage/mail-storage-service.c, service_parse_privileges and service_drop_privileges).
func files(v config.View, u *auth.User) (*disk.FS, error) {
	o, err := options.Read[options.Users](v)
	if err != nil {
		return nil, err
	}
	if u.HasUID && u.UID == 0 {
		return nil, errors.New("userdb returned 0 as uid")
	}
	if err := u.Allowed(); err != nil {
		return nil, err
	}
	uid, err := identity{"UID", "user", o.UID, o.FirstValidUID, o.LastValidUID, u.UID, u.HasUID, accountUID}.find()
	if err != nil {
		return nil, err
	}
	gid, err := identity{"GID", "group", o.GID, o.FirstValidGID, o.LastValidGID, u.GID, u.HasGID, groupGID}.find()
	if err != nil {
		return nil, err
	}
	self := os.Geteuid()
	switch {
	case uid < 0 && self == 0:
		return nil, errNoUID
	case gid < 0 && o.FirstValidGID > 0 && os.Getegid() == 0:
		return nil, errNoGID
	case uid == 0:
		return nil, errRoot
	case self != 0 && uid >= 0 && uid != self:
		return nil, fmt.Errorf("setuid(%d from userdb lookup) failed with euid=%d: Operation not permitted "+
			"(This binary should probably be called with process user set to %[1]d instead of %[2]d)", uid, self)
	case self != 0:
		return &disk.FS{}, nil
	}
	return &disk.FS{Own: true, UID: uid, GID: max(gid, 0), Groups: groupsOf(u, o), AsUser: true, NoLinks: true}, nil
}

// groupsOf gives the groups of a user beside his own: those of the user database, and those that all users get to reach
// their mail. One that the machine does not have lets in nobody: the default of 2.4 need not be there.
func groupsOf(u *auth.User, o options.Users) (list []int) {
	for _, gid := range u.Groups {
		list = append(list, int(gid))
	}
	for _, name := range append(slices.Clone(o.AccessGroups), o.PrivilegedGroup) {
		if gid, err := groupGID(name); err == nil && name != "" {
			list = append(list, int(gid))
		}
	}
	return list
}

// identity is what is known of one of a user's ids.
type identity struct {
	what, kind, setting string
	first, last         uint32
	id                  uint32
	known               bool // by the user database, which has checked it
	lookup              func(string) (uint32, error)
}

// find gives the id, -1 if nothing says which.
func (i identity) find() (int, error) {
	if i.known {
		return int(i.id), nil
	}
	if i.setting == "" {
		return -1, nil
	}
	id, err := i.lookup(i.setting)
	if err != nil {
		return 0, fmt.Errorf("Unknown UNIX %s %s: %s (from mail_%s setting)", i.what, i.kind, i.setting, lower(i.what))
	}
	if id < i.first || i.last != 0 && id > i.last {
		return 0, fmt.Errorf("Mail access for users with %s %d not permitted (see first_valid_%[3]s in config file, %[3]s from mail_%[3]s setting).",
			i.what, id, lower(i.what))
	}
	return int(id), nil
}

func lower(what string) string { return map[string]string{"UID": "uid", "GID": "gid"}[what] }

func accountUID(name string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	a, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(a.Uid, 10, 32)
	return uint32(n), err
}

func groupGID(name string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(g.Gid, 10, 32)
	return uint32(n), err
}
