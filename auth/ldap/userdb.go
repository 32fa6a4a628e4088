package ldap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"dovetail/auth"
)

// UserDB is userdb ldap. It always asks as the service.
type UserDB struct{ database }

// NewUserDB makes a userdb. Nothing is sent before the first lookup.
func NewUserDB(o Options) (*UserDB, error) {
	o.Bind, o.BindDN = false, nil
	d, err := newDatabase(o)
	if err != nil {
		return nil, err
	}
	if o.IterateFilter != nil {
		if err := checkFilter(o.IterateFilter); err != nil {
			return nil, err
		}
	}
	return &UserDB{d}, nil
}

// Find searches for the user.
func (u *UserDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	found, err := u.one(ctx, r)
	if err != nil {
		return nil, err
	}
	return (&reader{database: &u.database, entry: found, request: *r, joined: true}).fields(u.Fields)
}

// page is how many entries of a listing are asked for at once: servers give no more than so many to one search (500 is
// OpenLDAP's limit, 1000 Active Directory's), but any number of pages (RFC 2696).
const page = 500

// Users gives the names of all users, in the order of the server and each as often as it is there.
func (u *UserDB) Users(ctx context.Context, r *auth.Request) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		search, err := u.listing(r)
		if err != nil {
			yield("", err)
			return
		}
		paging := ldap.NewControlPaging(page)
		search.Controls = []ldap.Control{paging}
		for {
			result, err := u.Directory.search(ctx, search)
			if result != nil { // what a server gave before it reached a limit is there beside the error
				for _, e := range result.Entries {
					if !u.names(e, r, yield) {
						return
					}
				}
			}
			if err != nil {
				yield("", searchError(err, search))
				return
			}
			next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
			if !ok || len(next.Cookie) == 0 {
				return
			}
			paging.SetCookie(next.Cookie)
		}
	}
}

func (u *UserDB) listing(r *auth.Request) (*ldap.SearchRequest, error) {
	if u.IterateFilter == nil {
		return nil, errors.New("No iterate_filter given")
	}
	base, err := u.expand(r, "base", u.Base)
	if err != nil {
		return nil, err
	}
	filter, err := u.expand(r, "iterate_filter", u.IterateFilter)
	if err != nil {
		return nil, err
	}
	attributes, _ := wanted(u.IterateFields)
	return u.request(base, tidy(filter), attributes), nil
}

// names gives the names that one entry has. One without any is passed over, and so are fields with another name
// (2.3.19.1, userdb-ldap.c, userdb_ldap_iterate_callback).
func (u *UserDB) names(e *ldap.Entry, r *auth.Request, yield func(string, error) bool) bool {
	from := &reader{database: &u.database, entry: newEntry(e), request: *r}
	for _, f := range u.IterateFields {
		key, values, err := from.field(f)
		switch {
		case errors.Is(err, errMissing):
			continue
		case err != nil:
			return yield("", failure(err, "iterate: Failed to expand %s: %v", f.Key, err))
		case key != "user":
			u.Log.Warn("iterate: Ignoring field not named 'user': " + key)
			continue
		}
		for _, name := range values {
			if strings.ContainsAny(name, "\x00\t\r\n") {
				u.Log.Warn(fmt.Sprintf("iterate: Ignoring the name %q of %s: control characters", name, e.DN))
				continue
			}
			if !yield(name, nil) {
				return false
			}
		}
	}
	return true
}
