package auth

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// accountsTimeout is how long the system may take to find a user or group.
const accountsTimeout = 10 * time.Second

// setUser gives a field of a userdb its meaning (Dovecot 2.3.19, src/auth/auth-request.c
// auth_request_set_userdb_field).
func (a *attempt) setUser(who, key, value string) {
	key, rest, done := condition(a.r.Found, key)
	if a.r.Found = rest; done || key == "" || key == "_" || key == ":ignore" {
		return
	}
	switch key {
	case "uid":
		id, ok := a.id(who, "UID", value, a.s.o.Accounts.UID)
		if !ok {
			return
		}
		value = idText(id)
	case "gid":
		// A directory with several values gives a list; the first is the primary one.
		var ids []string
		for one := range strings.SplitSeq(value, ",") {
			id, ok := a.id(who, "GID", one, a.s.o.Accounts.GID)
			if !ok {
				return
			}
			ids = append(ids, idText(id))
		}
		value = strings.Join(ids, ",")
	case "tempfail":
		a.tempFailed = true
		return
	case "user", "username", "domain":
		a.rename(who, key, value)
		return
	case "uidgid_file":
		a.idsOfFile(who, value)
		return
	case "userdb_import":
		for word := range strings.SplitSeq(value, "\t") {
			k, v, _ := strings.Cut(word, "=")
			a.setUser(who, k, v)
		}
		return
	case "system_user":
		if !a.warnedSystem {
			a.logf(slog.LevelWarn, who, "Replace system_user with system_groups_user")
			a.warnedSystem = true
		}
		key = "system_groups_user"
	}
	a.r.Found = a.r.Found.Set(key, value)
}

// id reads a number, or the name of an account of the system.
func (a *attempt) id(who, kind, text string, find func(context.Context, string) (uint32, error)) (uint32, bool) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n != 1<<32-1 {
		return uint32(n), true
	}
	// The client may go meanwhile; the name service must not keep us for long.
	ctx, cancel := context.WithTimeout(context.Background(), accountsTimeout)
	defer cancel()
	id, err := find(ctx, text)
	switch {
	case err == nil:
		return id, true
	case errors.Is(err, ErrUnknown):
		a.logf(slog.LevelError, who, "Invalid %s value '%s'", kind, sanitize(text, 128))
	default:
		a.logf(slog.LevelError, who, "%s of '%s': %v", kind, sanitize(text, 128), err)
	}
	a.tempFailed = true
	return 0, false
}

// idsOfFile takes uid and gid of the owner of a file.
func (a *attempt) idsOfFile(who, path string) {
	info, err := os.Stat(path)
	if err != nil {
		a.logf(slog.LevelError, who, "uidgid_file: %v", err)
		a.tempFailed = true
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		a.r.Found = a.r.Found.Set("uid", idText(st.Uid)).Set("gid", idText(st.Gid))
	}
}

// user makes of the fields what callers need.
func (a *attempt) user(ctx context.Context) (*User, error) {
	o := &a.s.o
	u := &User{Name: a.r.User, Fields: a.r.Found, Home: a.r.Found.Value("home"), MasterUser: a.r.MasterUser,
		valid: ids{o.FirstUID, o.LastUID, o.FirstGID, o.LastGID}}
	switch {
	case a.r.MasterUser != "":
		u.AuthUser = a.r.MasterUser
	case a.original != a.r.User:
		u.AuthUser = a.original
	}
	if text, ok := u.Fields.Get("uid"); ok {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		u.UID, u.HasUID = uint32(n), true
	}
	if text, ok := u.Fields.Get("gid"); ok {
		for one := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseUint(one, 10, 32)
			if err != nil {
				return nil, err
			}
			if !u.HasGID {
				u.GID, u.HasGID = uint32(n), true
				continue
			}
			u.Groups = append(u.Groups, uint32(n))
		}
	}
	if name, ok := u.Fields.Get("system_groups_user"); ok && name != "" {
		groups, err := o.Accounts.Groups(ctx, name)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return nil, err
		}
		u.Groups = append(u.Groups, groups...)
	}
	slices.Sort(u.Groups)
	u.Groups = slices.Compact(u.Groups)
	return u, nil
}

// localAccounts are those that the standard library finds: /etc/passwd and /etc/group, and with a C library all others.
type localAccounts struct{}

func (localAccounts) UID(_ context.Context, name string) (uint32, error) {
	u, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		return 0, ErrUnknown
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(n), err
}

func (localAccounts) GID(_ context.Context, name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if _, unknown := errors.AsType[user.UnknownGroupError](err); unknown {
		return 0, ErrUnknown
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(g.Gid, 10, 32)
	return uint32(n), err
}

func (localAccounts) Groups(_ context.Context, name string) ([]uint32, error) {
	u, err := user.Lookup(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	texts, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	var groups []uint32
	for _, text := range texts {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		groups = append(groups, uint32(n))
	}
	return groups, nil
}
