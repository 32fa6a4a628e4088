package courier

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"dovetail/formats/disk"
)

// maxDepth is how deep the walk goes below a path: vpopmail's deepest place is 9 below its own folder, and a user could
// plant folders without end.
const maxDepth = 40

// at is where the walk is.
type at struct {
	shown  string // the folder as the administrator would type it
	why    string // how what is found there was found
	domain string // whose accounts are known, if the folder is a domain's or lies in one
	inside string // the Maildir in which the folder lies, "" for most
	depth  int
}

func (a at) down(name string) at {
	a.shown, a.depth = filepath.Join(a.shown, name), a.depth+1
	return a
}

// walk finds what lies at and below dir.
func (f *finder) walk(dir *disk.Dir, a at) {
	if f.stopped() {
		return
	}
	in, err := look(dir)
	if err != nil {
		f.give(Unread, a.shown, dir.Path(), err.Error())
		return
	}
	f.walkIn(dir, in, a)
}

// walkIn goes on where dir was looked into.
func (f *finder) walkIn(dir *disk.Dir, in entries, a at) {
	if in.accounts && a.inside == "" {
		a.domain = f.foundDomain(dir, a)
	}
	if in.shaped() {
		f.walkMaildir(dir, in, a)
		return
	}
	if part := in.linkedPart(); part != "" && len(in.parts) > 0 {
		f.refuse(dir, part, a.down(part))
	}
	f.walkFolders(dir, in.dirs, a)
	f.walkLinks(dir, in.links, a)
}

// walkFolders goes down into the folders of these names.
func (f *finder) walkFolders(dir *disk.Dir, names []string, a at) {
	for _, name := range names {
		if f.stopped() {
			return
		}
		b := a.down(name)
		if b.depth > maxDepth {
			f.give(Unread, b.shown, join(dir, name), fmt.Sprintf("it lies more than %d folders deep", maxDepth))
			return
		}
		sub, err := dir.OpenDir(name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, disk.ErrNotRegular): // gone since, or exchanged for a link
			continue
		case err != nil:
			f.give(Unread, b.shown, join(dir, name), err.Error())
			continue
		}
		f.walk(sub, b)
		sub.Close()
	}
}

// walkMaildir gives a Maildir. There may be others in it that are no folders of it: those of users who are named cur, new
// and tmp, when it is no Maildir but the folder of a domain, and those below a home that is a Maildir itself.
func (f *finder) walkMaildir(dir *disk.Dir, in entries, a at) {
	within := a
	within.inside = a.shown
	mail, before := false, f.met
	for _, part := range in.parts {
		mail = f.walkPart(dir, part, within) || mail
	}
	users := f.met > before || in.accounts
	if users && !mail && !in.control {
		f.walkFolders(dir, others(in.dirs, false), a)
		f.walkLinks(dir, in.links, a)
		return
	}
	f.walked(dir, a)
	f.walkFolders(dir, others(in.dirs, true), within)
	f.walkLinks(dir, others(in.links, true), within)
}

// walkPart looks for folders in cur, new or tmp, which only the home of a user of that name has, and tells whether there is
// mail in it. Where the file system says that there are no folders, it does not look.
func (f *finder) walkPart(dir *disk.Dir, part string, a at) (mail bool) {
	sub, err := dir.OpenDir(part)
	if err != nil {
		return true // it is said when the Maildir is read
	}
	defer sub.Close()
	a = a.down(part)
	if st, err := sub.StatSelf(); err != nil || st.Links == 2 || a.depth > maxDepth {
		return false
	}
	in, err := look(sub)
	if err != nil {
		return true
	}
	f.walkIn(sub, in, a)
	return in.messages && part != "tmp"
}

// walked gives a Maildir that the walk came upon.
func (f *finder) walked(dir *disk.Dir, a at) {
	f.met++
	kind, why := Mailbox, a.why
	if a.domain != "" {
		kind, why = Orphan, "no account of "+a.domain+" has it"
	}
	if a.inside != "" {
		why += ", within the Maildir " + a.inside
	}
	f.mailbox(dir, kind, a.shown, why)
}

func (f *finder) stopped() bool { return f.enough || f.ctx.Err() != nil }

// join is the path of name in dir.
func join(dir *disk.Dir, name string) string { return strings.TrimSuffix(dir.Path(), "/") + "/" + name }
