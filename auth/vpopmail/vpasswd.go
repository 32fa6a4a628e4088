package vpopmail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"dovetail/auth/cdb"
	"dovetail/auth/listfile"
)

// fields is the number of colons that a line of vpasswd has at least; vpopmail ignores lines with fewer.
const fields = 6

// ParseAccount reads the line of an account: "name:crypt:uid:gidflags:gecos:dir:quota[:clear]". Numbers are read as C's
// atoi does: what is no number counts as 0.
func ParseAccount(text string) (Account, error) {
	if n := strings.Count(text, ":"); n < fields {
		return Account{}, fmt.Errorf("%d colons instead of 6 or more: vpopmail ignores the line", n)
	}
	f := strings.SplitN(text, ":", fields+2)
	if f[0] == "" {
		return Account{}, errors.New("no name")
	}
	a := Account{Name: f[0], Hash: f[1], PwUID: atoi(f[2]), Flags: Flags(atoi(f[3])), Gecos: f[4], Dir: f[5], Quota: f[6]}
	if len(f) > fields+1 {
		a.Clear = f[fields+1]
	}
	return a, nil
}

// atoi reads a number as C does: leading blanks and a sign are allowed, the first other character ends it.
func atoi(s string) int {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil {
		return 0
	}
	return int(n)
}

// AppendLine adds the account's line with its newline. It refuses what a line cannot hold.
func (a Account) AppendLine(dst []byte) ([]byte, error) {
	if err := a.check(); err != nil {
		return dst, err
	}
	dst = append(append(dst, a.Name...), ':')
	return append(a.appendRest(dst), '\n'), nil
}

// Record gives the account's record in vpasswd.cdb.
func (a Account) Record() (cdb.Record, error) {
	if err := a.check(); err != nil {
		return cdb.Record{}, err
	}
	return cdb.Record{Key: []byte(a.Name), Data: a.appendRest(nil)}, nil
}

func (a Account) appendRest(dst []byte) []byte {
	dst = fmt.Appendf(dst, "%s:%d:%d:%s:%s:%s", a.Hash, a.PwUID, a.Flags, a.Gecos, a.Dir, a.Quota)
	if a.Clear != "" {
		dst = append(append(dst, ':'), a.Clear...)
	}
	return dst
}

// check names the field that no line can hold, without its value.
func (a Account) check() error {
	if a.Name == "" {
		return errors.New("no name")
	}
	for _, f := range []struct{ name, value string }{
		{"name", a.Name}, {"hash", a.Hash}, {"gecos", a.Gecos}, {"dir", a.Dir}, {"quota", a.Quota},
	} {
		if strings.ContainsAny(f.value, ":\n\x00") {
			return fmt.Errorf("the %s holds a colon, a newline or a zero byte, which vpasswd cannot", f.name)
		}
	}
	if strings.ContainsAny(a.Clear, "\n\x00") {
		return errors.New("the clear password holds a newline or a zero byte, which vpasswd cannot")
	}
	return nil
}

// Vpasswd gives the accounts of a vpasswd file in their order. path and domain are for the problems and the accounts. A
// Problem is one line that is set aside; any other error ends the iteration.
func Vpasswd(r io.Reader, path, domain string) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		seen := map[string]int{}
		for l, err := range listfile.Lines(r) {
			if err != nil {
				yield(Account{}, fmt.Errorf("%s: %w", path, err))
				return
			}
			a, err := parseLine(l, seen)
			switch {
			case err == errBlank:
				continue
			case err != nil:
				err = Problem{Path: path, Line: l.Number, User: a.Name, What: err.Error()}
			default:
				a.Domain = domain
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

var errBlank = errors.New("blank line")

// parseLine also refuses a name that an earlier line has: vpopmail finds the first one.
func parseLine(l listfile.Line, seen map[string]int) (Account, error) {
	if len(bytes.TrimSpace(l.Text)) == 0 {
		return Account{}, errBlank
	}
	if err := l.Damage(); err != nil {
		return Account{}, err
	}
	a, err := ParseAccount(string(l.Text))
	if err != nil {
		return a, err
	}
	if first := seen[a.Name]; first != 0 {
		return Account{Name: a.Name}, fmt.Errorf("the same name as in line %d, which is the one that counts", first)
	}
	seen[a.Name] = l.Number
	return a, nil
}
