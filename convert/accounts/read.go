package accounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"dovetail/auth/listfile"
	"dovetail/auth/passwdfile"
	"dovetail/auth/scheme"
	"dovetail/auth/userdb"
	"dovetail/auth/vpopmail"
)

// Read reads a list of accounts. What is wrong with parts of it is a Remark; an error says that there is no list.
func Read(ctx context.Context, p Place) (*List, error) {
	l := &List{}
	var err error
	switch p.Kind {
	case "vpopmail":
		err = l.readVpopmail(ctx, p)
	case "vpopmail-mysql":
		err = l.readMySQL(ctx, p)
	case "passwd-file":
		err = l.readPasswdFile(p)
	case "userdb":
		err = l.readUserdb(p)
	default:
		err = fmt.Errorf("%s: %w to read from", p, ErrPlace)
	}
	if err != nil {
		return nil, err
	}
	l.unique()
	return l, nil
}

// problem makes a remark of a Problem; any other error comes back.
func (l *List) problem(err error) error {
	p, ok := errors.AsType[listfile.Problem](err)
	if !ok {
		return err
	}
	user := p.User
	p.User = ""
	l.remark(Damage, user, p.Error())
	return nil
}

func (l *List) problems(all []vpopmail.Problem) {
	for _, p := range all {
		l.problem(p)
	}
}

// unique sets aside users whose names differ in case only: Dovecot makes all names lower case (auth_username_format).
func (l *List) unique() {
	seen := map[string]bool{}
	l.Users = slices.DeleteFunc(l.Users, func(u User) bool {
		lower := strings.ToLower(u.Name)
		if seen[lower] {
			l.remark(SetAside, u.Name, "another account has this name, or one that differs in upper and lower case only")
			return true
		}
		seen[lower] = true
		return false
	})
	for i, u := range l.Users {
		if lower := strings.ToLower(u.Name); lower != u.Name {
			l.remark(Note, u.Name, "the name is written in lower case, as Dovecot looks it up")
			l.Users[i].Name = lower
		}
	}
}

// services are the names that Dovecot gives to what asks it, with the lists that keep users from each.
var services = []struct {
	name    string
	service Service
}{
	{"imap", IMAP}, {"pop3", POP3}, {"smtp", SMTP}, {"submission", SMTP}, {"lmtp", LMTP},
}

// readPasswdFile reads the file with the lists of denied users and of domains beside it.
func (l *List) readPasswdFile(p Place) error {
	path := p.at(p.Path)
	aliases, err := readNames(path+".domains", l)
	if err != nil {
		return err
	}
	for name, e := range aliases {
		if real, ok := e.Get("domain"); ok {
			l.Aliases = append(l.Aliases, Alias{name, real.Value})
		}
	}
	slices.SortFunc(l.Aliases, func(a, b Alias) int { return strings.Compare(a.Name, b.Name) })
	deny := map[string]Service{}
	for _, s := range services {
		names, err := readNames(path+".deny-"+s.name, l)
		if err != nil {
			return err
		}
		for name := range names {
			deny[name] |= s.service
		}
	}
	return eachEntry(path, l, func(e passwdfile.Entry) {
		e.Password = withScheme(e.Password, p.Keys["scheme"])
		u, words := readEntry(e, deny[e.Name])
		if len(words) > 0 {
			l.remark(Note, u.Name, "fields that only a passwd-file can hold: "+strings.Join(words, ", "))
		}
		l.Users = append(l.Users, u)
	})
}

// brackets are what libpam-pwdfile writes behind a hash of each kind, and Dovecot reads.
var brackets = map[string]string{"[13]": "{CRYPT}", "[34]": "{PLAIN-MD5}", "[56]": "{DIGEST-MD5}"}

// withScheme puts the scheme before a password that has none: the one of the option "scheme" of Dovecot's passdb, CRYPT
// when that is not set.
func withScheme(stored, option string) string {
	if len(stored) > 4 && !strings.ContainsAny(stored[:1], "{$") {
		if prefix, ok := brackets[stored[len(stored)-4:]]; ok {
			return prefix + stored[:len(stored)-4]
		}
	}
	if _, _, has := scheme.Split(stored); has || stored == "" || option == "" || strings.HasPrefix(stored, "$1$") {
		return stored
	}
	return "{" + option + "}" + stored
}

// readNames reads a list of names; one that does not exist is empty.
func readNames(path string, l *List) (map[string]passwdfile.Entry, error) {
	names := map[string]passwdfile.Entry{}
	err := eachEntry(path, l, func(e passwdfile.Entry) { names[e.Name] = e })
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return names, err
}

func eachEntry(path string, l *List, do func(passwdfile.Entry)) error {
	f, _, err := listfile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for e, err := range passwdfile.Entries(f, path) {
		switch {
		case err == nil:
			do(e)
		case l.problem(err) != nil:
			return err
		}
	}
	return nil
}

// userdbOptions says which of Courier's options keep an account from a service of ours.
var userdbOptions = map[string]Service{"disableimap": IMAP, "disablepop3": POP3}

// readUserdb reads Courier's userdb.
func (l *List) readUserdb(p Place) error {
	for e, err := range userdb.Entries(p.at(p.Path)) {
		if err != nil {
			if err = l.problem(err); err != nil {
				return err
			}
			continue
		}
		f := e.Fields
		u := User{Name: e.Name, UID: f["uid"], GID: f["gid"], Home: f["home"], Gecos: f["gecos"], Hash: f["systempw"]}
		if mail := f["mail"]; mail != "" && mail != u.Home+"/Maildir" && mail != "./Maildir" && mail != "Maildir" {
			u.Mail = "maildir:" + mail
		}
		quota, ok := vpopmail.ParseQuota(f["quota"])
		if u.Quota = quota; !ok {
			l.remark(Loss, u.Name, "the quota is none that can be read")
		}
		l.userdbPasswords(&u, f)
		l.userdbOptions(&u, e.Options())
		l.Users = append(l.Users, u)
	}
	return nil
}

// userdbPasswords takes a password of one service where there is none for all.
func (l *List) userdbPasswords(u *User, f map[string]string) {
	for _, key := range []string{"imappw", "pop3pw", "esmtppw"} {
		switch {
		case f[key] == "" || f[key] == u.Hash:
		case u.Hash == "":
			u.Hash = f[key]
			l.remark(Loss, u.Name, "there is no systempw, so "+key+" becomes the password of all services")
		default:
			l.remark(Loss, u.Name, key+" is a password of its own for one service; Dovecot gets one password for all")
		}
	}
	for key := range f {
		if strings.Contains(key, "hmac-") {
			l.remark(Loss, u.Name, key+" is a secret for CRAM that no list of Dovecot holds in this form")
		}
	}
}

func (l *List) userdbOptions(u *User, options map[string]string) {
	var lost []string
	for key, value := range options {
		service := userdbOptions[key]
		switch {
		case value == "0" && strings.HasPrefix(key, "disable"):
		case service != 0:
			u.Deny |= service
		default:
			lost = append(lost, key)
		}
	}
	if slices.Sort(lost); len(lost) > 0 {
		l.remark(Loss, u.Name, "options that Dovecot does not have: "+strings.Join(lost, ", "))
	}
}
