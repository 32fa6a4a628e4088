// Package accounts carries mail accounts between the lists of vpopmail, Courier and Dovecot.
//
// Every list is read into a List of Users and written from one. What a password is hashed with is never changed: hashes
// go over as they are, with the prefix that Dovecot needs. What Dovecot has no word for (vpopmail's flags, its own spelling
// of the quota, the hash beside a clear password) is kept in the passwd-file's shell column, which Dovecot does not look
// at, so that the way back gives the same list again: see note.
//
// Who may not use a service is written into lists of names, one for each service, because a passwd-file has no such
// field; names of domains go into a list from domain to domain. The configuration that makes Dovecot use them is written
// too: see Config. Each rule was tried with Dovecot 2.3.19.1.
//
// A run plans all files in memory, and Apply writes those that differ: a dry run is a plan that nobody applies. No error,
// remark or report holds a hash or a password.
package accounts

import (
	"strings"

	"dovetail/auth/passwdfile"
	"dovetail/auth/scheme"
	"dovetail/auth/vpopmail"
)

// Service is a set of services that an account may be kept from.
type Service uint8

// The services.
const (
	IMAP Service = 1 << iota
	POP3
	SMTP // sending with a password, at an MTA that asks Dovecot or at its submission service
	LMTP // getting mail
)

// serviceFlags says which flag of vpopmail keeps an account from a service.
var serviceFlags = []struct {
	service Service
	flag    vpopmail.Flags
}{
	{IMAP, vpopmail.NoIMAP}, {POP3, vpopmail.NoPOP}, {SMTP, vpopmail.NoSMTP}, {LMTP, vpopmail.BounceMail},
}

// User is one account, whatever list it comes from.
type User struct {
	Name     string // login name: "bob@example.com"
	Hash     string // as stored, with a {SCHEME} prefix or as crypt(3) gave it; "" when there is none
	Clear    string // "" when the password is not kept in clear text
	UID, GID string // numbers or names; "" when the list does not say
	Gecos    string
	Home     string
	Shell    string // of a passwd-file that was not written here
	Mail     string // mail location, when it is not the Maildir in Home
	Quota    vpopmail.Quota
	Deny     Service

	// Vpopmail is the account as vpopmail has it, nil for one that was never there; Limits are the flags of its domain.
	Vpopmail *vpopmail.Account
	Limits   vpopmail.Flags

	// Extra are the fields of a passwd-file that are not understood; they go into a passwd-file as they are.
	Extra []passwdfile.Field
}

// Local and Domain are the parts of the name; a name without "@" has no domain.
func (u User) Local() string { return u.Name[:len(u.Name)-len(u.atDomain())] }

// Domain is the part behind the last "@".
func (u User) Domain() string { return strings.TrimPrefix(u.atDomain(), "@") }

func (u User) atDomain() string {
	if i := strings.LastIndexByte(u.Name, '@'); i >= 0 {
		return u.Name[i:]
	}
	return ""
}

// password is what Dovecot is to compare with: the clear text where there is one, as vpopmail's own driver of Dovecot
// did (up to 2.3.12), or the hash first.
func (u User) password(preferHash bool) scheme.Scheme {
	hash := scheme.Tell(u.Hash)
	if clear, ok := scheme.Clear(u.Hash); ok && clear != "" {
		hash = scheme.Plain(clear) // in the spelling that every list can hold
	}
	if u.Clear == "" || preferHash && hash.Stored != "" {
		return hash
	}
	return scheme.Plain(u.Clear)
}

// Alias says that addresses at Name are those at Real.
type Alias struct{ Name, Real string }

// List is everything that one source says.
type List struct {
	Users   []User
	Aliases []Alias
	Remarks []Remark // about the source
}

func (l *List) remark(k Kind, user, what string) {
	l.Remarks = append(l.Remarks, Remark{Kind: k, User: user, What: what})
}
