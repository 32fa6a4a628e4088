package maildir

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// takenName is our note beside a folder's lists, made before Take changes anything:
//
//	1
//	<file> <state before> <state after>     "-": no such file; pending updates of keywords one by one
//	letters - <letters>                     that had a name in dovecot-keywords before; absent when there are none
//
// As long as each file is in one of its two states, nobody but Take has changed the lists: a Take that was killed can be
// finished, and what it wrote may be replaced.
const takenName = notePrefix + "taken"

const takenLetters = "letters"

// oldPrefix is put before the names of lists that were replaced.
const oldPrefix = notePrefix + "old-"

const noFile = "-"

// ownFiles are the names of the mailbox's control files, the list of UIDs last.
func (b *Mailbox) ownFiles() []string {
	switch {
	case !b.store.opts.Lists.courier():
		return []string{keywordsName, uidlistName}
	case b.folder.inbox:
		return []string{courierKeywordsDir, courierPOP3Name, courierUIDDBName}
	}
	return []string{courierKeywordsDir, courierUIDDBName}
}

// ListsState is a fingerprint of what the mailbox's own control files say, "" when there are none: equal as long as
// nobody gave out UIDs, UIDLs or keywords. Sizes and GUIDs that Dovecot adds to its list do not change it.
func (b *Mailbox) ListsState() (string, error) {
	states, err := b.fileStates()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	found := false
	for _, name := range slices.Sorted(maps.Keys(states)) {
		fmt.Fprintln(h, name, states[name])
		found = found || states[name] != noFile
	}
	if !found {
		return "", nil
	}
	return sum(h), nil
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:16]) }

// fileStates gives the state of each of the mailbox's own control files.
func (b *Mailbox) fileStates() (map[string]string, error) {
	states := map[string]string{}
	for _, name := range b.ownFiles() {
		var err error
		if name == courierKeywordsDir {
			err = b.addKeywords(states)
		} else {
			states[name], err = fileState(b.control, name)
		}
		if err != nil {
			return nil, b.err("read lists", 0, name, err)
		}
	}
	return states, nil
}

func fileState(d *disk.Dir, name string) (string, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noFile, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if name == uidlistName {
		return uidlistState(f)
	}
	_, err = io.Copy(h, f)
	return sum(h), err
}

// stateOf is the state of a file that write fills.
func stateOf(write func(w io.Writer) error) (string, error) {
	h := sha256.New()
	err := write(h)
	return sum(h), err
}

// uidlistState is the state of a dovecot-uidlist: only what clients see counts.
func uidlistState(f io.Reader) (string, error) {
	h := sha256.New()
	r := newListReader(f)
	header, err := r.header()
	if errors.Is(err, formats.ErrCorrupt) {
		fmt.Fprintln(h, err)
		return sum(h), nil
	}
	if err != nil {
		return "", err
	}
	next := header.UIDNext
	var line, ext []byte
	for {
		rec, ok, err := r.record()
		if err != nil {
			return "", err
		}
		if !ok {
			break
		}
		next = max(next, rec.UID+1)
		ext = pop3Fields(ext[:0], rec.Ext)
		line = listRecord{UID: rec.UID, Ext: ext, Base: rec.Base}.append(line[:0])
		h.Write(line)
	}
	fmt.Fprintln(h, header.UIDValidity, next, r.damage)
	return sum(h), nil
}

// pop3Fields appends the fields P and O of a record.
func pop3Fields(dst, ext []byte) []byte {
	for field := range bytes.FieldsFuncSeq(ext, isSpace) {
		if field[0] == 'P' || field[0] == 'O' {
			if len(dst) > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, field...)
		}
	}
	return dst
}

// addKeywords gives the state of :list and of each pending update.
func (b *Mailbox) addKeywords(states map[string]string) error {
	states[courierKeywordsDir] = noFile
	d, err := b.box.OpenDir(courierKeywordsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if states[courierKeywordsDir], err = fileState(d, courierKeywordsList); err != nil {
		return err
	}
	names, err := pendingUpdates(d)
	for _, name := range names {
		if states[courierKeywordsDir+"/"+url.PathEscape(name)], err = fileState(d, name); err != nil {
			return err
		}
	}
	return err
}

// pendingUpdates are the names of updates that override :list, sorted.
func pendingUpdates(d *disk.Dir) ([]string, error) {
	var names []string
	err := d.Each(func(name []byte, kind fs.FileMode) error {
		if _, _, ok := courierUpdateName(string(name)); ok && kind == 0 {
			names = append(names, string(name))
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// taken is the content of our note.
type taken map[string][2]string

func (b *Mailbox) readTaken() (taken, error) {
	text, err := b.control.ReadFile(takenName, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, b.err("read note", 0, takenName, err)
	}
	return parseTaken(string(text)), nil
}

// parseTaken gives nil for a note that is not understood.
func parseTaken(text string) taken {
	rest, ok := strings.CutPrefix(text, "1\n")
	if !ok {
		return nil
	}
	t := taken{}
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) != 3 || !strings.HasSuffix(line, "\n") {
			return nil
		}
		t[fields[0]] = [2]string{fields[1], fields[2]}
	}
	return t
}

func (t taken) append(b []byte) []byte {
	b = append(b, "1\n"...)
	for _, name := range slices.Sorted(maps.Keys(t)) {
		b = fmt.Appendf(b, "%s %s %s\n", name, t[name][0], t[name][1])
	}
	return b
}

// untouched tells whether nobody but Take has changed the files since the note was made.
func (t taken) untouched(now map[string]string) bool {
	if t == nil {
		return false
	}
	for name, state := range now {
		if of, ok := t[name]; !ok || state != of[0] && state != of[1] {
			return false
		}
	}
	return true
}

func (b *Mailbox) writeTaken(t taken) error {
	return b.replaceControl(b.control, takenName, t.append(nil))
}

// replaceControl replaces one control file.
func (b *Mailbox) replaceControl(d *disk.Dir, name string, content []byte) error {
	return b.replaceBy(d, name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// replaceBy replaces one control file by what write gives.
func (b *Mailbox) replaceBy(d *disk.Dir, name string, write func(w io.Writer) error) error {
	err := d.ReplaceFile(name, b.mode, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 64<<10)
		return errors.Join(write(out), out.Flush())
	})
	if err != nil {
		return b.err("write list", 0, "", err)
	}
	return nil
}

// keepOld gives a file that is about to be replaced a second name, the only one of its kind.
func (b *Mailbox) keepOld(d *disk.Dir, name, as string) error {
	old := oldPrefix + as
	if err := b.control.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.err("keep old list", 0, "", err)
	}
	err := d.Link(name, b.control, old)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil { // no links on this file system
		text, rerr := d.ReadFile(name, maxControl)
		if rerr != nil {
			return b.err("keep old list", 0, "", errors.Join(err, rerr))
		}
		return b.replaceControl(b.control, old, text)
	}
	return nil
}

// listTime is when the youngest of the control files was written, in nanoseconds; 0 when there is none.
func (b *Mailbox) listTime() int64 {
	newest := int64(0)
	for _, name := range b.ownFiles() {
		if st, err := b.control.Stat(name); err == nil {
			newest = max(newest, st.MTime.Sec*1e9+st.MTime.Nsec)
		}
	}
	return newest
}
