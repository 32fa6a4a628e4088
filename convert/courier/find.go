package courier

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"path/filepath"
	"strings"

	"dovetail/formats/disk"
)

// Kind says what was found.
type Kind string

// The kinds of findings. Those that are users are converted; the others are listed.
const (
	Mailbox  Kind = "user"                                 // a Maildir
	Orphan   Kind = "mail directory without user"          // a Maildir below a domain's folder that no account names; converted like the others
	Alias    Kind = "alias"                                // another name of a domain or a Maildir that was found already
	Unused   Kind = "user who never logged in"             // an account without a directory: it is made at the first login
	Remark   Kind = "remark"                               // on an account database; its mail is not concerned
	NoMail   Kind = "user without mail directory"          // an account whose directory is not there
	Refused  Kind = "link that is not followed"            // a mail user may have planted it
	Unread   Kind = "folder that cannot be read"           // or is too deep, or is not there
	NoPlace  Kind = "no Maildir"                           // a path at which there is none
	BadEntry Kind = "damaged entry of an account database" // somebody's mail may be missed
)

// IsUser tells whether there is a Maildir to convert.
func (k Kind) IsUser() bool { return k == Mailbox || k == Orphan }

// LeftOver tells whether there may be mail that was not looked at.
func (k Kind) LeftOver() bool {
	switch k {
	case NoMail, Refused, Unread, NoPlace, BadEntry:
		return true
	}
	return false
}

// Found is one finding of the search.
type Found struct {
	User
	Kind Kind `json:"found"`
}

// String is one line: `link that is not followed: example.com/bob/Maildir: it leads to …`.
func (f Found) String() string {
	line := string(f.Kind) + ": " + f.Name
	if f.Kind.IsUser() && f.Name != f.Maildir {
		line += " in " + f.Maildir
	}
	return line + ": " + f.Why
}

// FindOptions say how users are searched for.
type FindOptions struct {
	// Recursive searches below the paths, at any depth. Without it a path is a Maildir, or a home with one.
	Recursive bool

	// Assign is the file users/assign of qmail, or its compiled form; "" means /var/qmail/users/assign, or cdb beside it, if
	// one of its domains lies at, below or above a path.
	Assign string

	// Root is where the site's "/" is: its account databases and links name paths below it, and absolute paths given here
	// may do so, too. "" is "/" itself.
	Root string
}

// Find gives the users at or below paths, each Maildir once; without paths those of all domains in Assign. A finding that is
// no user says why.
//
// Where vpopmail's account databases say whose mail lies where, they are asked first, and the walk through the folders then
// shows what they do not know. A Maildir is a folder with two of cur, new and tmp; its folders begin with a dot. Users may
// have these names themselves. Below a path, and wherever an account database points to, a symbolic link is followed only
// if it belongs to root or to whoever runs this; all others are listed. What is found is a path without links.
//
// Memory is needed for the names in one folder and 16 bytes a Maildir. The error ends the search: a path that does not
// exist, a list of domains that cannot be read, a context that is over.
func Find(ctx context.Context, paths []string, o FindOptions) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		f := &finder{
			ctx: ctx, o: o, yield: yield, fs: &disk.FS{ReadOnly: true, NoLinks: true},
			seen: map[place]bool{}, lists: map[place]string{}, entered: map[place]bool{}, refused: map[string]bool{},
		}
		if err := f.find(paths); err != nil && !f.enough {
			yield(Found{}, err)
		}
	}
}

// finder is one search.
type finder struct {
	ctx   context.Context
	o     FindOptions
	yield func(Found, error) bool
	fs    *disk.FS

	host    *disk.Dir // "/"
	site    *disk.Dir // the site's "/"
	starts  []start
	seen    map[place]bool   // Maildirs
	lists   map[place]string // folders whose accounts are known, and the domain
	entered map[place]bool   // folders that links led to
	refused map[string]bool  // links
	met     int              // Maildirs that the walk came upon, also those that were seen

	enough bool // nobody wants more
}

// place is a folder, however it was reached.
type place struct{ dev, ino uint64 }

// start is a path where the search begins.
type start struct {
	shown string // as it was given
	dir   *disk.Dir
}

func (f *finder) find(paths []string) error {
	defer f.close()
	if err := f.open(paths); err != nil {
		return err
	}
	domains, err := f.domains()
	if err != nil {
		return err
	}
	switch {
	case f.o.Recursive || len(f.starts) == 0:
		f.everything(domains)
	default:
		for _, s := range f.starts {
			if err := f.single(s, domains); err != nil {
				return err
			}
		}
	}
	return f.ctx.Err()
}

// everything gives the accounts of the domains and then what the folders hold besides.
func (f *finder) everything(domains []domain) {
	for _, d := range domains {
		f.accounts(d)
	}
	for _, s := range f.starts {
		a := at{shown: s.shown, why: "found below " + s.shown}
		before, nothing := f.met, true
		for _, d := range domains {
			if below(s.dir.Path(), d.dir) {
				a.domain = f.lists[d.place]
			}
			nothing = nothing && !below(d.dir, s.dir.Path())
		}
		f.walk(s.dir, a)
		if nothing && f.met == before {
			f.give(NoPlace, s.shown, s.dir.Path(), "there is no Maildir at or below it")
		}
	}
	for _, d := range domains {
		f.walkElsewhere(d)
	}
}

// walkElsewhere looks for mail directories without user in a domain's folder that is below no start.
func (f *finder) walkElsewhere(d domain) {
	if d.err != nil || d.partly || f.walkedAnyway(d.dir) {
		return
	}
	dir, err := f.fs.OpenRoot(d.dir)
	if err != nil {
		f.give(f.failed(err), d.name, d.dir, err.Error())
		return
	}
	defer dir.Close()
	f.walk(dir, at{shown: d.dir, why: "found in the folder of " + d.name, domain: f.lists[d.place]})
}

// open opens the site's root and all paths, so that a wrong one is told before anything is done.
func (f *finder) open(paths []string) (err error) {
	if f.host, err = f.fs.OpenRoot("/"); err != nil {
		return err
	}
	if f.site, err = f.openNamed(cmp.Or(f.o.Root, "/")); err != nil {
		return err
	}
	for _, path := range paths {
		dir, err := f.openNamed(f.inSite(path))
		if err != nil {
			return err
		}
		f.starts = append(f.starts, start{filepath.Clean(path), dir})
	}
	return nil
}

func (f *finder) close() {
	for _, s := range f.starts {
		s.dir.Close()
	}
	for _, dir := range []*disk.Dir{f.site, f.host} {
		if dir != nil {
			dir.Close()
		}
	}
}

// inSite gives a path that the administrator named as it is outside of the site's root, if he gave it as inside.
func (f *finder) inSite(path string) string {
	if f.o.Root == "" || !filepath.IsAbs(path) {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && below(real, f.site.Path()) {
		return path
	}
	return join(f.site, strings.TrimLeft(path, "/"))
}

// openNamed opens a folder that the administrator named, so that its path is free of links.
func (f *finder) openNamed(path string) (*disk.Dir, error) {
	real, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if real, err = filepath.EvalSymlinks(real); err != nil {
		return nil, err
	}
	return f.fs.OpenRoot(real)
}

// resolve opens a folder that an account database of the site names.
func (f *finder) resolve(path string) (*disk.Dir, error) { return resolver{f.site, trusted}.open(path) }

// give hands out a finding.
func (f *finder) give(kind Kind, name, path, why string) {
	if f.stopped() {
		return
	}
	f.enough = !f.yield(Found{User{Name: name, Maildir: path, Why: why, NoLinks: kind.IsUser()}, kind}, nil)
}

// mailbox hands out a Maildir unless it was found before; then, and only then, it is false.
func (f *finder) mailbox(dir *disk.Dir, kind Kind, name, why string) bool {
	p, err := placeOf(dir)
	if err != nil {
		f.give(Unread, name, dir.Path(), err.Error())
		return true
	}
	if f.seen[p] {
		return false
	}
	f.seen[p] = true
	f.give(kind, name, dir.Path(), why)
	return true
}

func placeOf(dir *disk.Dir) (place, error) {
	st, err := dir.StatSelf()
	return place{st.Dev, st.Ino}, err
}

// single finds one user: the path is his Maildir, or his home.
func (f *finder) single(s start, domains []domain) error {
	if parent, ok := folderOf(s.dir); ok {
		f.give(NoPlace, s.shown, s.dir.Path(), "it is a folder of the Maildir "+parent)
		return nil
	}
	in, err := look(s.dir)
	if err != nil {
		return err
	}
	dir, shown := s.dir, s.shown
	if !in.shaped() {
		dir, err = f.behind(s.dir, "Maildir", trusted)
		if errors.Is(err, errDistrusted) {
			f.give(Refused, filepath.Join(shown, "Maildir"), join(s.dir, "Maildir"), err.Error())
			return nil
		}
		if err != nil {
			f.give(NoPlace, s.shown, s.dir.Path(), "it has no cur, new and tmp, nor has a Maildir in it; --recursive looks for Maildirs below it")
			return nil
		}
		defer dir.Close()
		shown = filepath.Join(shown, "Maildir")
		if in, err = look(dir); err != nil {
			return err
		}
		if !in.shaped() {
			f.give(NoPlace, shown, dir.Path(), "it has no cur, new and tmp")
			return nil
		}
	}
	name, why := f.nameOf(dir, domains)
	if name == "" {
		name, why = shown, "named"
	}
	if !f.mailbox(dir, Mailbox, name, why) {
		f.give(Alias, shown, dir.Path(), "the same Maildir was named before")
	}
	return nil
}

// folderOf gives the Maildir whose folder dir is.
func folderOf(dir *disk.Dir) (string, bool) {
	parent, base := filepath.Split(dir.Path())
	if !strings.HasPrefix(base, ".") {
		return "", false
	}
	up, err := dir.FS().OpenRoot(filepath.Clean(parent))
	if err != nil {
		return "", false
	}
	defer up.Close()
	in, err := look(up)
	return up.Path(), err == nil && in.shaped()
}

// below tells whether path is dir or lies in it; both are clean and absolute.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
