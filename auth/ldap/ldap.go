// Package ldap is passdb and userdb ldap: accounts in a directory (RFC 4511), asked as Dovecot does.
//
//	Directory   the servers, as whom they are asked, the connections to them
//	PassDB      in one of three modes
//	UserDB      a search; users are listed by another
//
// A PassDB finds out whether a password is right in one of these ways:
//
//	Bind false             search Filter as the service; the password is a field of the entry and the chain compares it
//	Bind true              search Filter as the service, then bind as the entry that was found
//	Bind true and BindDN   bind as the name that the template gives; no search, so no fields
//
// An empty password is never sent: a server takes a bind with a name and no password for one without a name, which
// succeeds (RFC 4513 section 5.1.2). So it is with a password that has a NUL byte in it, which some read as its end.
//
// # Templates
//
// Base, filters and BindDN are templates. What variables give is escaped for them, so that no name can end the value
// it stands in: see escape. Fields are templates with these variables beside those of a request:
//
//	%{ldap:ATTRIBUTE}         its first value; attribute names are the same in upper and lower case
//	%{ldap_multi:ATTRIBUTE}   all values with tabs between them, of 2.4
//	%{ldap:dn}                the name of the entry; %{ldap_dn:} in 2.3
//	%{ldap:ATTRIBUTE@NAME}    of the entry whose name the field "@NAME" gives
//	%{ldap_ptr:ATTRIBUTE}     the value of the attribute whose name is the value of that one
//	%{…:ATTRIBUTE:TEXT}       the text where the entry has none, in 2.3; in 2.4 a filter does that
//
// An attribute that an entry has not leaves the field out in 2.3, and is a failure of the lookup in 2.4, where
// templates have the filter "default". Of several values the first counts, with a warning in the log, but for a
// userdb's gid, which gets all with commas between them, and for the listing, which gives them all.
// (2.3.19.1 and 2.4.4, src/auth/db-ldap.c, passdb-ldap.c, userdb-ldap.c; measured with 2.3.19.1.)
//
// # Connections
//
// Searches share one connection, on which many are under way at once. Users bind on others, so the service never has
// to bind again after them. Where no server can be reached each request fails at once until the pause is over; then
// the next one tries again. A request that was under way when its connection broke is sent once more on a new one.
// Several servers are asked in their order, and the first that answers is kept. Referrals are not followed (2.3.19.1
// ignores them, too): the entries must be in the server that is asked.
package ldap

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Options say what is searched for in a directory. A nil template is empty.
type Options struct {
	Directory *Directory
	Base      *variable.Template // of all searches
	Scope     string             // subtree, onelevel, base; "": subtree
	Deref     string             // never, searching, finding, always; "": never
	Filter    *variable.Template // finds one user
	Fields    []Field            // what a lookup gives, in their order; a later one replaces an earlier one
	Strict    bool               // a missing attribute is a failure, as in 2.4

	Bind   bool               // of a PassDB: passwords are verified by binding; a field "password" is left out
	BindDN *variable.Template // as whom, without a search

	IterateFilter *variable.Template // of a UserDB: finds all users
	IterateFields []Field            // those named "user" are the names

	Log *slog.Logger // warnings; nil: none
	// Debug: each search is logged, too, at level Debug.
	Debug bool
}

// Field is one field of a reply. A key "@NAME" gives the name of another entry, see the package; "!NAME" is none: its
// attribute is only asked for, since %{ldap_ptr:…} may lead to it.
type Field struct {
	Key       string             // may hold variables in 2.3: KeyFrom
	KeyFrom   *variable.Template // if not nil, the key
	Attribute string             // the field has the values of this attribute,
	Value     *variable.Template // or, where it is "", what the template gives
}

// database is what a PassDB and a UserDB have in common.
type database struct {
	Options
	scope, deref int
	attributes   []string // what a lookup asks for
	pointers     []pointer
}

// scopes and derefs are the words of the settings (RFC 4511 section 4.5.1).
var (
	scopes = map[string]int{"": ldap.ScopeWholeSubtree, "subtree": ldap.ScopeWholeSubtree, "onelevel": ldap.ScopeSingleLevel, "base": ldap.ScopeBaseObject}
	derefs = map[string]int{"": ldap.NeverDerefAliases, "never": ldap.NeverDerefAliases, "searching": ldap.DerefInSearching,
		"finding": ldap.DerefFindingBaseObj, "always": ldap.DerefAlways}
)

func newDatabase(o Options) (database, error) {
	d := database{Options: o}
	var ok [2]bool
	d.scope, ok[0] = scopes[strings.ToLower(o.Scope)]
	d.deref, ok[1] = derefs[strings.ToLower(o.Deref)]
	switch {
	case o.Directory == nil:
		return d, errors.New("No uris or hosts set")
	case o.Base == nil:
		return d, errors.New("No base given")
	case !ok[0]:
		return d, fmt.Errorf("Unknown scope option '%s': use subtree, onelevel or base", o.Scope)
	case !ok[1]:
		return d, fmt.Errorf("Unknown deref option '%s': use never, searching, finding or always", o.Deref)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.attributes, d.pointers = wanted(o.Fields)
	return d, checkFilter(o.Filter)
}

// Close ends the connections of the directory, for all databases that share it.
func (d *database) Close() error { return d.Directory.Close() }

// CacheKey gives the variables of everything that a lookup is made of.
func (d *database) CacheKey() []string {
	templates := []*variable.Template{d.Base, d.Filter, d.BindDN}
	for _, f := range d.Fields {
		templates = append(templates, f.Value, f.KeyFrom)
	}
	var keys []string
	for _, t := range templates {
		if t == nil {
			continue
		}
		for _, name := range t.Variables() {
			if _, of := ofEntry(name); !of && !slices.Contains(keys, name) {
				keys = append(keys, name)
			}
		}
	}
	return keys
}

// failure is a temporary failure with the words that the log has for it.
func failure(err error, format string, args ...any) error {
	return &auth.Refusal{Err: err, Text: fmt.Sprintf(format, args...), Level: slog.LevelError}
}
