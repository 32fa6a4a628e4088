package maildir

import (
	"fmt"
	"io/fs"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// maxStrays bounds how many names are told.
const maxStrays = 10

// addStray remembers an entry that no reader takes for a message: a folder, or a name with a line end.
func (v *view) addStray(d *disk.Dir, name []byte, kind fs.FileMode) {
	v.nStrays++
	if len(v.strays) == maxStrays {
		return
	}
	what := "a line end in its name"
	if kind == fs.ModeDir {
		what = "a folder"
	}
	v.strays = append(v.strays, fmt.Sprintf("%s/%q (%s)", d.Path(), name, what))
}

// Lost says what the mailbox was found to hold, when it was last read, that cannot be given.
func (b *Mailbox) Lost() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil || !b.store.readOnly() {
		return nil
	}
	v := b.seen
	var lost []string
	if v.nStrays > 0 {
		text := fmt.Sprintf("%d entries are left out: %s", v.nStrays, strings.Join(v.strays, ", "))
		if v.nStrays > len(v.strays) {
			text += ", …"
		}
		lost = append(lost, text)
	}
	if v.noKeywords != nil {
		lost = append(lost, fmt.Sprintf("keywords that are letters in file names have no names: %v", v.noKeywords))
	}
	if v.found != nil {
		for _, p := range v.found.problems {
			if p.Loses {
				lost = append(lost, fmt.Sprintf("%s: %s; %s", p.Path, p.What, p.Cost))
			}
		}
	}
	if b.indexDir != nil {
		if err := index.Damage(b.indexDir, index.Prefix); err != nil {
			lost = append(lost, fmt.Sprintf("flags and keywords that only Dovecot's index has: %v", err))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return b.err("read", 0, "", formats.Corrupt("%s", strings.Join(lost, "; ")))
}

var _ formats.Salvaged = (*Mailbox)(nil)
