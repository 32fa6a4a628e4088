package auth

import (
	"errors"
	"fmt"
	"strings"

	"dovetail/formats/conf/variable"
)

// Bounds on what clients send; both are far above what anybody types and keep hashing and logging cheap.
const (
	maxName     = 1024
	maxPassword = 64 << 10 // tokens are passwords, too
	maxHashed   = 4096     // of a password that is to be hashed: some schemes hash it thousands of times
)

// naming is how the name that a client sent becomes the one that is looked up. In Dovecot's order
// (2.3.19, src/auth/auth-request-fields.c auth_request_fix_username):
//
//  1. without "@" it gets "@" and the default realm
//  2. each byte is translated
//  3. each byte must be allowed
//  4. the format is expanded with it as %u
type naming struct {
	realm     string
	translate [256]byte // 0: stays
	allowed   [256]bool
	any       bool // no list of allowed bytes
	format    *variable.Template
}

func newNaming(o *Options) (naming, error) {
	n := naming{realm: o.DefaultRealm, any: o.Chars == "", format: o.Format}
	for i := 0; i+1 < len(o.Translation); i += 2 {
		n.translate[o.Translation[i]] = o.Translation[i+1]
	}
	for i := range len(o.Chars) {
		n.allowed[o.Chars[i]] = true
	}
	if o.Format != nil {
		// What is not known at all is a mistake in the configuration and not in each login.
		if _, err := o.Format.Expand((&Request{User: "user"}).Variable); errors.Is(err, variable.ErrUnknown) {
			return n, fmt.Errorf("auth_username_format: %w", err)
		}
	}
	return n, nil
}

// normalise gives the name to be looked up. r is the rest of the request, for the format.
func (n *naming) normalise(r Request, sent string) (string, error) {
	if len(sent) > maxName {
		return "", fmt.Errorf("Username is longer than %d bytes", maxName)
	}
	user := sent
	if n.realm != "" && !strings.Contains(user, "@") {
		user += "@" + n.realm
	}
	b := []byte(user)
	for i, c := range b {
		if to := n.translate[c]; to != 0 {
			c = to
			b[i] = c
		}
		switch {
		case !n.any && !n.allowed[c]:
			return "", fmt.Errorf("Username character disallowed by auth_username_chars: 0x%02x (username: %s)", c, sanitize(sent, 128))
		case c < ' ' || c == 0x7f:
			return "", fmt.Errorf("Username character disallowed: 0x%02x (username: %s)", c, sanitize(sent, 128))
		}
	}
	user = string(b)
	if n.format != nil {
		r.User = user
		var err error
		if user, err = r.Expand(n.format); err != nil {
			return "", fmt.Errorf("Failed to expand username_format: %w", err)
		}
	}
	if user == "" {
		return "", errors.New("Empty username")
	}
	// Homes are made of names; one that climbs out of them is nobody's.
	for _, part := range strings.FieldsFunc(user, func(c rune) bool { return c == '/' || c == '@' }) {
		if part == ".." {
			return "", fmt.Errorf("Username has the part \"..\" (username: %s)", sanitize(sent, 128))
		}
	}
	return user, nil
}

// setName takes the name that the mechanism gives; original stays what it was if this is not the first one.
func (a *attempt) setName(sent string) error {
	login, hasLogin := "", false
	if sep := a.s.o.MasterSeparator; sep != "" && !a.userLookup {
		if i := strings.IndexByte(sent, sep[0]); i >= 0 {
			login, sent, hasLogin = sent[:i], sent[i+1:], true
		}
	}
	if !a.named {
		a.named, a.original, a.r.Requested = true, sent, sent
	}
	if a.s.o.UsernameFromCert && a.r.CertUser != "" {
		sent = a.r.CertUser
	}
	a.r.User = ""
	user, err := a.s.names.normalise(a.r, sent)
	if err != nil {
		return err
	}
	a.r.User, a.translated = user, user
	if hasLogin {
		return a.setLogin(login)
	}
	return nil
}

// setLogin takes the name of who is to be logged in by the one whose name is set, who must be a master user unless it
// is the same.
func (a *attempt) setLogin(login string) error {
	if login == "" {
		return errors.New("Master user login attempted to use empty login username")
	}
	if login == a.r.User {
		return nil
	}
	if len(a.s.masters) == 0 {
		return errors.New("Master user login attempted without master passdbs")
	}
	user, err := a.s.names.normalise(a.r, login)
	if err != nil {
		return err
	}
	a.chain, a.at, a.r.LoginUser = a.s.masters, 0, user
	return nil
}

// renamed is what becomes of a name when a database gives one of the fields user, username and domain. ok is false
// for other fields.
func renamed(user, key, value string) (changed string, ok bool) {
	name, _, hasDomain := strings.Cut(user, "@")
	switch key {
	case "user":
		return value, true
	case "username":
		if hasDomain && !strings.Contains(value, "@") {
			return value + user[len(name):], true
		}
		return value, true
	case "domain":
		return name + "@" + value, true
	}
	return "", false
}

// sanitize makes a client's text fit for one line of the log (Dovecot's str_sanitize): bytes that are no text become
// "?", and it ends after so many bytes.
func sanitize(text string, most int) string {
	cut := len(text) > most
	if cut {
		text = text[:most]
	}
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\ufffd' || c >= 0x80 && c < 0xa0 {
			return '?'
		}
		return c
	}, text)
	if cut {
		text += "..."
	}
	return text
}
