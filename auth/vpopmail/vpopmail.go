// Package vpopmail reads and writes the accounts of vpopmail (5.4 line) from its files and MySQL tables, without its
// library.
//
// qmail's /var/qmail/users/assign names the domains (read by qmail from its compiled form users/cdb):
//
//	+example.com-:example.com:89:89:/home/vpopmail/domains/example.com:-::     domain, real domain, uid, gid, folder
//	+example.org-:example.com:89:89:/home/vpopmail/domains/example.com:-::     the names differ: an alias domain
//	.                                                                          end
//
// In the domain's folder, vpasswd has a line for each account:
//
//	name:crypt:uid:gidflags:gecos:dir:quota[:clear]
//
// uid is 1, or 2 for APOP; gidflags are Flags. Neither is an id of the system: those are the domain's, from assign. dir
// is where the account's Maildir lies and is never to be put together from the name, because domains are hashed; it may
// be empty, and is then made at the first login. Everything behind the seventh colon is the password in clear text, which
// may hold colons. vpasswd.cdb is the compiled form, key the name and data the rest of the line: logins are checked
// against it, and vpopmail makes it anew from vpasswd after each change, or when it is missing. Writers lock .vpasswd.lock
// (fcntl). .qmailadmin-limits holds what is switched off for the whole domain: see Limits.
//
// Files are opened as package listfile opens them.
package vpopmail

import "dovetail/auth/listfile"

// Domain is one line of users/assign.
type Domain struct {
	Name     string // as in addresses, lower case
	Real     string // whose accounts these are: differs from Name for an alias domain
	UID, GID int    // who owns the mail
	Dir      string // the domain's folder, as written
}

// Alias tells whether the domain is another name for Real.
func (d Domain) Alias() bool { return d.Name != d.Real }

// Account is one mail user.
type Account struct {
	Name   string // local part
	Domain string // the real domain
	Hash   string // crypt(3); "" when there is none
	Clear  string // the password itself; "" when it is not kept
	PwUID  int    // 1, or 2 for APOP
	Flags  Flags  // as stored: the domain's Limits are not in it
	Gecos  string // the user's name
	Dir    string // home; Maildir lies in it. "": made at the first login
	Quota  string // as stored: see ParseQuota
}

// Address is the login name: "name@domain".
func (a Account) Address() string { return a.Name + "@" + a.Domain }

// Flags is the third number of an account, called gid there.
type Flags uint32

// The flags, named as in vpopmail.h of the 5.4 line.
const (
	NoPasswordChange Flags = 1 << iota
	NoPOP
	NoWebmail
	NoIMAP
	BounceMail
	NoRelay
	NoDialup
	User0
	User1
	User2
	User3
	NoSMTP
	QAAdmin
	Override // the domain's Limits do not apply
	NoSpamAssassin
	DeleteSpam
	SAAdmin
	SAExpert
	NoMaildrop
)

// APOP is the PwUID of an account whose password is kept for APOP.
const APOP = 2

// Effective gives the flags that a login obeys: the account's and those of the domain's limits.
func (f Flags) Effective(domain Limits) Flags {
	if f&Override != 0 {
		return f
	}
	return f | domain.Flags
}

// Problem is what is wrong with one account or one list while the rest can be used.
type Problem = listfile.Problem
