package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/auth/vpopmail"
)

// usersDir is where qmail keeps the list of domains.
const usersDir = "/var/qmail/users"

// readVpopmail reads all domains of a site, or the one whose folder the place names: a folder with a vpasswd in it.
func (l *List) readVpopmail(ctx context.Context, p Place) error {
	domains, err := l.domains(p)
	if err != nil {
		return err
	}
	for _, d := range domains {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.readDomain(p, d); err != nil {
			return err
		}
	}
	return nil
}

// domains are the real domains with their folders as the site knows them; names of domains go to Aliases.
func (l *List) domains(p Place) ([]vpopmail.Domain, error) {
	if isDomain(p.at(p.Path)) {
		d, err := domainOf(p, p.Path)
		return []vpopmail.Domain{d}, err
	}
	all, err := l.assigned(p)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		l.remark(Damage, "", p.at(usersDir)+": no list of domains: the folders of the domains are used, each with its owner, and other names of domains are not known")
	}
	for _, d := range all {
		if d.Alias() {
			l.Aliases = append(l.Aliases, Alias{d.Name, d.Real})
		}
	}
	return l.addUnassigned(p, realDomains(all))
}

// realDomains are the domains that have accounts of their own, each once. A line of an alias says as much about its
// domain as the domain's own line, which counts where both are there.
func realDomains(all []vpopmail.Domain) []vpopmail.Domain {
	var list []vpopmail.Domain
	known := map[string]bool{}
	for _, aliases := range []bool{false, true} {
		for _, d := range all {
			if d.Alias() == aliases && !known[d.Real] {
				known[d.Real] = true
				d.Name = d.Real
				list = append(list, d)
			}
		}
	}
	return list
}

// assigned reads the file that the place names, or both of qmail's: the compiled one counts. Without any there are none.
func (l *List) assigned(p Place) ([]vpopmail.Domain, error) {
	if path := p.Keys["assign"]; path != "" {
		all, problems, err := vpopmail.ReadAssign(p.at(path))
		l.problems(problems)
		return all, err
	}
	text, problems, err := vpopmail.ReadAssign(p.at(usersDir + "/assign"))
	l.problems(problems)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	compiled, problems, cerr := vpopmail.ReadAssign(p.at(usersDir + "/cdb"))
	l.problems(problems)
	switch {
	case errors.Is(cerr, fs.ErrNotExist) && err != nil:
		return nil, nil
	case errors.Is(cerr, fs.ErrNotExist):
		return text, nil
	case cerr != nil:
		l.remark(Damage, "", fmt.Sprintf("%v; users/assign is used", cerr))
		return text, err
	case err == nil:
		l.compare(text, compiled)
	}
	return compiled, nil
}

func (l *List) compare(text, compiled []vpopmail.Domain) {
	for _, x := range []struct {
		a, b []vpopmail.Domain
		what string
	}{
		{text, compiled, "users/assign has this line and the compiled users/cdb, which counts, has not: %s"},
		{compiled, text, "users/cdb, which counts, has this line and users/assign has not: %s"},
	} {
		has := map[vpopmail.Domain]bool{}
		for _, d := range x.b {
			has[d] = true
		}
		for _, d := range x.a {
			if !has[d] {
				l.remark(Damage, "", fmt.Sprintf(x.what, d.Name))
			}
		}
	}
}

// addUnassigned adds domains whose folders have a vpasswd though no line names them; without any list, all of them.
func (l *List) addUnassigned(p Place, known []vpopmail.Domain) ([]vpopmail.Domain, error) {
	top := filepath.Join(p.Path, "domains")
	none := len(known) == 0
	assigned := map[string]bool{}
	for _, d := range known {
		assigned[filepath.Clean(d.Dir)] = true
	}
	err := filepath.WalkDir(p.at(top), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(p.at(top), path)
		dir := filepath.Join(top, rel)
		switch {
		case assigned[dir]:
			return fs.SkipDir
		case isDomain(path) && none:
			d, err := domainOf(p, dir)
			if err != nil {
				return err
			}
			known = append(known, d)
			return fs.SkipDir
		case isDomain(path):
			l.remark(Damage, "", dir+" has accounts and no line of users/assign names it: they are not read")
			return fs.SkipDir
		case strings.Count(rel, "/") >= 3: // domains are hashed over three levels at most
			return fs.SkipDir
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) && !none {
		err = nil // all domains may lie elsewhere
	}
	return known, err
}

func isDomain(dir string) bool {
	for _, name := range []string{"vpasswd", "vpasswd.cdb"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// domainOf is a domain known from its folder alone.
func domainOf(p Place, dir string) (vpopmail.Domain, error) {
	var st unix.Stat_t
	if err := unix.Stat(p.at(dir), &st); err != nil {
		return vpopmail.Domain{}, &fs.PathError{Op: "stat", Path: p.at(dir), Err: err}
	}
	name := strings.ToLower(filepath.Base(filepath.Clean(dir)))
	return vpopmail.Domain{Name: name, Real: name, UID: int(st.Uid), GID: int(st.Gid), Dir: dir}, nil
}

func (l *List) readDomain(p Place, d vpopmail.Domain) error {
	here := d
	here.Dir = p.at(d.Dir)
	limits, problems, err := vpopmail.ReadLimits(here)
	if err != nil {
		return err
	}
	l.problems(problems)
	forwards, err := vpopmail.Forwards(here)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.forwards(d, forwards)
	for a, err := range vpopmail.Accounts(here) {
		switch {
		case err == nil:
			l.addVpopmail(p, d, limits, a)
		case errors.Is(err, fs.ErrNotExist):
			l.remark(Damage, "", fmt.Sprintf("domain %s: %v", d.Name, err))
			return nil
		default:
			if err = l.problem(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// forwards tells of addresses that are no accounts: they stay the mail transfer agent's.
func (l *List) forwards(d vpopmail.Domain, n int) {
	if n > 0 {
		l.remark(Note, "", fmt.Sprintf("domain %s: %d addresses only forward or run programs; they are for the mail transfer agent and no accounts", d.Name, n))
	}
}

// addVpopmail adds an account with what is to be said about it.
func (l *List) addVpopmail(p Place, d vpopmail.Domain, limits vpopmail.Limits, a vpopmail.Account) {
	quota, ok := vpopmail.ParseQuota(a.Quota)
	u := User{
		Name: a.Address(), Hash: a.Hash, Clear: a.Clear, UID: strconv.Itoa(d.UID), GID: strconv.Itoa(d.GID), Gecos: a.Gecos, Home: a.Dir,
		Quota: quota, Deny: deniedBy(a.Flags.Effective(limits)), Vpopmail: &a, Limits: limits.Flags,
	}
	if !ok {
		l.remark(Note, u.Name, "a part of the quota is none that can be read; vpopmail passes over it too")
	}
	if _, err := os.Stat(p.at(d.Dir)); err == nil && d.Dir != "" && a.Dir != "" {
		if _, err := os.Stat(p.at(a.Dir)); errors.Is(err, fs.ErrNotExist) {
			l.remark(Note, u.Name, "there is no folder "+a.Dir)
		}
	}
	l.Users = append(l.Users, u)
}
