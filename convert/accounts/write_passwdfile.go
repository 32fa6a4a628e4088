package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"dovetail/auth/passwdfile"
	"dovetail/auth/scheme"
	"dovetail/auth/vpopmail"
)

// defaultUsernameChars are those that Dovecot lets into its databases unless auth_username_chars says otherwise.
const defaultUsernameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@"

// passwdFile plans the file, the lists beside it and the configuration that uses them. The file with the passwords is
// written last but for the configuration: nobody gets in whom a list is to keep out.
func (p *Plan) passwdFile(ctx context.Context, l *List, dst Place, o Options) error {
	path, err := filepath.Abs(dst.Path)
	if err != nil {
		return err
	}
	if err := othersInPasswdFile(ctx, path, l, o); err != nil {
		return err
	}
	var main []byte
	var schemes []scheme.Scheme
	var carried []User
	for _, u := range l.Users {
		e, s, err := newEntry(u, o.PreferHash)
		if err != nil {
			p.Report.add(SetAside, u.Name, "%v", err)
			continue
		}
		main, _ = e.Append(main) // tried above
		schemes, carried = append(schemes, s), append(carried, u)
		p.remarks(u, s)
		if strings.ContainsAny(u.Name, `'"\`) {
			p.Report.add(Note, u.Name, "commands of doveadm for all users (-A) pass over this name: it stands escaped in a passwd-file")
		}
	}
	p.written(schemes)
	for _, s := range services {
		if err := p.add(file{path: path + ".deny-" + s.name, mode: 0o600, content: denyList(l, carried, s.name, s.service), fs: o.FS}); err != nil {
			return err
		}
	}
	if err := p.add(file{path: path + ".domains", mode: 0o600, content: p.domainList(l), fs: o.FS}); err != nil {
		return err
	}
	if err := p.add(file{path: path, mode: 0o600, content: main, fs: o.FS, keep: filepath.Base(path) + ".old"}); err != nil {
		return err
	}
	if last := p.files[len(p.files)-1]; o.PreferHash && last.keep != "" {
		p.Report.add(Note, "", "%s.old, the list as it was, may hold passwords in clear text: remove it when it is no longer needed", path)
	}
	config := o.Config
	if config == "" {
		config = path + ".conf"
	}
	return p.add(file{path: config, mode: 0o644, content: Config(path, carried), fs: o.config()})
}

// othersInPasswdFile looks at what is there already.
func othersInPasswdFile(ctx context.Context, path string, l *List, o Options) error {
	there, err := Read(ctx, Place{Kind: "passwd-file", Path: path})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var has []string
	for _, u := range there.Users {
		has = append(has, u.Name)
	}
	return vanishing(path, has, l, o)
}

// denyList names who may not use a service. LMTP asks for the address as it came, before the domain is looked up, so
// there a name stands under each of its domains.
func denyList(l *List, users []User, name string, s Service) []byte {
	b := fmt.Appendf(nil, "# Who may not use %s, one name a line: written by dovetail accounts.\n", name)
	for _, u := range users {
		if u.Deny&s == 0 {
			continue
		}
		names := []string{u.Name}
		if s == LMTP {
			for _, domain := range aliasesOf(l, u.Domain()) {
				names = append(names, u.Local()+"@"+domain)
			}
		}
		for _, name := range names {
			b, _ = passwdfile.Entry{Name: name}.Append(b) // a name that the list itself could hold
		}
	}
	return b
}

func aliasesOf(l *List, real string) (names []string) {
	for _, a := range l.Aliases {
		if a.Real == real {
			names = append(names, a.Name)
		}
	}
	return names
}

// domainList has a line for each name of a domain that is not its own.
func (p *Plan) domainList(l *List) []byte {
	b := []byte("# Other names of domains: written by dovetail accounts.\n")
	for _, a := range l.Aliases {
		e := passwdfile.Entry{Name: a.Name, Extra: []passwdfile.Field{
			{Key: "noauthenticate", Bare: true},
			{Key: "domain", Value: passwdfile.Literal(a.Real)},
			{Key: "userdb_domain", Value: passwdfile.Literal(a.Real)},
		}}
		var err error
		if b, err = e.Append(b); err != nil {
			p.Report.add(SetAside, a.Name, "alias domain: %v", err)
		}
	}
	return b
}

// unsupported are flags that keep something from an account which Dovecot has no switch for.
var unsupported = []struct {
	flag vpopmail.Flags
	what string
}{
	{vpopmail.NoWebmail, "no webmail: Dovecot cannot tell webmail from other IMAP clients; allow_nets could, by address"},
	{vpopmail.NoRelay, "no relaying: that is for the mail transfer agent to know"},
	{vpopmail.NoDialup, "no dial-up"},
	{vpopmail.NoPasswordChange, "the password must not be changed by its owner"},
}

const withoutMeaning = vpopmail.User0 | vpopmail.User1 | vpopmail.User2 | vpopmail.User3 | vpopmail.QAAdmin | vpopmail.NoSpamAssassin |
	vpopmail.DeleteSpam | vpopmail.SAAdmin | vpopmail.SAExpert | vpopmail.NoMaildrop

// remarks says what of a user has no effect in Dovecot.
func (p *Plan) remarks(u User, s scheme.Scheme) {
	p.passwordRemarks(u, s)
	if strings.ContainsFunc(u.Name, isOdd) {
		p.Report.add(Note, u.Name, "the name has characters that Dovecot refuses unless auth_username_chars is empty, as in the configuration written")
	}
	if u.Home == "" && u.Mail == "" {
		p.Report.add(Loss, u.Name, "no folder in the list: vpopmail makes one at the first login, Dovecot needs it named")
	}
	if u.Vpopmail == nil {
		return
	}
	flags := u.Vpopmail.Flags.Effective(vpopmail.Limits{Flags: u.Limits})
	for _, x := range unsupported {
		if flags&x.flag != 0 {
			p.Report.add(Loss, u.Name, "%s", x.what)
		}
	}
	if kept := flags & withoutMeaning; kept != 0 {
		p.Report.add(Note, u.Name, "flags %#x are kept for the way back; Dovecot has no use for them", uint32(kept))
	}
	if n := u.Vpopmail.PwUID; n != 1 && n != vpopmail.APOP {
		p.Report.add(Note, u.Name, "pw_uid %d is kept for the way back; vpopmail knows 1 and 2 only", n)
	}
}

func isOdd(r rune) bool { return !strings.ContainsRune(defaultUsernameChars, r) }

// refused are the bytes that Dovecot 2.3.19.1 takes in no password, whatever list it has: those that its own processes
// escape when they talk to each other.
const refused = "\x01\t\r\n"

func (p *Plan) passwordRemarks(u User, s scheme.Scheme) {
	if strings.ContainsAny(u.Clear, refused) {
		p.Report.add(Loss, u.Name, "the password holds a tab, line end or byte 1, which Dovecot takes from nobody: it needs a new one")
	}
	switch {
	case u.Hash == "" && u.Clear == "":
		p.Report.add(Note, u.Name, "no password: nobody can log in, as before")
	case s.Stored == "" && s.Name == "LOCKED":
		p.Report.add(Note, u.Name, "the account is locked and stays so")
	case s.Stored == "":
		p.Report.add(Loss, u.Name, "the password cannot be carried: %s: %s", s.Name, s.Why)
	}
	if u.Clear != "" && s.Name != "PLAIN" && u.Vpopmail != nil && u.Vpopmail.PwUID == vpopmail.APOP {
		p.Report.add(Loss, u.Name, "APOP needs the password in clear text, and the hash is written")
	}
}

// needsAnyName tells whether a name has characters that Dovecot refuses by default.
func needsAnyName(users []User) bool {
	return slices.ContainsFunc(users, func(u User) bool { return strings.ContainsFunc(u.Name, isOdd) })
}
