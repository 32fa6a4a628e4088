package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// expand fills in a template whose values are escaped. what names the setting.
func (d *database) expand(r *auth.Request, what string, t *variable.Template) (string, error) {
	text, err := r.ExpandEscaped(t, escape)
	if err != nil {
		return "", failure(err, "Failed to expand %s: %v", what, err)
	}
	if len(text) > maxExpanded {
		return "", &auth.Refusal{Err: auth.ErrUnknown, Text: fmt.Sprintf("unknown user: with that name %s has %d bytes", what, len(text)), Level: slog.LevelInfo}
	}
	return text, nil
}

// request is a search with the scope and the rest of the options. Without attributes it asks for none (RFC 4511
// section 4.5.1.8).
func (d *database) request(base, filter string, attributes []string) *ldap.SearchRequest {
	if len(attributes) == 0 {
		attributes = []string{"1.1"}
	}
	return &ldap.SearchRequest{BaseDN: base, Scope: d.scope, DerefAliases: d.deref, Filter: filter, Attributes: attributes}
}

// errSeveral is why a search that must find one entry found none.
var errSeveral = errors.New("several entries")

// one searches for the user's entry and for those that it points to. No entry, and a base that is not there, are
// ErrUnknown.
func (d *database) one(ctx context.Context, r *auth.Request) (*entry, error) {
	base, err := d.expand(r, "base", d.Base)
	if err != nil {
		return nil, err
	}
	filter, err := d.expand(r, "filter", d.Filter)
	if err != nil {
		return nil, err
	}
	search := d.request(base, tidy(filter), d.attributes)
	search.SizeLimit = 2 // more than one is too many, however many there are
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		d.Log.Debug(fmt.Sprintf("ldap(%s): search: base=%s scope=%s filter=%s fields=%s", r.User, base, cmp.Or(d.Scope, "subtree"), search.Filter,
			strings.Join(search.Attributes, ",")))
	}
	result, err := d.Directory.search(ctx, search)
	switch code, _ := answer(err); {
	case result != nil && len(result.Entries) > 1:
		return nil, failure(errSeveral, "LDAP search returned multiple entries")
	case code == ldap.LDAPResultNoSuchObject:
		return nil, auth.ErrUnknown
	case err != nil:
		return nil, searchError(err, search)
	case len(result.Entries) == 0:
		return nil, auth.ErrUnknown
	}
	found := newEntry(result.Entries[0])
	return found, d.follow(ctx, r, found)
}

// follow fetches the entries that fields "@NAME" name; a field without a value points nowhere.
func (d *database) follow(ctx context.Context, r *auth.Request, found *entry) error {
	for _, p := range d.pointers {
		from := &reader{database: d, entry: found, request: *r}
		_, values, err := from.field(p.value)
		if errors.Is(err, errMissing) || err == nil && values[0] == "" {
			continue
		}
		if err != nil {
			return failure(err, "Failed to expand @%s: %v", p.name, err)
		}
		if len(values) > 1 {
			from.several("@"+p.name, values[0])
		}
		search := &ldap.SearchRequest{BaseDN: values[0], Scope: ldap.ScopeBaseObject, DerefAliases: d.deref, Filter: "(objectClass=*)", Attributes: p.attributes}
		result, err := d.Directory.search(ctx, search)
		if code, _ := answer(err); code == ldap.LDAPResultNoSuchObject {
			continue
		}
		if err != nil {
			return searchError(err, search)
		}
		for _, e := range result.Entries {
			found.add(e, "@"+p.name)
		}
	}
	return nil
}

// find gives fields and name of the user's entry. Of one that gets another password only the name is of interest.
func (p *PassDB) find(ctx context.Context, r *auth.Request, nameOnly bool) (auth.Fields, string, error) {
	found, err := p.one(ctx, r)
	if err != nil || nameOnly {
		if found != nil {
			return nil, found.dn, err
		}
		return nil, "", err
	}
	fields, err := (&reader{database: &p.database, entry: found, request: *r}).fields(p.Fields)
	return fields, found.dn, err
}

// searchError has the words of 2.3.19.1 for a search that failed (db-ldap.c, db_ldap_handle_request_result).
func searchError(err error, s *ldap.SearchRequest) error {
	if _, ok := answer(err); !ok {
		return err
	}
	return failure(err, "ldap_search(base=%s filter=%s) failed: %s", s.BaseDN, s.Filter, reason(err))
}

// reason is what OpenLDAP's library calls a result; the server's own words may follow.
func reason(err error) string {
	var result *ldap.Error
	if !errors.As(err, &result) {
		return err.Error()
	}
	text, known := ldap.LDAPResultCodeMap[result.ResultCode]
	switch {
	case result.ResultCode == ldap.LDAPResultInvalidCredentials:
		text = "Invalid credentials" // spelled so in the log of 2.3.19.1
	case !known:
		text = fmt.Sprintf("result %d", result.ResultCode)
	}
	if result.Err != nil && result.Err.Error() != "" {
		text += ", " + result.Err.Error()
	}
	return text
}
