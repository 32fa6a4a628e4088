package vpopmail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"dovetail/auth/cdb"
	"dovetail/auth/listfile"
)

// ReadAssign reads the domains of qmail's users/assign or of its compiled form users/cdb, told apart by their content, in
// the order of the file. Lines of local users ("=root:…", "+:alias:…") are no domains and are passed over. A line that
// looks like a domain's and cannot be read is a problem.
func ReadAssign(path string) ([]Domain, []Problem, error) {
	f, err := os.Open(path) // root's own file: links are allowed
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w", path, listfile.ErrNotRegular)
	}
	if isCDB(f) {
		return assignCDB(f, info.Size(), path)
	}
	return assignText(f, path)
}

// isCDB tells a compiled file by the zero bytes of its head: the high bytes of its numbers of slots.
func isCDB(r io.ReaderAt) bool {
	head := make([]byte, 2048)
	n, _ := r.ReadAt(head, 0)
	return n == len(head) && bytes.IndexByte(head, 0) >= 0
}

func assignText(r io.Reader, path string) (domains []Domain, problems []Problem, err error) {
	seen, ended := map[string]bool{}, false
	for l, err := range listfile.Lines(r) {
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if ended = string(l.Text) == "."; ended {
			break
		}
		key, rest, _ := strings.Cut(string(l.Text), ":")
		name, is := domainName(strings.TrimPrefix(key, "+"))
		if !is || !strings.HasPrefix(key, "+") {
			continue
		}
		d, err := newDomain(name, strings.Split(rest, ":"), seen)
		if damage := l.Damage(); damage != nil {
			err = damage
		}
		if err != nil {
			problems = append(problems, Problem{Path: path, Line: l.Number, User: name, What: err.Error()})
			continue
		}
		domains = append(domains, d)
	}
	if !ended {
		problems = append(problems, Problem{Path: path, What: `no line "." at the end: qmail would refuse to compile the file`})
	}
	return domains, problems, nil
}

func assignCDB(r io.ReaderAt, size int64, path string) (domains []Domain, problems []Problem, err error) {
	db, err := cdb.Open(r, size)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[string]bool{}
	for r, err := range db.Records() {
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		name, is := domainName(strings.TrimPrefix(string(r.Key), "!"))
		if !is || r.Key[0] != '!' {
			continue
		}
		d, err := newDomain(name, strings.Split(string(r.Data), "\x00"), seen)
		if err != nil {
			problems = append(problems, Problem{Path: path, User: name, What: err.Error()})
			continue
		}
		domains = append(domains, d)
	}
	return domains, problems, nil
}

// domainName gives the domain of a key "example.com-". What ends in no dash or has no dot is a local user.
func domainName(key string) (string, bool) {
	name, dash := strings.CutSuffix(key, "-")
	return strings.ToLower(name), dash && strings.Contains(name, ".")
}

// newDomain reads "real, uid, gid, folder, …". qmail-lspawn goes by the first entry of a name.
func newDomain(name string, f []string, seen map[string]bool) (Domain, error) {
	if len(f) < 4 {
		return Domain{}, fmt.Errorf("%d fields instead of 8", len(f)+1)
	}
	d := Domain{Name: name, Real: strings.ToLower(f[0]), Dir: f[3]}
	uid, err1 := strconv.ParseUint(f[1], 10, 31)
	gid, err2 := strconv.ParseUint(f[2], 10, 31)
	d.UID, d.GID = int(uid), int(gid)
	switch {
	case err1 != nil || err2 != nil:
		return Domain{}, errors.New("uid or gid is no number")
	case d.Real == "":
		return Domain{}, errors.New("no real domain")
	case !strings.HasPrefix(d.Dir, "/"):
		return Domain{}, errors.New("the folder is no absolute path")
	case seen[name]:
		return Domain{}, errors.New("the domain is there twice: the first one counts")
	}
	seen[name] = true
	return d, nil
}
