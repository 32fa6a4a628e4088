package accounts

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"dovetail/auth/passwdfile"
	"dovetail/auth/scheme"
	"dovetail/auth/vpopmail"
)

// newEntry writes a user as a line of a passwd-file, and the scheme of its password.
func newEntry(u User, preferHash bool) (passwdfile.Entry, scheme.Scheme, error) {
	s := u.password(preferHash)
	e := passwdfile.Entry{Name: u.Name, Password: s.Stored, UID: u.UID, GID: u.GID, Gecos: gecos(u.Gecos), Home: u.Home}
	e.Shell = cmp.Or(newNote(u, s.Stored), u.Shell)
	if rule := quotaRule(u.Quota); rule != "" {
		e.Extra = append(e.Extra, passwdfile.Field{Key: "userdb_quota_rule", Value: rule})
	}
	if strings.Contains(u.Home, ":") { // the column cannot hold it, the field of the userdb can
		e.Home = ""
		e.Extra = append(e.Extra, passwdfile.Field{Key: "userdb_home", Value: passwdfile.Literal(u.Home)})
	}
	if u.Mail != "" {
		e.Extra = append(e.Extra, passwdfile.Field{Key: "userdb_mail", Value: passwdfile.Literal(u.Mail)})
	}
	e.Extra = append(e.Extra, u.Extra...)
	_, err := e.Append(nil)
	return e, s, err
}

// gecos is escaped where the column could not hold it: Dovecot does not look at it.
func gecos(s string) string {
	if strings.ContainsAny(s, ":%\r\n\x00") {
		return "%" + escape(s)
	}
	return s
}

func readGecos(s string) string {
	if rest, escaped := strings.CutPrefix(s, "%"); escaped {
		return unescape(rest)
	}
	return s
}

// quotaRule writes a quota for Dovecot's quota plugin; "" for none.
func quotaRule(q vpopmail.Quota) string {
	rule := ""
	if q.Bytes > 0 {
		rule += ":bytes=" + strconv.FormatInt(q.Bytes, 10)
	}
	if q.Messages > 0 {
		rule += ":messages=" + strconv.FormatInt(q.Messages, 10)
	}
	if rule == "" {
		return ""
	}
	return "*" + rule
}

// parseQuotaRule reads "*:bytes=…", "*:storage=…" (kilobytes without a unit) and "*:messages=…"; false for rules that
// vpopmail has no word for.
func parseQuotaRule(rule string) (q vpopmail.Quota, ok bool) {
	parts := strings.Split(rule, ":")
	if parts[0] != "*" || len(parts) < 2 {
		return q, false
	}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		unit := int64(1)
		switch digits := strings.TrimRight(value, "bBkKMG"); strings.ToUpper(value[len(digits):]) {
		case "":
			if key == "storage" {
				unit = 1 << 10
			}
		case "K":
			unit = 1 << 10
		case "M":
			unit = 1 << 20
		case "G":
			unit = 1 << 30
		}
		n, err := strconv.ParseInt(strings.TrimRight(value, "bBkKMG"), 10, 64)
		switch {
		case err != nil || n < 0 || n > 1<<62/unit:
			return q, false
		case key == "messages":
			q.Messages = n
		case key == "bytes" || key == "storage":
			q.Bytes = n * unit
		default:
			return q, false
		}
	}
	return q, true
}

// readEntry is newEntry's other direction. deny is what the lists of services say of the user. The words are what of
// the entry cannot be understood.
func readEntry(e passwdfile.Entry, deny Service) (u User, words []string) {
	u = User{Name: e.Name, UID: e.UID, GID: e.GID, Gecos: readGecos(e.Gecos), Home: e.Home, Deny: deny}
	if clear, ok := scheme.Clear(e.Password); ok {
		u.Clear = clear
	} else {
		u.Hash = e.Password
	}
	for _, f := range e.Extra {
		value, literal := f.Literal()
		switch quota, isQuota := parseQuotaRule(value); {
		case f.Key == "userdb_quota_rule" && isQuota:
			u.Quota = quota
		case f.Key == "userdb_home" && literal:
			u.Home = value
		case f.Key == "userdb_mail" && literal:
			u.Mail = value
		default:
			u.Extra = append(u.Extra, f)
			words = append(words, f.Key)
		}
	}
	if n := readNote(e.Shell); n != nil {
		n.apply(&u)
	} else {
		u.Shell = e.Shell
	}
	return u, words
}

// apply gives the user what the note keeps, as far as it is still true.
func (n *note) apply(u *User) {
	a := n.account
	a.Name, a.Domain, a.Gecos, a.Dir, a.Clear = u.Local(), u.Domain(), u.Gecos, u.Home, u.Clear
	switch noted := a.Hash; {
	case noted != "" && (u.Hash == "" || u.Hash == noted) && n.check == checkSum(noted, u.Clear):
		u.Hash = noted
	case u.Hash != "": // as Dovecot has it now
		a.Hash = bareCrypt(u.Hash)
		if a.Hash != "" {
			u.Hash = a.Hash
		}
	default:
		a.Hash = "" // the password has been changed since
	}
	if quota, _ := vpopmail.ParseQuota(a.Quota); quota != u.Quota {
		a.Quota = u.Quota.String()
	}
	if deniedBy(a.Flags.Effective(vpopmail.Limits{Flags: n.limits})) != u.Deny {
		a.Flags = withDenied(a.Flags, u.Deny)
	}
	u.Vpopmail, u.Limits = &a, n.limits
}

// deniedBy gives the services that vpopmail's flags keep an account from.
func deniedBy(f vpopmail.Flags) (s Service) {
	for _, x := range serviceFlags {
		if f&x.flag != 0 {
			s |= x.service
		}
	}
	return s
}

// withDenied makes the flags say of the services what s says.
func withDenied(f vpopmail.Flags, s Service) vpopmail.Flags {
	for _, x := range serviceFlags {
		f &^= x.flag
		if s&x.service != 0 {
			f |= x.flag
		}
	}
	return f
}

var errNoHash = errors.New("no hash that vpopmail could check: it needs a new password there")

// newAccount is the user as an account of vpopmail. With errNoHash it is all the same what vpopmail can have of it.
func newAccount(u User) (vpopmail.Account, error) {
	a := vpopmail.Account{Name: u.Local(), Domain: u.Domain(), Gecos: u.Gecos, Dir: u.Home, Clear: u.Clear, PwUID: 1}
	if u.Vpopmail != nil {
		a = *u.Vpopmail
		a.Name, a.Domain = u.Local(), u.Domain()
	} else {
		a.Flags, a.Quota = withDenied(0, u.Deny), u.Quota.String()
		a.Hash = bareCrypt(u.Hash)
	}
	if a.Hash == "" && (u.Hash != "" || u.Clear != "") {
		return a, errNoHash
	}
	return a, nil
}

// bareCrypt gives the hash without a prefix when crypt(3) can check it; else "".
func bareCrypt(hash string) string {
	name, value, ok := scheme.Split(hash)
	if ok && !strings.HasSuffix(name, "CRYPT") && name != "MD5" {
		return ""
	}
	if s := scheme.Tell(value); !strings.HasPrefix(s.Stored, "{CRYPT}") {
		return ""
	}
	return value
}
