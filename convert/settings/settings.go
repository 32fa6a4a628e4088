// Package settings turns the settings of Courier-IMAP into a configuration of Dovecot 2.3 with which clients notice no
// change of server: the same folder names, ports, certificates, limits, login names and expiry of old mail.
//
// Read takes Courier's directory (often /etc/courier or /usr/lib/courier-imap/etc), Convert makes the configuration:
//
//	imapd imapd-ssl pop3d pop3d-ssl authdaemonrc        shell fragments (package conf); one beside it that ends in
//	                                                    .dist is sysconftool's copy of the defaults and not read
//	authmysqlrc authpgsqlrc authsqliterc authldaprc     fields
//	imapaccess imapaccess/*                             networks allowed and denied
//	shared/index userdb                                 only looked at: whether they are in use
//
// Nothing in these files is run. A file that is missing is like one that sets nothing.
//
// Each setting found has one fate: carried (to which settings), not needed (why) or not carried (why). The rules are the
// tables in rules.go; a name that is not in them is reported as not carried. The passwords that Courier keeps for its
// databases go into files of mode 0600 and into no report.
//
// Two pairs of files are read by two daemons each, in an order that matters (start scripts of courier-imap 4.18 and 5.0):
// what a daemon has in its environment comes from imapd, then imapd-ssl; the arguments of the plain daemon (ADDRESS,
// PORT, MAXDAEMONS and so on) from imapd-ssl, then imapd; those of the TLS daemon from imapd, then imapd-ssl.
package settings

import "slices"

// Fate is what becomes of a setting.
type Fate string

// The fates. The zero value is that of a setting no rule has looked at yet.
const (
	Carried    Fate = "carried"
	NotNeeded  Fate = "not needed"
	NotCarried Fate = "not carried"
)

// Setting is one assignment in Courier's files and what became of it.
type Setting struct {
	File  string   `json:"file"` // relative to the directory
	Line  int      `json:"line"`
	Name  string   `json:"name"`
	Value string   `json:"value,omitempty"` // as the shell sees it; never that of a password
	Fate  Fate     `json:"fate"`
	To    []string `json:"to,omitempty"` // settings of Dovecot
	Why   string   `json:"why,omitempty"`

	secret  bool
	unknown string
}

// Problem is something in a file that was not understood, or a file that could not be read.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
}

// File is one file of the new configuration.
type File struct {
	Name   string // dovecot.conf or, for a database, dovecot-*.conf.ext
	Text   []byte
	Secret bool // holds a password: mode 0600
}

// Result is the new configuration and the account of how it came about.
type Result struct {
	Files    []File // dovecot.conf first
	Settings []*Setting
	Problems []Problem
	Hints    []string // what has to be done or known besides
}

// Complete tells whether everything was carried or is not needed.
func (r *Result) Complete() bool {
	for _, s := range r.Settings {
		if s.Fate == NotCarried {
			return false
		}
	}
	return len(r.Problems) == 0
}

// become records a fate. A setting that several rules look at keeps the worst of its fates.
func (s *Setting) become(fate Fate, to, why string) {
	rank := map[Fate]int{"": 0, NotNeeded: 1, Carried: 2, NotCarried: 3}
	if to != "" && !slices.Contains(s.To, to) {
		s.To = append(s.To, to)
	}
	switch {
	case rank[fate] > rank[s.Fate]:
		s.Fate, s.Why = fate, why
	case fate == s.Fate && s.Why == "":
		s.Why = why
	}
}
