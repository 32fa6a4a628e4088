package vpopmail

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"dovetail/auth/cdb"
	"dovetail/auth/listfile"
)

// Accounts gives the accounts of the domain whose folder is d.Dir, in the order of vpasswd. A Problem (errors.As) is about
// one account or line and does not end the iteration; any other error does.
//
// Where vpasswd and vpasswd.cdb differ, each difference is a problem with the name of the newer file. The compiled file
// counts, because vpopmail asks it alone; an account that only one of the two has is given all the same, so that nobody's
// mail is forgotten. A compiled file that is damaged is a problem, and vpasswd counts. Neither there: fs.ErrNotExist.
func Accounts(d Domain) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		l, err := openList(d)
		if err != nil {
			yield(Account{}, err)
			return
		}
		defer l.close()
		if l.damage != nil && !yield(Account{}, *l.damage) {
			return
		}
		if l.text == nil || l.source(yield) {
			l.compiledOnly(yield)
		}
	}
}

// list is a domain's pair of files; text or db is nil where the file is not there.
type list struct {
	domain     string
	text, data *os.File
	db         *cdb.DB
	newer      string   // which file is newer, for problems
	damage     *Problem // why db is nil though there is a file
	seen       map[string]bool
}

func openList(d Domain) (*list, error) {
	l := &list{domain: d.Real, seen: map[string]bool{}, newer: "both are of the same time"}
	text, textInfo, err := listfile.Open(filepath.Join(d.Dir, "vpasswd"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l.text = text
	data, dataInfo, derr := listfile.Open(filepath.Join(d.Dir, "vpasswd.cdb"))
	switch {
	case derr == nil:
		l.data = data
		if l.db, derr = cdb.Open(data, dataInfo.Size()); derr != nil {
			l.damage = &Problem{Path: data.Name(), What: derr.Error() + "; vpasswd is used"}
		}
	case !errors.Is(derr, fs.ErrNotExist):
		l.close()
		return nil, derr
	}
	if l.text == nil && l.db == nil {
		l.close()
		return nil, errors.Join(err, derr)
	}
	if textInfo != nil && dataInfo != nil {
		switch textInfo.ModTime().Compare(dataInfo.ModTime()) {
		case 1:
			l.newer = "vpasswd is newer"
		case -1:
			l.newer = "vpasswd.cdb is newer"
		}
	}
	return l, nil
}

func (l *list) close() {
	for _, f := range []*os.File{l.text, l.data} {
		if f != nil {
			f.Close()
		}
	}
}

// source gives the accounts of vpasswd, as the compiled file has them; false when the caller has enough.
func (l *list) source(yield func(Account, error) bool) bool {
	for a, err := range Vpasswd(l.text, l.text.Name(), l.domain) {
		if err != nil {
			p, isProblem := errors.AsType[Problem](err)
			if !yield(Account{}, err) || !isProblem || p.Line == 0 {
				return false
			}
			continue
		}
		l.seen[a.Name] = true
		a, err = l.compiled(a)
		if err != nil && !yield(Account{}, err) || !yield(a, nil) {
			return false
		}
	}
	return true
}

// compiled gives the account as the compiled file has it, with a problem when that differs.
func (l *list) compiled(a Account) (Account, error) {
	if l.db == nil {
		return a, nil
	}
	data, err := l.db.Get([]byte(a.Name))
	problem := func(what string) error {
		return Problem{Path: l.data.Name(), User: a.Address(), What: what}
	}
	switch {
	case err != nil:
		return a, problem(err.Error() + "; vpasswd is used")
	case data == nil:
		return a, problem("in vpasswd only, so the account could not log in; " + l.newer)
	}
	c, err := parseRecord(cdb.Record{Key: []byte(a.Name), Data: data}, l.domain)
	switch {
	case err != nil:
		return a, problem(err.Error() + "; vpasswd is used")
	case c != a:
		return c, problem("differs from vpasswd in " + difference(a, c) + "; vpasswd.cdb counts; " + l.newer)
	}
	return c, nil
}

// compiledOnly gives the accounts that vpasswd does not have.
func (l *list) compiledOnly(yield func(Account, error) bool) {
	if l.db == nil {
		return
	}
	for r, err := range l.db.Records() {
		if err != nil {
			// Without vpasswd the rest of the accounts is gone; with it, all of its accounts have been given.
			yield(Account{}, Problem{Path: l.data.Name(), What: err.Error() + "; the rest of the file is not read"})
			return
		}
		if l.seen[string(r.Key)] {
			continue
		}
		l.seen[string(r.Key)] = true
		a, err := parseRecord(r, l.domain)
		if err != nil {
			if !yield(Account{}, Problem{Path: l.data.Name(), User: string(r.Key), What: err.Error()}) {
				return
			}
			continue
		}
		if l.text != nil && !yield(Account{}, Problem{Path: l.text.Name(), User: a.Address(), What: "in vpasswd.cdb only; " + l.newer}) {
			return
		}
		if !yield(a, nil) {
			return
		}
	}
}

func parseRecord(r cdb.Record, domain string) (Account, error) {
	a, err := ParseAccount(string(r.Key) + ":" + string(r.Data))
	if err == nil && a.Name != string(r.Key) {
		err = errors.New("the name holds a colon")
	}
	a.Domain = domain
	return a, err
}

// difference names the fields that differ, never their values.
func difference(a, b Account) string {
	var names string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"password", a.Hash == b.Hash && a.Clear == b.Clear}, {"uid", a.PwUID == b.PwUID}, {"flags", a.Flags == b.Flags},
		{"gecos", a.Gecos == b.Gecos}, {"dir", a.Dir == b.Dir}, {"quota", a.Quota == b.Quota},
	} {
		if !f.same {
			names += fmt.Sprintf(", %s", f.name)
		}
	}
	return names[min(2, len(names)):]
}
