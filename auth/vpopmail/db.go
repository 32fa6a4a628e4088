package vpopmail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// PassDB are a site's accounts as a database of passwords, with the rules of Dovecot's driver (removed from it in
// 2.3.13; src/auth/passdb-vpopmail.c before that).
type PassDB struct {
	Site    *Site
	Webmail netip.Addr // the webmail's address; zero: there is none
	Key     []string   // for the cache; nil: nothing is kept
}

// CacheKey gives what cache_key named.
func (p *PassDB) CacheKey() []string { return p.Key }

// Close closes the site.
func (p *PassDB) Close() error { return p.Site.Close() }

// Find gives the field password: the one in clear if the account has one, else what crypt gave, which may have a scheme
// before it. An account that may not use the protocol is refused with auth.ErrDisabled.
func (p *PassDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	a, _, err := p.Site.Find(ctx, r.User)
	if err != nil {
		return nil, unknown(err)
	}
	if p.disabled(a.Flags, r) {
		return nil, &auth.Refusal{Err: auth.ErrDisabled, Text: r.Service + " disabled in vpopmail for this user", Level: slog.LevelInfo}
	}
	if a.Clear != "" {
		return auth.Fields{{Key: "password", Value: "{CLEARTEXT}" + a.Clear}}, nil
	}
	return auth.Fields{{Key: "password", Value: a.Hash}}, nil
}

// disabled tells whether the flags keep an account out of a protocol. To webmail IMAP is what NoWebmail says, and to
// others what NoIMAP says.
func (p *PassDB) disabled(f Flags, r *auth.Request) bool {
	webmail := p.Webmail.IsValid() && r.Remote.IsValid() && p.Webmail.Unmap() == r.Remote.Addr().Unmap()
	switch strings.ToLower(r.Service) {
	case "imap":
		return f&NoIMAP != 0 && !webmail || f&NoWebmail != 0 && webmail
	case "pop3":
		return f&NoPOP != 0
	case "smtp", "submission":
		return f&NoSMTP != 0
	}
	return false
}

func unknown(err error) error {
	if errors.Is(err, ErrNoAccount) {
		return auth.ErrUnknown
	}
	return err
}

// UserDB are a site's accounts as a database of users.
type UserDB struct {
	Site       *Site
	QuotaField string             // "" for none
	Quota      *variable.Template // what it is worth; %q is the account's quota as Courier writes it: 10485760S,1000C
	Key        []string
}

// CacheKey gives what cache_key named.
func (u *UserDB) CacheKey() []string { return u.Key }

// Close closes the site.
func (u *UserDB) Close() error { return u.Site.Close() }

// Find gives uid and gid of the domain, the home, which is made if the account has none yet, and the field of the quota.
// Where it is part of a login that is written down, as vpopmail does.
func (u *UserDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	a, d, err := u.Site.Find(ctx, r.User)
	if err != nil {
		return nil, unknown(err)
	}
	if a.Dir == "" {
		if a.Dir, err = u.Site.makeHome(ctx, a, d); err != nil {
			return nil, fmt.Errorf("%s has no folder yet, and it cannot be made: %w", a.Address(), err)
		}
		u.Site.Log.Info("vpopmail(" + a.Address() + "): pw_dir isn't set, creating")
	}
	if r.Mechanism != "" {
		u.Site.lastAuth(ctx, a, d, r.Service)
	}
	fields := auth.Fields{{Key: "uid", Value: strconv.Itoa(d.UID)}, {Key: "gid", Value: strconv.Itoa(d.GID)}, {Key: "home", Value: a.Dir}}
	quota, ok := ParseQuota(a.Quota)
	if !ok {
		u.Site.Log.Warn("vpopmail(" + a.Address() + "): a quota that cannot be read counts as none")
	}
	if u.QuotaField == "" || quota == (Quota{}) {
		return fields, nil
	}
	value, err := u.Quota.Expand(func(name string) (string, error) {
		if name == "q" || name == "quota" {
			return quota.String(), nil
		}
		return "", variable.ErrUnknown
	})
	if err != nil {
		return nil, err
	}
	return fields.Set(u.QuotaField, value), nil
}

// Users gives the addresses of all accounts, domain after domain in the order of users/assign, without alias domains.
func (u *UserDB) Users(ctx context.Context, _ *auth.Request) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		domains, _, err := ReadAssign(u.Site.Assign)
		if err != nil {
			yield("", err)
			return
		}
		for _, d := range domains {
			if d.Alias() {
				continue
			}
			for a, err := range u.Site.accounts(ctx, d) {
				if _, ok := errors.AsType[Problem](err); ok {
					u.Site.Log.Warn("vpopmail: " + err.Error())
					continue
				}
				if !yield(a.Address(), err) || err != nil {
					return
				}
			}
		}
	}
}

// accounts are a domain's, wherever they are kept.
func (s *Site) accounts(ctx context.Context, d Domain) iter.Seq2[Account, error] {
	for _, name := range []string{"vpasswd.cdb", "vpasswd"} {
		if _, err := os.Lstat(filepath.Join(d.Dir, name)); err == nil {
			return Accounts(d)
		}
	}
	return func(yield func(Account, error) bool) {
		t, err := s.open(ctx)
		if err != nil {
			yield(Account{}, err)
			return
		}
		if t == nil {
			return // a domain without accounts
		}
		t.Accounts(ctx, d.Real)(yield)
	}
}
