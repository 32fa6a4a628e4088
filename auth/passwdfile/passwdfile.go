// Package passwdfile is Dovecot's passwd-file, a list of accounts in one text file: how it is read and written (Entry),
// and the databases of passwords and users that it is (PassDB, UserDB).
//
//	user:password:uid:gid:gecos:home:shell:extra fields
//
// Password is "{SCHEME}value". uid and gid are numbers or names and may be empty. Dovecot does not look at gecos and
// shell. Everything behind the seventh colon is extra fields, separated by spaces, "key=value" or "key": those that begin
// with "userdb_" are the userdb's ("userdb_quota_rule=*:bytes=10M"), the others the passdb's ("nologin"). Their values are
// templates in which "%u" and the like are replaced and "%%" is a percent sign; home is none.
//
// Dovecot puts a backslash before each of ' " \ in a name before it looks for it (it does so for every database), so the name
// o'brien stands in the file as o\'brien. Its listing of all users gives the name as it stands, and so does not find it.
//
// Empty lines and lines that begin with "#" or ":" are passed over. A line with the name alone is good for lists of who
// is denied. Where a name is there twice, the first good line counts. There is no escaping: a colon can only stand in the extra
// fields, a space not there, a newline nowhere. An older form has an empty eighth field and a mail location as ninth; it
// is read as userdb_mail.
//
// A password without a scheme may end in a number in brackets, which stands for one as in libpam-pwdfile: "hash[13]"
// CRYPT, "hash[34]" PLAIN-MD5, "hash[56]" DIGEST-MD5. A line that has no gid, not even an empty one, says nothing to a
// userdb; one with a uid or gid of 0, or of a name that the system does not know, does not count at all where a userdb
// reads the file. All of it tried with Dovecot 2.3.19.1.
package passwdfile

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"dovetail/auth/listfile"
)

// Entry is one line.
type Entry struct {
	Name     string // as users give it; in the file it is escaped
	Password string // as stored, with its scheme; "" for none
	UID, GID string // numbers or names
	Gecos    string
	Home     string
	Shell    string
	Extra    []Field
}

// Field is one extra field; its value is a template. Bare: there is no "=".
type Field struct {
	Key, Value string
	Bare       bool
}

// Literal gives the template for a value that is to come out as it is.
func Literal(value string) string { return strings.ReplaceAll(value, "%", "%%") }

// Literal gives the value of a template without variables; false when it has any.
func (f Field) Literal() (string, bool) {
	value := strings.ReplaceAll(f.Value, "%%", "\x00")
	return strings.ReplaceAll(value, "\x00", "%"), !strings.Contains(value, "%")
}

// Get gives the value of the last field of that key; ok tells whether there is one.
func (e Entry) Get(key string) (f Field, ok bool) {
	for _, x := range e.Extra {
		if x.Key == key {
			f, ok = x, true
		}
	}
	return f, ok
}

// Parse reads one line without its end. ok is false for a line that Dovecot passes over.
func Parse(text string) (e Entry, ok bool) {
	if text == "" || text[0] == '#' || text[0] == ':' {
		return Entry{}, false
	}
	f := strings.SplitN(text, ":", 8)
	f = append(f, make([]string, 8-len(f))...)
	e = Entry{Name: unescaper.Replace(f[0]), Password: f[1], UID: f[2], GID: f[3], Gecos: f[4], Home: f[5], Shell: f[6]}
	if mail, old := strings.CutPrefix(f[7], ":"); old {
		e.Extra = []Field{{Key: "userdb_mail", Value: mail}}
		return e, true
	}
	for _, word := range strings.Fields(f[7]) {
		key, value, has := strings.Cut(word, "=")
		e.Extra = append(e.Extra, Field{Key: key, Value: value, Bare: !has})
	}
	return e, true
}

var (
	escaper   = strings.NewReplacer(`'`, `\'`, `"`, `\"`, `\`, `\\`)
	unescaper = strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\\`, `\`)
)

// Append adds the entry's line with its newline. It refuses what the format cannot hold, naming the field and not its
// value.
func (e Entry) Append(dst []byte) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = fmt.Appendf(dst, "%s:%s:%s:%s:%s:%s:%s:", escaper.Replace(e.Name), e.Password, e.UID, e.GID, e.Gecos, e.Home, e.Shell)
	for i, f := range e.Extra {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, f.Key...)
		if !f.Bare {
			dst = append(append(dst, '='), f.Value...)
		}
	}
	if len(dst)-start >= listfile.Longest {
		return dst[:start], fmt.Errorf("a line of more than %d bytes", listfile.Longest)
	}
	return append(dst, '\n'), nil
}

func (e Entry) check() error {
	if e.Name == "" || e.Name[0] == '#' {
		return errors.New(`a name that is empty or begins with "#", which a passwd-file cannot hold`)
	}
	for _, f := range []struct{ name, value string }{
		{"name", e.Name}, {"password", e.Password}, {"uid", e.UID}, {"gid", e.GID}, {"gecos", e.Gecos}, {"home", e.Home}, {"shell", e.Shell},
	} {
		if strings.ContainsAny(f.value, ":\r\n\x00") {
			return fmt.Errorf("%s: a colon, line end or zero byte, which a passwd-file cannot hold", f.name)
		}
	}
	for _, f := range e.Extra {
		bad := f.Key == "" || strings.ContainsAny(f.Key, ":=") || f.Bare && f.Value != ""
		if bad || strings.ContainsFunc(f.Key+f.Value, func(r rune) bool { return r <= ' ' || isSpace(r) }) {
			return fmt.Errorf("extra field %q: a space, line end or zero byte, which a passwd-file cannot hold", f.Key)
		}
	}
	return nil
}

// isSpace are the further runes at which strings.Fields cuts.
func isSpace(r rune) bool { return len(strings.Fields("a"+string(r)+"b")) > 1 }

// Entries gives the entries of a file in their order. path is for the problems. A Problem (errors.As) is about one line
// and does not end the iteration; any other error does. Of a name that is there twice the first line is given, which
// counts for Dovecot; the second is a problem.
func Entries(r io.Reader, path string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		seen := map[string]int{}
		for l, err := range listfile.Lines(r) {
			if err != nil {
				yield(Entry{}, fmt.Errorf("%s: %w", path, err))
				return
			}
			if !one(l, path, seen, yield) {
				return
			}
		}
	}
}

func one(l listfile.Line, path string, seen map[string]int, yield func(Entry, error) bool) bool {
	problem := listfile.Problem{Path: path, Line: l.Number}
	if damage := l.Damage(); damage != nil {
		problem.What = damage.Error()
		return yield(Entry{}, problem)
	}
	e, ok := Parse(strings.TrimSuffix(string(l.Text), "\r"))
	if !ok {
		return true
	}
	if first := seen[e.Name]; first != 0 {
		problem.User, problem.What = e.Name, fmt.Sprintf("the same name as in line %d, which is the one that counts", first)
		return yield(Entry{}, problem)
	}
	seen[e.Name] = l.Number
	return yield(e, nil)
}
