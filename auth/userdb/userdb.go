// Package userdb reads Courier's userdb, a list of accounts with named fields.
//
//	name TAB field=value|field=value|…
//
// The list is a file, or a folder whose files are read one after the other (names that begin with a dot are not).
// Courier compiles it to userdb.dat and userdbshadow.dat, which are not read: they are in a database format of the
// machine. Fields are uid, gid, home, mail (the Maildir; otherwise home/Maildir), shell, quota (as vpopmail's), options
// ("disableimap=1,disablepop3=1,…"), and passwords: systempw for all services, imappw, pop3pw, esmtppw for one, which wins
// there. Fields that end in "hmac-md5pw" or "hmac-sha1pw" are contexts for CRAM and no passwords. Lines that begin with
// "#" are comments. The first line of a name counts.
package userdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"dovetail/auth/listfile"
)

// Entry is one account: its name and fields. A field without a value has "".
type Entry struct {
	Name   string
	Fields map[string]string
}

// Options gives what the field options sets: "disableimap=1,group=x" as a map.
func (e Entry) Options() map[string]string {
	options := map[string]string{}
	for part := range strings.SplitSeq(e.Fields["options"], ",") {
		if key, value, _ := strings.Cut(strings.TrimSpace(part), "="); key != "" {
			options[key] = value
		}
	}
	return options
}

// Parse reads one line without its end. ok is false for an empty line or a comment.
func Parse(text string) (e Entry, ok bool, err error) {
	if strings.TrimSpace(text) == "" || text[0] == '#' {
		return Entry{}, false, nil
	}
	name, rest, hasTab := strings.Cut(text, "\t")
	e = Entry{Name: name, Fields: map[string]string{}}
	switch {
	case name == "":
		return Entry{}, false, errors.New("no name")
	case !hasTab:
		return Entry{}, false, errors.New("no tab behind the name") // the name could be anything, a password too
	}
	for field := range strings.SplitSeq(rest, "|") {
		key, value, _ := strings.Cut(field, "=")
		if key = strings.TrimSpace(key); key != "" {
			if _, twice := e.Fields[key]; !twice {
				e.Fields[key] = value
			}
		}
	}
	return e, true, nil
}

// Entries gives the accounts of a file or folder. A Problem (errors.As) is about one line or file and does not end the
// iteration; any other error does.
func Entries(path string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		paths, err := files(path)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		seen := map[string]string{}
		for _, p := range paths {
			f, _, err := listfile.Open(p)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			more := read(f, p, seen, yield)
			f.Close()
			if !more {
				return
			}
		}
	}
}

// files are the files to read: path itself or, below a folder at any depth, what it holds, by name.
func files(path string) (paths []string, err error) {
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != path && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular() || p == path && !d.IsDir():
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("userdb: %w", err)
	}
	return paths, err
}

func read(r io.Reader, path string, seen map[string]string, yield func(Entry, error) bool) bool {
	for l, err := range listfile.Lines(r) {
		if err != nil {
			return yield(Entry{}, fmt.Errorf("%s: %w", path, err)) && false
		}
		e, ok, err := Parse(string(l.Text))
		if damage := l.Damage(); damage != nil {
			err = damage
		}
		if first := seen[e.Name]; err == nil && ok && first != "" {
			err = fmt.Errorf("the same name as in %s, which is the one that counts", first)
		}
		switch {
		case err != nil:
			err = listfile.Problem{Path: path, Line: l.Number, User: e.Name, What: err.Error()}
			if !yield(Entry{}, err) {
				return false
			}
		case ok:
			seen[e.Name] = fmt.Sprintf("%s line %d", path, l.Number)
			if !yield(e, nil) {
				return false
			}
		}
	}
	return true
}
