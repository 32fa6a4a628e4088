package auth

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// keeper checks passwords and gives none away.
type keeper struct{ knows bool }

func (k keeper) Find(context.Context, *Request) (Fields, error) {
	if k.knows {
		return Fields{{"home", "/h"}}, nil
	}
	return nil, ErrNoFind
}

func (keeper) Verify(context.Context, *Request, string) (Fields, error) { return nil, ErrMismatch }

func TestWhatIsStored(t *testing.T) {
	list := accounts(map[string]Fields{
		"ann": {{"password", "$6$salt$hash"}}, "bob": {{"password", "{PLAIN}x"}}, "cy": {{"password", "!"}}, "dan": {{"home", "/h"}},
		"eve": {{"nopassword", ""}, {"password", ""}}, "old": {{"password", "{LDAP-MD5}rL0Y20zC+Fzt72VPzMSk2A=="}}, "odd": {{"password", "{NOSUCH}x"}},
	})
	down := accounts(nil)
	down.down.Store(true)
	one := PassEntry{Driver: "list", DB: list, Scheme: "CRYPT", ImportAll: true}
	for _, tc := range []struct {
		user  string
		chain []PassEntry
		want  string
	}{
		{"ann", []PassEntry{one}, "list SHA512-CRYPT:5000 false "},
		{"ANN", []PassEntry{one}, ""},
		{"bob", []PassEntry{one, one}, "list (1) PLAIN true ; list (2) PLAIN true "},
		{"cy", []PassEntry{one}, "list LOCKED false locked: no password is right"},
		{"dan", []PassEntry{one}, "list  false no password"},
		{"eve", []PassEntry{one}, "list any true "},
		{"old", []PassEntry{one}, "list PLAIN-MD5 true refused as a weak scheme, unless auth_allow_weak_schemes is set"},
		{"odd", []PassEntry{one}, "list NOSUCH false Unknown scheme"},
		{"bob", []PassEntry{{Driver: "no", DB: list, Deny: true, ImportAll: true}, one}, "no PLAIN true refused by this passdb, which is a deny list; list PLAIN true "},
		{"bob", []PassEntry{{Driver: "boss", DB: list, Master: true, ImportAll: true}, one}, "list PLAIN true "},
		{"bob", []PassEntry{{Driver: "few", DB: list, UsernameFilter: []string{"a*"}, ImportAll: true}, one}, "list PLAIN true "},
		{"bob", []PassEntry{{Driver: "pam", DB: keeper{}}, {Driver: "ldap", DB: keeper{true}}}, "pam elsewhere false ; ldap elsewhere false "},
		{"bob", []PassEntry{{Driver: "sql", DB: &listed{users: list.users, key: []string{"u", "w"}}}}, "sql elsewhere false "},
		{"b\x01b", []PassEntry{one}, "unknown user"},
		{"bob", []PassEntry{one, {Driver: "down", DB: down}}, "temporary failure"},
	} {
		s, log := must(t, Options{}, tc.chain, nil)
		holdings, err := s.Stored(context.Background(), Request{Service: "doveadm"}, tc.user)
		got := ""
		for i, h := range holdings {
			if i > 0 {
				got += "; "
			}
			kind := h.Kind.String()
			switch {
			case h.Elsewhere:
				kind = "elsewhere"
			case h.Any:
				kind = "any"
			}
			got += fmt.Sprint(h.Database, " ", kind, " ", h.Weak, " ", h.Why)
		}
		if err != nil {
			got = err.Error()
		}
		if got != tc.want || err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrTemporary) {
			t.Errorf("%q: got  %s\nwant %s\n%s", tc.user, got, tc.want, log)
		}
	}
}
