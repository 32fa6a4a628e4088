package convert

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"dovetail/convert/accounts"
)

// firstUID is the least uid of a person in the system's list: Dovecot's first_valid_uid (2.3.19, src/config).
const firstUID = 500

// Accounts gives the users of a list of accounts: "vpopmail:/home/vpopmail", "passwd-file:/etc/dovecot/users", or "passwd:"
// for the users of the system whose uid is 500 or more. root goes before paths, as with accounts.ParsePlace, and before
// homes.
func Accounts(ctx context.Context, spec, root string, t Template) (Users, error) {
	system := spec == "passwd:"
	if system {
		spec = "passwd-file:/etc/passwd"
	}
	place, err := accounts.ParsePlace(spec, root)
	if err != nil {
		return nil, err
	}
	list, err := accounts.Read(ctx, place)
	if err != nil {
		return nil, err
	}
	return func(yield func(User, error) bool) {
		for _, a := range list.Users {
			own, err := ownerNamed(a.UID, a.GID)
			if system && (own == nil || own.UID < firstUID || a.Name == "nobody") {
				continue
			}
			var u User
			if err == nil {
				u, err = t.User(a.Name, below(root, a.Home))
			}
			u.Name = a.Name
			if os.Geteuid() == 0 {
				u.Owner = own
			}
			if err != nil {
				err = &UserError{a.Name, err}
			}
			if !yield(u, err) {
				return
			}
		}
		for _, r := range list.Remarks {
			if r.Kind != accounts.Note && !yield(User{Name: r.User}, &UserError{r.User, fmt.Errorf("%s: %s", spec, r)}) {
				return
			}
		}
	}, nil
}

// ownerNamed reads the ids of a list, which are numbers or names; nil if it has none.
func ownerNamed(uid, gid string) (*Owner, error) {
	if uid == "" {
		return nil, nil
	}
	u, err := strconv.Atoi(uid)
	if err != nil {
		account, err := user.Lookup(uid)
		if err != nil {
			return nil, err
		}
		u, _ = strconv.Atoi(account.Uid)
		if gid == "" {
			gid = account.Gid
		}
	}
	g, err := strconv.Atoi(gid)
	if err != nil && gid != "" {
		group, err := user.LookupGroup(gid)
		if err != nil {
			return nil, err
		}
		g, _ = strconv.Atoi(group.Gid)
	}
	return &Owner{u, g}, nil
}

func below(root, home string) string {
	if root == "" || home == "" {
		return home
	}
	return filepath.Join(root, home)
}
