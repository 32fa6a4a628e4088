package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"dovetail/auth/cdb"
	"dovetail/auth/vpopmail"
	"dovetail/formats/disk"
)

// lockWait is how long vpopmail may hold its lock: it rewrites one file.
const lockWait = 20 * time.Second

// vpopmail plans vpasswd and vpasswd.cdb of each domain. Domains are not made: that is vadddomain's work, which also
// tells qmail. The files belong to the domain's owner.
func (p *Plan) vpopmail(ctx context.Context, l *List, dst Place, o Options) error {
	there := &List{}
	domains, err := there.domains(dst)
	if err != nil {
		return err
	}
	byDomain := map[string][]vpopmail.Account{}
	for _, u := range l.Users {
		a, ok := p.account(u)
		if !ok {
			continue
		}
		if _, err := a.AppendLine(nil); err != nil {
			p.Report.add(SetAside, u.Name, "%v", err)
			continue
		}
		byDomain[a.Domain] = append(byDomain[a.Domain], a)
	}
	for _, d := range domains {
		accounts := byDomain[d.Name]
		delete(byDomain, d.Name)
		if len(accounts) == 0 {
			p.Report.add(Note, "", "domain %s: no accounts in the source; its files stay as they are", d.Name)
			continue
		}
		if err := p.vpopmailDomain(ctx, l, d, accounts, dst, o); err != nil {
			return err
		}
	}
	p.noDomain(byDomain)
	p.aliasRemarks(l, there)
	p.limitRemarks(l, func(domain string) (vpopmail.Limits, error) {
		i := slices.IndexFunc(domains, func(d vpopmail.Domain) bool { return d.Name == domain })
		if i < 0 {
			return vpopmail.Limits{}, fs.ErrNotExist
		}
		limits, _, err := vpopmail.ReadLimits(vpopmail.Domain{Dir: dst.at(domains[i].Dir)})
		return limits, err
	})
	return nil
}

// account is newAccount with what is to be said about it; false for what has no domain.
func (p *Plan) account(u User) (vpopmail.Account, bool) {
	if u.Domain() == "" || u.Local() == "" {
		p.Report.add(SetAside, u.Name, "no domain in the name")
		return vpopmail.Account{}, false
	}
	a, err := newAccount(u)
	if err != nil {
		p.Report.add(Loss, u.Name, "%v", err)
	}
	p.wayBackRemarks(u)
	return a, true
}

// noDomain sets accounts aside that belong to no domain of the target.
func (p *Plan) noDomain(byDomain map[string][]vpopmail.Account) {
	for _, domain := range slices.Sorted(maps.Keys(byDomain)) {
		for _, a := range byDomain[domain] {
			p.Report.add(SetAside, a.Address(), "vpopmail there has no domain %q: make it with vadddomain and run this again", domain)
		}
	}
}

// aliasRemarks says which names of domains the target does not have.
func (p *Plan) aliasRemarks(l, there *List) {
	for _, a := range l.Aliases {
		if !slices.Contains(there.Aliases, a) {
			p.Report.add(Loss, "", "%s is not another name of %s there: make it one with vaddaliasdomain", a.Name, a.Real)
		}
	}
}

// wayBackRemarks says what of a user vpopmail has no place for.
func (p *Plan) wayBackRemarks(u User) {
	if u.Mail != "" {
		p.Report.add(Loss, u.Name, "the mail is not the Maildir in the account's folder; vpopmail looks nowhere else")
	}
	for _, f := range u.Extra {
		p.Report.add(Loss, u.Name, "field %s of the passwd-file", f.Key)
	}
	if u.Home == "" {
		p.Report.add(Note, u.Name, "no folder: vpopmail makes one at the first login")
	}
}

func (p *Plan) vpopmailDomain(ctx context.Context, l *List, d vpopmail.Domain, accounts []vpopmail.Account, dst Place, o Options) error {
	here := d
	here.Dir = dst.at(d.Dir)
	if err := belongs(here); err != nil {
		return err
	}
	var has []string
	for a, err := range vpopmail.Accounts(here) {
		if err == nil {
			has = append(has, a.Address())
		} else if err := p.there(err); err != nil {
			return err
		}
	}
	if err := vanishing(here.Dir, has, l, o); err != nil {
		return err
	}
	text, compiled, err := vpopmail.Encode(accounts)
	if err != nil {
		return fmt.Errorf("%s: %w", here.Dir, err)
	}
	p.Report.Totals.Carried += len(accounts)
	own := &disk.FS{Own: true, UID: d.UID, GID: d.GID}
	if os.Geteuid() != 0 { // nobody else may give files away
		own = o.FS
	}
	for _, f := range []file{
		{path: here.Dir + "/vpasswd", content: text, keep: "dovetail-old-vpasswd"},
		{path: here.Dir + "/vpasswd.cdb", content: compiled, keep: "dovetail-old-vpasswd.cdb"},
	} {
		f.mode, f.fs, f.lock = 0o600, own, ".vpasswd.lock"
		if err := p.add(f); err != nil {
			return err
		}
	}
	return nil
}

// belongs refuses, for root, a folder that is somebody else's, and a link to one of root's: whoever owns the folder of the
// domains could have put it in place of the domain's.
func belongs(d vpopmail.Domain) error {
	var st, link unix.Stat_t
	if err := errors.Join(unix.Stat(d.Dir, &st), unix.Lstat(d.Dir, &link)); err != nil {
		return &fs.PathError{Op: "stat", Path: d.Dir, Err: err}
	}
	roots := st.Uid == 0 && st.Ino == link.Ino && st.Dev == link.Dev
	if os.Geteuid() == 0 && int(st.Uid) != d.UID && !roots {
		return &fs.PathError{Op: "write", Path: d.Dir, Err: fmt.Errorf("%w: it belongs to uid %d, and users/assign says %d", fs.ErrPermission, st.Uid, d.UID)}
	}
	return nil
}

// there makes a remark of what is wrong with the list that is about to be replaced; no list is nothing wrong.
func (p *Plan) there(err error) error {
	problem, ok := errors.AsType[vpopmail.Problem](err)
	switch {
	case ok:
		p.Report.add(Note, "", "in the target: %v", problem)
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, cdb.ErrCorrupt):
	default:
		return err
	}
	return nil
}

// locked runs do while vpopmail's writers wait.
func locked(ctx context.Context, d *disk.Dir, name string, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	f, err := d.OpenWrite(name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = d.Create(name, 0o600)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Lock(ctx, true); err != nil {
		return err
	}
	return do()
}
