package courier

import (
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats/disk"
)

// entries is what a look into a folder shows, in the order of names.
type entries struct {
	parts []string // of cur, new and tmp
	dirs  []string // all folders, parts among them
	links []string

	control  bool // there are files that a mail server keeps in a Maildir
	accounts bool // there is a vpasswd
	messages bool // there are files whose names begin as those of messages
}

// controls are files of which one shows that a folder is a Maildir.
var controls = []string{
	"courierimapuiddb", "courierpop3dsizelist", "courierimapsubscribed", "dovecot-uidlist", "maildirsize", "maildirfolder",
}

// look reads the names in dir.
func look(dir *disk.Dir) (entries, error) {
	var in entries
	err := dir.Each(func(name []byte, kind fs.FileMode) error {
		switch {
		case kind == fs.ModeDir:
			in.dirs = append(in.dirs, string(name))
		case kind == fs.ModeSymlink:
			in.links = append(in.links, string(name))
		case kind != 0 || len(name) == 0:
		case name[0] >= '0' && name[0] <= '9':
			in.messages = true
		case string(name) == "vpasswd", string(name) == "vpasswd.cdb":
			in.accounts = true
		default:
			in.control = in.control || slices.Contains(controls, string(name))
		}
		return nil
	})
	slices.Sort(in.dirs)
	slices.Sort(in.links)
	for _, part := range []string{"cur", "new", "tmp"} {
		if _, ok := slices.BinarySearch(in.dirs, part); ok {
			in.parts = append(in.parts, part)
		}
	}
	return in, err
}

// shaped tells whether the folder looks like a Maildir. One of cur, new and tmp may be missing, because backups leave out
// empty folders, and two where control files speak for it.
func (in entries) shaped() bool {
	return len(in.parts) >= 2 || in.control && len(in.parts) == 1
}

// linkedPart gives the name of a part that is a link.
func (in entries) linkedPart() string {
	for _, part := range []string{"cur", "new", "tmp"} {
		if slices.Contains(in.links, part) {
			return part
		}
	}
	return ""
}

// others gives the names that are no parts; of a Maildir those that are nothing of its own, of which its own report tells.
func others(names []string, maildir bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == "cur" || name == "new" || name == "tmp" ||
			maildir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "courierimap"))
	})
}
