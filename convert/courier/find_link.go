package courier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/formats/disk"
)

// errDistrusted is met on a path with a link that a mail user may have planted.
var errDistrusted = errors.New("the link belongs to uid")

// ofRoot goes on behind the uid.
const ofRoot = ", not to root; where it is right, chown -h root lets it be followed"

// errCircle is met where links lead to each other.
var errCircle = errors.New("links in a circle")

// maxLinks is how many links may stand in a path, as in Linux.
const maxLinks = 40

// trusted tells whether a link may be followed: only root, or whoever runs this, can have made it.
func trusted(link disk.Info) bool { return link.UID == 0 || link.UID == os.Geteuid() }

// anybodys follows every link. It is for a look at where a link leads to, never for more.
func anybodys(disk.Info) bool { return true }

// resolver opens folders whose paths the site itself names, in account databases and links.
type resolver struct {
	top   *disk.Dir // the site's "/"
	trust func(link disk.Info) bool
}

// open opens the folder; the path of what is opened is free of links.
func (r resolver) open(name string) (*disk.Dir, error) {
	if clean := strings.TrimLeft(path.Clean(name), "/"); clean == strings.TrimLeft(name, "/") {
		if dir, err := r.openClean(clean); !errors.Is(err, disk.ErrNotRegular) {
			return dir, err
		}
	}
	return r.openParts(strings.Split(name, "/"))
}

func (r resolver) openClean(name string) (*disk.Dir, error) {
	if name == "" {
		name = "."
	}
	return r.top.OpenDir(name)
}

// openParts goes part by part and judges each link.
func (r resolver) openParts(rest []string) (*disk.Dir, error) {
	at := ""
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = strings.TrimLeft(path.Dir("/"+at), "/")
			continue
		}
		to, err := r.link(at, part)
		if err != nil {
			return nil, err
		}
		if to == "" {
			at = path.Join(at, part)
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "open", Path: path.Join(r.top.Path(), at, part), Err: errCircle}
		}
		if strings.HasPrefix(to, "/") {
			at = ""
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return r.openClean(at)
}

// link gives where part of the folder at leads to, "" when it is no link.
func (r resolver) link(at, part string) (to string, err error) {
	dir, err := r.openClean(at)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	st, err := dir.Stat(part)
	if err != nil || st.Mode&fs.ModeSymlink == 0 {
		return "", err
	}
	if !r.trust(st) {
		return "", &fs.PathError{Op: "open", Path: join(dir, part), Err: fmt.Errorf("%w %d%s", errDistrusted, st.UID, ofRoot)}
	}
	return dir.Readlink(part)
}

// walkLinks follows links that may be followed and lists the others.
func (f *finder) walkLinks(dir *disk.Dir, names []string, a at) {
	for _, name := range names {
		if f.stopped() {
			return
		}
		st, err := dir.Stat(name)
		switch {
		case err != nil || st.Mode&fs.ModeSymlink == 0: // gone since
		case trusted(st) && a.inside == "":
			f.follow(dir, name, st, a.down(name))
		default:
			f.refuse(dir, name, a.down(name))
		}
	}
}

// follow walks through a link, unless what it leads to is walked anyway.
func (f *finder) follow(dir *disk.Dir, name string, link disk.Info, a at) {
	sub, err := f.behind(dir, name, trusted)
	switch {
	case errors.Is(err, errDistrusted):
		f.refuse(dir, name, a)
		return
	case err != nil:
		if link.UID == 0 && !isFile(err) {
			f.give(Unread, a.shown, join(dir, name), err.Error())
		}
		return
	}
	defer sub.Close()
	if f.walkedAnyway(sub.Path()) {
		if in, err := look(sub); err == nil && (in.accounts || in.shaped()) {
			f.give(Alias, a.shown, sub.Path(), "a link to "+sub.Path())
		}
		return
	}
	p, err := placeOf(sub)
	if err != nil || f.entered[p] || a.depth > maxDepth || f.holdsStart(sub.Path()) {
		return
	}
	f.entered[p] = true
	f.walk(sub, a)
}

// behind opens the folder that a link leads to.
func (f *finder) behind(dir *disk.Dir, name string, trust func(disk.Info) bool) (*disk.Dir, error) {
	site, where := f.site, dir.Path()
	if below(where, f.site.Path()) {
		where = strings.TrimPrefix(where, strings.TrimSuffix(f.site.Path(), "/"))
	} else {
		site = f.host
	}
	return resolver{site, trust}.open(where + "/" + name)
}

// walkedAnyway tells whether a folder lies below one of the starts.
func (f *finder) walkedAnyway(path string) bool {
	for _, s := range f.starts {
		if below(path, s.dir.Path()) {
			return true
		}
	}
	return false
}

// holdsStart tells whether a folder is above one of the starts: a link to it leads in a circle.
func (f *finder) holdsStart(path string) bool {
	for _, s := range f.starts {
		if below(s.dir.Path(), path) {
			return true
		}
	}
	return false
}

// refuse lists a link that is not followed, once, if mail may be missed by it: where it stands for a Maildir or a part of
// one, leads to one, or leads to any folder that is not walked anyway.
func (f *finder) refuse(dir *disk.Dir, name string, a at) {
	link := join(dir, name)
	if f.refused[link] {
		return
	}
	matters := slices.Contains([]string{"Maildir", "cur", "new", "tmp"}, name)
	why := "it leads to nothing that can be opened"
	if sub, err := f.behind(dir, name, anybodys); err == nil {
		defer sub.Close()
		in, err := look(sub)
		matters = matters || err != nil || in.shaped() || a.inside == "" && !f.walkedAnyway(sub.Path())
		why = f.distrust(dir, name, sub)
	}
	if matters {
		f.refused[link] = true
		f.give(Refused, a.shown, link, why)
	}
}

func (f *finder) distrust(dir *disk.Dir, name string, to *disk.Dir) string {
	st, err := dir.Stat(name)
	if err != nil {
		return err.Error()
	}
	if trusted(st) {
		return "it leads to " + to.Path() + ", from where it is"
	}
	return fmt.Sprintf("it leads to %s and belongs to uid %d%s", to.Path(), st.UID, ofRoot)
}

// isFile tells whether a link led to something that is no folder.
func isFile(err error) bool { return errors.Is(err, unix.ENOTDIR) }
