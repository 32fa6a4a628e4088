package courier

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/auth/vpopmail"
	"dovetail/formats/disk"
)

// accounts gives the Maildirs of a domain's accounts, where vpasswd says they are.
func (f *finder) accounts(d domain) {
	if d.err != nil {
		f.give(f.failed(d.err), d.name, d.dir, d.err.Error())
		return
	}
	for _, alias := range d.aliases {
		f.giveWithin(d, Alias, alias, d.dir, "another name of "+d.name)
	}
	for a, err := range vpopmail.Accounts(vpopmail.Domain{Name: d.name, Real: d.name, Dir: d.dir}) {
		switch {
		case f.stopped():
			return
		case err != nil:
			f.badAccount(d, err)
		default:
			f.account(a, d)
		}
	}
}

func (f *finder) badAccount(d domain, err error) {
	p, isProblem := errors.AsType[vpopmail.Problem](err)
	name := d.name
	if p.User != "" {
		name = p.User
	}
	switch {
	case isProblem && p.User != "" && p.Line == 0: // the account itself is given, too
		f.giveWithin(d, Remark, name, p.Path, p.Error())
	case isProblem:
		f.giveWithin(d, BadEntry, name, p.Path, p.Error())
	case errors.Is(err, fs.ErrNotExist):
		f.give(Remark, name, d.dir, "it has neither vpasswd nor vpasswd.cdb: its users are found by walking through its folder")
	default:
		f.give(f.failed(err), name, d.dir, err.Error())
	}
	if !isProblem {
		delete(f.lists, d.place) // what the walk finds there is nobody's known
	}
}

// account gives the Maildir of one account.
func (f *finder) account(a vpopmail.Account, d domain) {
	switch {
	case a.Dir == "":
		f.giveWithin(d, Unused, a.Address(), d.dir, "its account has no directory, which is made at the first login")
		return
	case !path.IsAbs(a.Dir):
		f.giveWithin(d, BadEntry, a.Address(), d.dir, fmt.Sprintf("its directory %q is no absolute path", a.Dir))
		return
	}
	dir, err := f.openAccount(a, d)
	if err != nil {
		f.noMail(a, d, err)
		return
	}
	defer dir.Close()
	why, mind := f.stray(dir, d)
	switch {
	case why != "" && mind:
		f.give(BadEntry, a.Address(), dir.Path(), why)
	case why != "":
	case !hasPart(dir):
		f.give(NoMail, a.Address(), dir.Path(), "it has no cur, new and tmp")
	case !f.mailbox(dir, Mailbox, a.Address(), d.why):
		f.give(Alias, a.Address(), dir.Path(), "another user has the same Maildir")
	}
}

// stray says why a Maildir outside of its domain's folder is not the account's, and whether that must be told. vpasswd can
// be written with the rights of mail users, who must not point to the mail of others with it.
func (f *finder) stray(dir *disk.Dir, d domain) (why string, mind bool) {
	asked := f.walkedAnyway(dir.Path())
	switch {
	case d.partly && !asked:
		return "not asked for", false
	case below(dir.Path(), d.dir):
		return "", false
	case d.guessed: // the walk finds it if it was asked for
		return "it lies outside of " + d.dir + ", a domain that no users/assign names: name it as a path", !asked
	}
	st, err := dir.StatSelf()
	if err == nil && os.Geteuid() == 0 && st.UID != d.uid {
		return fmt.Sprintf("it lies outside of %s and belongs to uid %d, the mail of %s to %d", d.dir, st.UID, d.name, d.uid), true
	}
	return "", false
}

// hasPart tells whether there is a folder cur, new or tmp, of which the one that is there is enough for a Maildir that an
// account names.
func hasPart(dir *disk.Dir) bool {
	for _, part := range []string{"cur", "new", "tmp"} {
		if st, err := dir.Stat(part); err == nil && st.Mode.IsDir() {
			return true
		}
	}
	return false
}

// openAccount opens the Maildir of an account.
func (f *finder) openAccount(a vpopmail.Account, d domain) (*disk.Dir, error) {
	maildir := path.Join(a.Dir, "Maildir")
	if !d.guessed {
		return f.resolve(maildir)
	}
	root, err := f.fs.OpenRoot(rootOf(d.dir, a.Dir))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return resolver{root, trusted}.open(maildir)
}

// rootOf gives where the "/" of the account databases in a domain's folder is, when an account's directory has the folder by
// another path: the folder is /mnt/home/vpopmail/domains/example.com, the directory
// /home/vpopmail/domains/example.com/0/bob, so it is /mnt.
func rootOf(folder, dir string) string {
	for up := path.Dir(path.Clean(dir)); up != "/"; up = path.Dir(up) {
		if root, ok := strings.CutSuffix(folder, up); ok {
			return cmp.Or(root, "/")
		}
	}
	return "/"
}

// noMail lists an account whose Maildir cannot be opened.
func (f *finder) noMail(a vpopmail.Account, d domain, err error) {
	kind, why := f.failed(err), err.Error()
	if kind == NoMail {
		why = "there is no " + a.Dir + "/Maildir"
	}
	f.giveWithin(d, kind, a.Address(), a.Dir, why)
}

// giveWithin lists what is wrong with an account of a domain, unless only a part of it is wanted and the account is not
// known to be in it.
func (f *finder) giveWithin(d domain, kind Kind, name, path, why string) {
	if !d.partly || f.walkedAnyway(path) {
		f.give(kind, name, path, why)
	}
}

// failed tells what kind of finding it is that a folder could not be opened, and remembers a link, so that the walk does not
// list it again.
func (f *finder) failed(err error) Kind {
	switch {
	case errors.Is(err, errDistrusted):
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			f.refused[at.Path] = true
		}
		return Refused
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return NoMail
	}
	return Unread
}

// nameOf gives the account whose Maildir dir is, "" without one.
func (f *finder) nameOf(dir *disk.Dir, domains []domain) (name, why string) {
	for _, d := range domains {
		if d.err != nil {
			continue
		}
		for a, err := range vpopmail.Accounts(vpopmail.Domain{Name: d.name, Real: d.name, Dir: d.dir}) {
			if err != nil || f.stopped() {
				continue
			}
			its, err := f.openAccount(a, d)
			if err != nil {
				continue
			}
			same := its.Path() == dir.Path()
			its.Close()
			if same {
				return a.Address(), d.why
			}
		}
	}
	return "", ""
}

// foundDomain gives the domain whose folder the walk is in, and its accounts if they were not given yet.
func (f *finder) foundDomain(dir *disk.Dir, a at) string {
	p, err := placeOf(dir)
	if err != nil {
		return a.domain
	}
	name, known := f.lists[p]
	switch {
	case known:
		return name
	case a.domain != "": // users may have files of any name
		return a.domain
	}
	d, ok := f.guess(dir, path.Base(a.shown))
	if !ok {
		return a.domain
	}
	f.accounts(d)
	return d.name
}
