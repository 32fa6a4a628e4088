package convert

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/location"
)

// Folders gives the users that a template's source has folders for: of "maildir:/home/%n/Maildir" those of /home that have
// a Maildir, of "mbox:~/mail:INBOX=/var/mail/%d/%n" nobody, for it is the first path that counts. They come in the order of
// their names. Who cannot be told to have one, for the folder cannot be read, is an error about him.
func Folders(t Template) (Users, error) {
	p, err := parsePattern(t.Source)
	if err != nil {
		return nil, err
	}
	return func(yield func(User, error) bool) {
		for _, f := range p.find() {
			u, err := User{Name: f.name}, f.err
			if err == nil {
				u, err = t.User(f.name, "")
			}
			if err == nil && os.Geteuid() == 0 {
				u.Owner, err = ownerOf(f.own)
			}
			if err != nil {
				err = &UserError{f.name, err}
			}
			if !yield(u, err) {
				return
			}
		}
	}, nil
}

// pattern is the path of a template, in parts that hold at most one variable each.
type pattern struct{ parts []part }

// part is the name of a folder: variable is 0 for a fixed one, else 'u', 'n' or 'd'.
type part struct {
	before, after string
	variable      byte
}

// stand-ins for the variables, which occur in no path.
const marks = "\x01\x02\x03"

// parsePattern finds the variables of a template's root.
func parsePattern(source string) (pattern, error) {
	marked := location.Vars{User: marks[0:1] + "@" + marks[1:2]} // %n and %d; %u is both
	l, err := location.Parse(source, marked)
	if err != nil {
		return pattern{}, err
	}
	root, err := filepath.Abs(strings.ReplaceAll(l.Root, marked.User, marks[2:3]))
	if err != nil {
		return pattern{}, err
	}
	var p pattern
	var kinds string
	for name := range strings.SplitSeq(strings.TrimPrefix(root, "/"), "/") {
		i := strings.IndexAny(name, marks)
		if i < 0 {
			p.parts = append(p.parts, part{before: name})
			continue
		}
		one := part{before: name[:i], after: name[i+1:], variable: "ndu"[name[i]-1]}
		if strings.ContainsAny(one.after, marks) {
			return p, fmt.Errorf("%s: of the users only those folders can be found whose names hold one variable: give --users", source)
		}
		kinds += string(one.variable)
		p.parts = append(p.parts, one)
	}
	if !strings.ContainsAny(kinds, "un") {
		return p, fmt.Errorf("%s: users are found by folders that are named %%u, or %%n, or %%d and %%n; else give --users", source)
	}
	return p, nil
}

// found is one user of a pattern.
type found struct {
	name string
	own  string // the folder that belongs to him
	err  error
}

// find walks the folders.
func (p pattern) find() []found {
	var all []found
	p.walk("/", p.parts, map[byte]string{}, "", &all)
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(a.name, b.name) })
	return all
}

func (p pattern) walk(at string, rest []part, has map[byte]string, own string, all *[]found) {
	if len(rest) == 0 {
		if _, err := os.Lstat(at); err == nil || !errors.Is(err, fs.ErrNotExist) {
			*all = append(*all, found{nameOf(has), own, nil})
		}
		return
	}
	one := rest[0]
	if one.variable == 0 {
		p.walk(filepath.Join(at, one.before), rest[1:], has, own, all)
		return
	}
	entries, err := os.ReadDir(at)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		*all = append(*all, found{nameOf(has), own, err})
		return
	}
	for _, e := range entries {
		value, ok := one.match(e.Name())
		if was, again := has[one.variable]; !ok || again && was != value {
			continue
		}
		with := map[byte]string{one.variable: value}
		for k, v := range has {
			with[k] = v
		}
		path := filepath.Join(at, e.Name())
		p.walk(path, rest[1:], with, path, all)
	}
}

// match gives what the variable stands for in a name. Names that begin with a dot are nobody's.
func (o part) match(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, o.before)
	value, ok2 := strings.CutSuffix(rest, o.after)
	return value, ok && ok2 && value != "" && !strings.HasPrefix(value, ".")
}

// nameOf puts a user's name together.
func nameOf(has map[byte]string) string {
	switch {
	case has['u'] != "":
		return has['u']
	case has['d'] == "":
		return has['n']
	}
	return has['n'] + "@" + has['d']
}
