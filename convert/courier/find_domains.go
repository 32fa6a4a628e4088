package courier

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"dovetail/auth/vpopmail"
	"dovetail/formats/disk"
)

// usersDir is where qmail keeps the list of domains.
const usersDir = "var/qmail/users"

// domain is a folder with the accounts of one domain.
type domain struct {
	name    string
	aliases []string // other names of it
	dir     string   // without links
	place   place
	uid     int    // whose its mail is
	err     error  // why the folder could not be opened
	why     string // how it was found

	// guessed says that no list names the folder, so that its accounts may be those of a site that is unpacked elsewhere.
	guessed bool

	// partly says that only accounts at or below the starts are wanted.
	partly bool
}

// domains gives the domains whose accounts are asked for before the walk.
func (f *finder) domains() ([]domain, error) {
	file, lines, problems, err := f.readAssign()
	if err != nil {
		return nil, err
	}
	found := f.wanted(f.group(lines, file))
	switch {
	case len(found) > 0:
		for _, p := range problems {
			f.give(BadEntry, p.User, p.Path, p.Error())
		}
	case f.o.Assign != "":
		f.give(NoPlace, file, file, "it names no domain whose folder lies at, below or above a path")
	}
	for _, s := range f.starts {
		found = append(found, f.around(s)...)
	}
	return found, nil
}

// readAssign gives the lines of the list that was named, or of qmail's own if there is one.
func (f *finder) readAssign() (file string, lines []vpopmail.Domain, problems []vpopmail.Problem, err error) {
	if f.o.Assign != "" {
		file = f.inSite(f.o.Assign)
		lines, problems, err = vpopmail.ReadAssign(file)
		return file, lines, problems, err
	}
	for _, name := range []string{"assign", "cdb"} {
		file = join(f.site, usersDir+"/"+name)
		lines, problems, err = vpopmail.ReadAssign(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, lines, problems, err
		}
	}
	return "", nil, nil, nil
}

// group makes one domain of all lines that name the same folder.
func (f *finder) group(lines []vpopmail.Domain, file string) (all []domain) {
	known := map[place]int{}
	for _, line := range lines {
		d := domain{name: line.Real, uid: line.UID, why: file}
		if dir, err := f.resolve(line.Dir); err != nil {
			d.name, d.dir, d.err = line.Name, join(f.site, line.Dir), err
		} else {
			d.dir = dir.Path()
			d.place, d.err = placeOf(dir)
			dir.Close()
		}
		i, again := known[d.place]
		if d.err != nil || !again {
			i = len(all)
			all = append(all, d)
		}
		if d.err == nil {
			known[d.place] = i
		}
		if line.Name != all[i].name {
			all[i].aliases = append(all[i].aliases, line.Name)
		}
	}
	return all
}

// wanted leaves the domains out that the starts do not mean. A start above the folder of a domain means all of them, also
// those elsewhere, unless it is one of vpopmail's folders between, whose names are single letters; a start in the folder
// of a domain means what lies there.
func (f *finder) wanted(all []domain) []domain {
	whole := len(f.starts) == 0
	for _, d := range all {
		for _, s := range f.starts {
			path := s.dir.Path()
			whole = whole || f.o.Recursive && path != d.dir && below(d.dir, path) && len(filepath.Base(path)) != 1
		}
	}
	all = slices.DeleteFunc(all, func(d domain) bool { return !whole && !f.touches(d.dir) })
	for i, d := range all {
		all[i].partly = !whole && !f.walkedAnyway(d.dir)
		if d.err == nil {
			f.lists[d.place] = d.name
		}
	}
	return all
}

// touches tells whether a path lies at, below or above a start.
func (f *finder) touches(path string) bool {
	return slices.ContainsFunc(f.starts, func(s start) bool {
		return below(path, s.dir.Path()) || below(s.dir.Path(), path)
	})
}

// around gives the domain in whose folder a start lies, where no list has told it: its folder has a vpasswd.
func (f *finder) around(s start) []domain {
	for path := filepath.Dir(s.dir.Path()); path != "/"; path = filepath.Dir(path) {
		dir, err := f.fs.OpenRoot(path)
		if err != nil {
			return nil
		}
		d, ok := f.guess(dir, filepath.Base(path))
		dir.Close()
		if ok {
			d.partly = true
			return []domain{d}
		}
	}
	return nil
}

// guess makes a domain of a folder with a vpasswd that is not known yet.
func (f *finder) guess(dir *disk.Dir, name string) (d domain, ok bool) {
	_, noText := dir.Stat("vpasswd")
	_, noData := dir.Stat("vpasswd.cdb")
	p, err := placeOf(dir)
	if _, known := f.lists[p]; err != nil || known || noText != nil && noData != nil {
		return d, false
	}
	f.lists[p] = name
	return domain{name: name, dir: dir.Path(), place: p, why: "vpasswd of " + name, guessed: true}, true
}
