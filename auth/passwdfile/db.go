package passwdfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Options of the database. Those of a passdb and a userdb with the same Files read the file once.
type Options struct {
	Files  *Files
	Format *variable.Template // what is looked up; nil: the user's name
	Alone  bool               // no other userdb may know a user that this one has no uid for
}

// Files are the lists that a path names: one, or with variables one for each domain or user.
type Files struct {
	// Parse reads the template that the value of an extra field is; nil: that of 2.3.
	Parse func(string) (*variable.Template, error)
	Log   *slog.Logger
	Now   func() time.Time

	path *variable.Template
	dots int // parts ".." that the path itself has
	text string

	mu           sync.Mutex
	lists        map[string]*list
	userdb, warn bool
}

// NewFiles are the lists of a path that may have variables. In their values everything from the first "/" is dropped,
// and they cannot be or become "..": nobody leaves the folder by the name that he gives.
func NewFiles(path *variable.Template, log *slog.Logger) (*Files, error) {
	if path == nil {
		return nil, errors.New("no path")
	}
	f := &Files{path: path, Log: log, Now: time.Now, Parse: variable.Parse23, lists: map[string]*list{}}
	text, err := path.Expand(func(string) (string, error) { return "x", nil })
	if err != nil {
		return nil, fmt.Errorf("its path: %w", err)
	}
	f.dots = dots(text)
	if path.Literal() {
		f.text = text
	}
	return f, nil
}

// dots counts the parts ".." of a path.
func dots(path string) (n int) {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			n++
		}
	}
	return n
}

// Load reads the list, if the path has no variables. That it is missing is an error, which may end: the list is looked
// for again at each lookup.
func (f *Files) Load() error {
	if f.text == "" {
		return nil
	}
	l := f.list(f.text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines != nil {
		return nil
	}
	return l.read()
}

// list gives the list at a path.
func (f *Files) list(path string) *list {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lists[path]
	if l == nil {
		l = &list{path: path, log: f.Log, ofUser: f.text == "", userdb: f.userdb, warn: f.warn}
		f.lists[path] = l
	}
	return l
}

// drop forgets a list that is not there: whoever tries many names must not fill the memory.
func (f *Files) drop(l *list) {
	if f.text != "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lists[l.path] == l {
		delete(f.lists, l.path)
	}
}

// find gives the user's line, by a name of that format, and the list that has it.
func (f *Files) find(r *auth.Request, format *variable.Template) (line string, l *list, err error) {
	path, err := f.pathOf(r)
	if err != nil {
		return "", nil, err
	}
	name := escaper.Replace(r.User)
	if format != nil {
		if name, err = r.ExpandEscaped(format, escaper.Replace); err != nil {
			return "", nil, fmt.Errorf("Failed to expand username_format: %w", err)
		}
	}
	l = f.list(path)
	line, ok, err := l.find(name, f.Now())
	switch {
	case errors.Is(err, errMissing):
		f.drop(l)
		return "", nil, &auth.Refusal{Err: auth.ErrUnknown, Text: err.Error(), Level: slog.LevelInfo}
	case err != nil:
		f.drop(l)
		return "", nil, err
	case !ok:
		return "", nil, auth.ErrUnknown
	}
	return line, l, nil
}

// pathOf gives the path of the user's list.
func (f *Files) pathOf(r *auth.Request) (string, error) {
	if f.text != "" {
		return f.text, nil
	}
	path, err := r.ExpandEscaped(f.path, func(value string) string {
		value, _, _ = strings.Cut(value, "/")
		return value
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("Failed to expand passwd-file path: %w", err)
	case dots(path) > f.dots, strings.IndexByte(path, 0) >= 0:
		return "", &auth.Refusal{Err: auth.ErrUnknown, Text: fmt.Sprintf("the name leads out of its folder: %q", path), Level: slog.LevelInfo}
	}
	return path, nil
}

// PassDB is a passwd-file as a database of passwords. It can be changed, too: see Set.
type PassDB struct{ o Options }

// NewPassDB makes a passdb; Load of its files says whether they can be read.
func NewPassDB(o Options) *PassDB { return &PassDB{o} }

// Find gives the field password, "" where the line has none, and all extra fields.
func (p *PassDB) Find(_ context.Context, r *auth.Request) (auth.Fields, error) {
	line, _, err := p.o.Files.find(r, p.o.Format)
	if err != nil {
		return nil, err
	}
	e, _ := Parse(line)
	password, err := stored(e.Password)
	if err != nil {
		return nil, err
	}
	return p.o.Files.extra(auth.Fields{{Key: "password", Value: password}}, e, r, "")
}

// stored gives a password with the scheme that libpam-pwdfile's spelling "hash[13]" stands for.
func stored(password string) (string, error) {
	n := len(password)
	if n <= 4 || password[0] == '{' || password[0] == '$' || password[n-1] != ']' || password[n-4] != '[' {
		return password, nil
	}
	hash := password[:n-4]
	switch password[n-3 : n-1] {
	case "34":
		return "{PLAIN-MD5}" + hash, nil
	case "56":
		if len(hash) != 32 {
			return "", errors.New("invalid password")
		}
		return "{DIGEST-MD5}" + hash, nil
	}
	return "{CRYPT}" + hash, nil
}

// extra adds the extra fields whose keys begin with prefix, without it.
func (f *Files) extra(fields auth.Fields, e Entry, r *auth.Request, prefix string) (auth.Fields, error) {
	for _, x := range e.Extra {
		key, ok := strings.CutPrefix(x.Key, prefix)
		if !ok || key == "" {
			continue
		}
		value := x.Value
		if strings.IndexByte(value, '%') >= 0 {
			t, err := f.Parse(value)
			if err == nil {
				value, err = r.Expand(t)
			}
			if err != nil {
				return nil, fmt.Errorf("Failed to expand extra field %s: %w", x.Key, err)
			}
		}
		fields = fields.Set(key, value)
	}
	return fields, nil
}

// UserDB is a passwd-file as a database of users.
type UserDB struct{ o Options }

// NewUserDB makes a userdb. It is to be made before its files are loaded, since lines with a wrong uid count for a passdb
// that is alone with them.
func NewUserDB(o Options) *UserDB {
	f := o.Files
	f.mu.Lock()
	defer f.mu.Unlock()
	f.userdb, f.warn = true, o.Alone
	for _, l := range f.lists {
		l.mu.Lock()
		l.userdb, l.warn = true, o.Alone
		l.forget()
		l.checked = 0
		l.mu.Unlock()
	}
	return &UserDB{o}
}

// Find gives uid, gid and home, as far as they are there, and the extra fields with userdb_.
func (u *UserDB) Find(_ context.Context, r *auth.Request) (auth.Fields, error) {
	line, l, err := u.o.Files.find(r, u.o.Format)
	if err != nil {
		return nil, err
	}
	if !hasUser(line) {
		return nil, auth.ErrUnknown
	}
	e, _ := Parse(line)
	l.mu.Lock()
	uid, err1 := l.ids.uid(e.UID)
	gid, err2 := l.ids.gid(e.GID)
	l.mu.Unlock()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var fields auth.Fields
	if uid != 0 {
		fields = fields.Set("uid", strconv.FormatUint(uint64(uid), 10))
	}
	if gid != 0 {
		fields = fields.Set("gid", strconv.FormatUint(uint64(gid), 10))
	}
	if e.Home != "" {
		fields = fields.Set("home", e.Home)
	}
	return u.o.Files.extra(fields, e, r, "userdb_")
}

// Users gives the names in the order of the file, those that are there twice twice. Where another userdb may have the
// rest of what is to be known of a user, lines that say nothing to a userdb are passed over.
func (u *UserDB) Users(ctx context.Context, _ *auth.Request) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if u.o.Files.text == "" {
			yield("", errors.New("passwd-file: User iteration isn't currently supported with %variable paths"))
			return
		}
		text, err := readAll(u.o.Files.text)
		if err != nil {
			yield("", err)
			return
		}
		for name := range names(text, u.o.Alone) {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}

func readAll(path string) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, failed("read", path, err)
	}
	return text, nil
}
