package courier

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

// Access control lists.
//
//	courierimapacl                         dovecot-acl
//	owner, user=ID, group=NAME             the same
//	anyone, anonymous                      anyone
//	authuser                               authenticated
//	administrators                         group=administrators
//	- in front: rights that are refused    the same
//	rights a e l r s t w x                 the same
//	c create folders                       k
//	i insert                               i p (post)
//
// Courier looks for the ACL of .A.B in the folder, then in courierimaphieracl/A.B, then it takes that of .A and at last
// that of INBOX (seen with maildiracl of 5.0.13); Dovecot looks in the folder alone, so what is inherited is written down.
// An ACL with nothing but all rights for owner and administrators is what Dovecot does without a file.

// All rights of the owner, in Courier's letters and in Dovecot's.
const (
	allRights    = "aceilrstwx"
	allOfDovecot = "aeiklprstwx"
)

// planACLs makes one server's ACLs from the other's.
func (r *run) planACLs() error {
	a := &acls{run: r}
	for _, f := range r.folders {
		if f.outcome == Skipped {
			continue
		}
		file := &file{key: "acl" + r.names.dovecotName(f.path), folder: f.name, box: f.path, found: f.found,
			source: maildir.CourierACLName, target: maildir.DovecotACLName}
		if r.opts.To == ToCourier {
			file.source, file.target = file.target, file.source
		}
		if ok, err := r.read(file); err != nil {
			return err
		} else if !ok {
			continue
		}
		err := a.plan(file)
		if err != nil && !single(err) {
			return err
		}
		if err != nil {
			r.Problems = append(r.Problems, Problem{Folder: f.name, What: err.Error(), Fate: "its ACL is not carried"})
		}
	}
	return nil
}

// acls reads the ACLs of a Maildir.
type acls struct {
	*run
	said bool // what else is needed
}

func (a *acls) plan(f *file) error {
	if a.opts.To == ToCourier {
		return a.planForCourier(f)
	}
	theirs, from, err := a.effective(f)
	if err != nil || theirs == nil {
		return err
	}
	a.trace = true
	entries, lost := dovecotACL(theirs)
	if isDefault(theirs) {
		entries, lost = nil, nil
	}
	have, _ := maildir.ParseDovecotACL(f.to)
	f.same = sameACL(have, entries) && (f.to == nil) == (entries == nil)
	f.source, f.what = from, countOf(len(entries), "line")
	if entries != nil {
		f.want = maildir.AppendDovecotACL([]byte{}, entries)
	}
	if a.planFile(f) {
		a.aclLosses(f, lost)
		if !a.said {
			a.said = true
			a.note("", "access lists count in Dovecot only with its plugin acl (acl = vfile), and others reach this user's folders only through a shared namespace")
		}
	}
	return nil
}

// effective gives the ACL by which Courier goes for a folder and the file it is from; nil when there is none on the way.
func (a *acls) effective(f *file) (entries []maildir.ACLEntry, from string, err error) {
	if f.from != nil {
		entries, f.bad = maildir.ParseCourierACL(f.from)
		return entries, f.source, nil
	}
	// The folder has two names by now: Courier's files of parents are called by its own.
	theirs := a.names.forCourier(a.names.dovecotName(f.box))
	for path := f.found; path != ""; path, theirs = parent(path), parent(theirs) {
		places := []string{path + "/" + maildir.CourierACLName, maildir.CourierHierACLName + "/" + strings.TrimPrefix(theirs, ".")}
		if coded, _ := dovecotPath(theirs, a.utf8Names); coded != theirs { // Courier 5.0.13 uses this one, too
			places = append(places, maildir.CourierHierACLName+"/"+coded[1:])
		}
		for _, place := range places {
			text, _, err := readBelow(a.root, place)
			if err != nil {
				return nil, "", err
			}
			if text != nil {
				entries, _ := maildir.ParseCourierACL(text)
				return entries, place, nil
			}
		}
	}
	text, _, err := readSmall(a.root, maildir.CourierACLName)
	if text == nil || err != nil {
		return nil, "", err
	}
	entries, _ = maildir.ParseCourierACL(text)
	return entries, maildir.CourierACLName, nil
}

// parent cuts the last part of a folder's place.
func parent(path string) string { return path[:max(strings.LastIndexByte(path, '.'), 0)] }

// readBelow reads a file in a folder that need not be there or be readable.
func readBelow(root *disk.Dir, place string) ([]byte, disk.Info, error) {
	dir, name, _ := strings.Cut(place, "/")
	d, err := root.OpenDir(dir)
	if err != nil {
		if ok, err := disk.Exists(err); !ok || errors.Is(err, fs.ErrPermission) {
			return nil, disk.Info{}, nil
		}
		return nil, disk.Info{}, err
	}
	defer d.Close()
	return readSmall(d, name)
}

func (a *acls) planForCourier(f *file) error {
	if f.from == nil {
		return nil // Dovecot has none: Courier's stays as it is
	}
	a.trace = true
	theirs, bad := maildir.ParseDovecotACL(f.from)
	f.bad = bad
	entries, lost := courierACL(theirs)
	have, _ := maildir.ParseCourierACL(f.to)
	back, _ := dovecotACL(have)
	f.same = f.to != nil && sameACL(back, theirs)
	f.want, f.what = maildir.AppendCourierACL([]byte{}, entries), countOf(len(entries), "line")
	if a.planFile(f) {
		a.aclLosses(f, lost)
	}
	return nil
}

func (a *acls) aclLosses(f *file, lost []string) {
	for _, line := range f.bad {
		a.Problems = append(a.Problems, Problem{Folder: f.folder, Path: within(f.found, f.source),
			What: fmt.Sprintf("line %d is not understood", line), Fate: "it is left out"})
	}
	for _, what := range lost {
		a.Losses = append(a.Losses, Loss{Folder: f.folder, What: "ACL", Detail: what, Why: f.target + " has no such right or identifier"})
	}
}

// isDefault tells whether an ACL says what goes without saying.
func isDefault(entries []maildir.ACLEntry) bool {
	for _, e := range entries {
		full := !e.Negative && (e.Identifier == "owner" || e.Identifier == "administrators" || e.Identifier == "group=administrators")
		if rights := sortedRights(e.Rights); !full || rights != allRights && rights != allOfDovecot {
			return false
		}
	}
	return true
}

func sortedRights(rights string) string {
	letters := []byte(rights)
	slices.Sort(letters)
	return string(slices.Compact(letters))
}

// dovecotACL turns Courier's entries into Dovecot's; lost are those, or their rights, that Dovecot does not have.
func dovecotACL(entries []maildir.ACLEntry) (out []maildir.ACLEntry, lost []string) {
	for _, e := range entries {
		id := e.Identifier
		switch {
		case id == "anonymous":
			id = "anyone"
		case id == "authuser":
			id = "authenticated"
		case id == "administrators":
			id = "group=administrators"
		case id == "owner" || id == "anyone" || strings.HasPrefix(id, "user=") || strings.HasPrefix(id, "group="):
		default:
			lost = append(lost, fmt.Sprintf("%q", aclText(e)))
			continue
		}
		rights, unknown := mapRights(e.Rights, map[rune]string{'c': "k", 'i': "ip"}, allRights)
		if unknown != "" {
			lost = append(lost, fmt.Sprintf("%q of %q", unknown, aclText(e)))
		}
		out = append(out, maildir.ACLEntry{Negative: e.Negative, Identifier: id, Rights: rights})
	}
	return out, lost
}

// courierACL turns Dovecot's entries into Courier's. The owner's and the administrators' rights, which Dovecot need not
// write, are always there.
func courierACL(entries []maildir.ACLEntry) (out []maildir.ACLEntry, lost []string) {
	has := map[string]bool{}
	for _, e := range entries {
		id := e.Identifier
		switch {
		case id == "authenticated":
			id = "authuser"
		case id == "group=administrators":
			id = "administrators"
		case id == "owner" || id == "anyone" || strings.HasPrefix(id, "user=") || strings.HasPrefix(id, "group="):
		default:
			lost = append(lost, fmt.Sprintf("%q", aclText(e)))
			continue
		}
		rights, unknown := mapRights(e.Rights, map[rune]string{'k': "c", 'p': ""}, allOfDovecot)
		if strings.Contains(e.Rights, "p") && !strings.Contains(e.Rights, "i") {
			unknown += "p"
		}
		if unknown += strings.Join(e.Named, " "); unknown != "" {
			lost = append(lost, fmt.Sprintf("%q of %q", unknown, aclText(e)))
		}
		has[id] = has[id] || !e.Negative
		out = append(out, maildir.ACLEntry{Negative: e.Negative, Identifier: id, Rights: rights})
	}
	for _, id := range []string{"administrators", "owner"} {
		if !has[id] {
			out = slices.Insert(out, 0, maildir.ACLEntry{Identifier: id, Rights: allRights})
		}
	}
	return out, lost
}

func aclText(e maildir.ACLEntry) string {
	if e.Negative {
		return "-" + e.Identifier + " " + e.Rights
	}
	return e.Identifier + " " + e.Rights
}

// mapRights translates letters; those not in known are given as unknown.
func mapRights(rights string, as map[rune]string, known string) (out, unknown string) {
	for _, c := range rights {
		switch to, other := as[c]; {
		case other:
			out += to
		case strings.ContainsRune(known, c):
			out += string(c)
		default:
			unknown += string(c)
		}
	}
	return sortedRights(out), unknown
}

// sameACL compares what two lists of Dovecot's say, in whatever order and spelling.
func sameACL(a, b []maildir.ACLEntry) bool { return slices.Equal(aclLines(a), aclLines(b)) }

// aclLines leaves out what goes without saying.
func aclLines(entries []maildir.ACLEntry) []string {
	lines := make([]string, 0, len(entries))
	for _, e := range entries {
		if isDefault([]maildir.ACLEntry{e}) {
			continue
		}
		e.Rights = sortedRights(e.Rights)
		lines = append(lines, aclText(e)+":"+strings.Join(e.Named, " "))
	}
	slices.Sort(lines)
	return lines
}
