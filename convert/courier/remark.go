package courier

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"dovetail/formats/disk"
)

// remark tells of what lies beside the mail and is not converted.
func (r *run) remark() error {
	if r.opts.To == ToCourier {
		return nil
	}
	for _, f := range r.folders {
		if strings.EqualFold(f.path, ".Trash") {
			r.note(f.name, "if IMAP_EMPTYTRASH is set, Courier deletes what came here before so many days by the ctime of the files, "+
				"which copying, restoring and renaming them sets anew; in Dovecot that is autoexpunge for this mailbox")
		}
	}
	for _, shared := range []struct{ name, what string }{
		{"shared-maildirs", "shared folders in the file system"}, {"shared-folders", "subscribed shared folders"},
	} {
		if _, err := r.root.Stat(shared.name); err == nil {
			r.note("", "%s has %s: in Dovecot they need a namespace of their own", shared.name, shared.what)
		}
	}
	return r.remarkFilters()
}

// bincFiles are those of BincIMAP.
var bincFiles = []string{"bincimap-cache", "bincimap-uidvalidity", "bincimap-subscribed", ".bincimap-subscribed"}

// remarkBinc tells of an IMAP server that is not read.
func (r *run) remarkBinc() {
	for _, f := range r.folders {
		d, err := r.root.OpenDir(dirName(f.found))
		if err != nil {
			continue // told of already
		}
		for _, name := range bincFiles {
			if _, err := d.Stat(name); err == nil {
				r.binc = append(r.binc, Problem{Folder: f.name, Path: within(f.found, name), What: "a file of BincIMAP",
					Fate: "its UIDs and subscriptions are not carried: clients of that server download this folder again"})
				break
			}
		}
		d.Close()
	}
}

// remarkFilters looks for renamed folders in filters: those of the webmail in the Maildir, and maildrop's beside it.
func (r *run) remarkFilters() error {
	for _, name := range []string{"maildirfilter", "maildirfilterconfig"} {
		if err := r.remarkFilter(r.root, name); err != nil {
			return err
		}
	}
	look := &disk.FS{ReadOnly: true, NoLinks: r.user.NoLinks}
	home, err := look.OpenRoot(filepath.Dir(filepath.Clean(r.user.Maildir)))
	if err != nil {
		return nil // who may not look above the Maildir does not
	}
	defer home.Close()
	return r.remarkFilter(home, ".mailfilter")
}

func (r *run) remarkFilter(d *disk.Dir, name string) error {
	text, err := d.ReadFile(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, disk.ErrNotRegular) {
		return nil
	}
	if err != nil {
		return err
	}
	path := d.Path() + "/" + name
	if name == "maildirfilter" {
		r.note("", "%s has filter rules of Courier's webmail, which Dovecot does not run: Sieve does that there", path)
	}
	for _, m := range r.names.moves {
		if bytes.Contains(text, []byte(m.from+"/")) || bytes.Contains(text, []byte(m.from+`"`)) {
			r.Problems = append(r.Problems, Problem{Path: path, What: fmt.Sprintf("it delivers to %s, which is renamed to %s", m.from, m.to),
				Fate: "change it by hand, or the folder is made anew"})
		}
	}
	return nil
}
