package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// attempt is one login or lookup on its way through the chains. It belongs to one goroutine at a time.
type attempt struct {
	s *Service
	r Request

	named      bool   // a name was given
	original   string // the name as the mechanism gave it; DIGEST-MD5 hashes with it
	translated string // the name after normalisation, for keys of the cache: later renaming does not change it
	chain      []*passdb
	at         int
	asked      int // answers of passdbs so far

	// of the chain of passdbs
	verified     bool // the password was right: later databases are asked for fields only
	success      bool // so far
	seenInternal bool
	seenUnknown  bool
	refused      bool // something in the fields of the current database refuses
	password     stored
	credentials  stored // of an earlier database, for challenge mechanisms
	kept         struct {
		pass, found Fields
		prefetch    bool
	}
	prefetch   bool // a passdb gave userdb_ fields
	noDelay    bool // a passdb gave nodelay, whatever its answer was
	delayUntil time.Time
	reason     string // that a database gave beside its refusal

	// of the chain of userdbs
	userLookup   bool // it runs
	found        bool
	tempFailed   bool
	changed      bool // the last database has changed the name
	started      bool // the first userdb's default fields are set
	warnedSystem bool
	finished     bool // a login that has succeeded

	result          result
	policyRefused   bool
	policyProcessed bool
	policyReason    string
}

// stored is a password as a database has it.
type stored struct {
	text   string // "{SCHEME}value"
	known  bool
	scheme string
}

// result is what one database, or the chain, says.
type result int

const (
	isOK result = iota
	isUnknown
	isMismatch
	isDisabled
	isExpired
	isNext     // fields only, the next database decides (noauthenticate)
	isInternal // the database does not answer
	isNoScheme // what is stored does not serve the mechanism
)

// identifier is what stands in brackets at the beginning of a line about this request: name, address, session.
func (a *attempt) identifier() string {
	var b strings.Builder
	if a.r.User == "" {
		b.WriteString("?")
	} else {
		b.WriteString(sanitize(a.r.User, 64))
	}
	if addr := ip(a.r.Remote); addr != "" {
		b.WriteString("," + addr)
	}
	if a.r.LoginUser != "" {
		b.WriteString(",master")
	}
	if a.r.Session != "" {
		b.WriteString(",<" + a.r.Session + ">")
	}
	return b.String()
}

// logf writes a line as Dovecot does: who speaks (a database, a mechanism), of whom, what.
func (a *attempt) logf(level slog.Level, subsystem, format string, args ...any) {
	switch {
	case level == slog.LevelDebug && !a.s.o.Debug, level == slog.LevelInfo && !a.s.o.Verbose && !a.s.o.Debug:
		return
	}
	a.s.log.Log(context.Background(), level, subsystem+"("+a.identifier()+"): "+fmt.Sprintf(format, args...))
}

// speaker names the part of the service that has to say something beside the databases.
func (a *attempt) speaker() string {
	if a.r.Mechanism == "" {
		return "none"
	}
	return strings.ToLower(a.r.Mechanism)
}
