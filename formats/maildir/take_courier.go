package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// takeToCourier makes Courier's lists from Dovecot's.
type takeToCourier struct {
	*takePlan
	names []string // of all keywords
	moves []move

	made    madeUIDLs
	pop3    courierPOP3Header
	uidls   []courierPOP3 // by place in rows; Name is nil where there is none
	hasPOP3 bool
	order   []int // places in rows, as the lines of the POP3 list stand
}

func (w *takeToCourier) plan() *takePlan { return w.takePlan }

func (w *takeToCourier) prepare(context.Context) (same bool, err error) {
	w.nameKeywords()
	w.planNames()
	if w.b.folder.inbox {
		if err := w.planPOP3(); err != nil {
			return false, err
		}
	}
	same = w.sameList() && w.sameMeanings() && len(w.moves) == 0
	for _, name := range w.b.ownFiles() {
		if w.states[name] != noFile {
			w.Replaced = append(w.Replaced, name)
		}
	}
	if w.own != nil && w.own.pending > 0 {
		w.Replaced = append(w.Replaced, fmt.Sprintf("%s/ (%d pending updates)", courierKeywordsDir, w.own.pending))
	}
	return same, nil
}

// nameKeywords collects the names for :list.
func (w *takeToCourier) nameKeywords() {
	v := w.src
	used := make([]bool, len(v.sets))
	for _, r := range w.rows {
		if set := v.entries[r.at].set; set != 0 {
			used[set] = true
			w.Keywords++
		}
	}
	known := map[string]bool{}
	for set, names := range v.sets {
		for _, name := range names {
			if folded := strings.ToLower(name); used[set] && !known[folded] {
				known[folded] = true
				w.names = append(w.names, name)
			}
		}
	}
}

// planNames finds the files that must have another name or place. Letters of keywords stay in names: Courier ignores
// them and Dovecot's own lists go by them.
func (w *takeToCourier) planNames() {
	for _, r := range w.rows {
		e := &w.src.entries[r.at]
		name := w.src.name(e)
		to, d, into, why := name, w.b.folderAt(e.where), w.b.folderAt(e.where), ""
		if base, ok := w.bases[r.at]; ok {
			to, why = append([]byte(base), name[len(lastBase(name)):]...), "a colon in the base name"
		}
		if e.where != inCur {
			into, why = w.b.cur, "Courier would number it anew"
			if bytes.IndexByte(to, infoSep) < 0 {
				to = append(slices.Clone(to), info2...)
			}
		}
		if why == "" {
			continue
		}
		w.moves = append(w.moves, move{d, into, string(name), string(to)})
		sub := [...]string{"cur/", "new/", "tmp/"}[e.where]
		w.Renames = append(w.Renames, FileRename{From: sub + string(name), To: "cur/" + string(to), Why: why})
	}
}

// sameMeanings tells whether the target has the same UIDLs and keywords. UIDLs that Dovecot would have made, had it been
// here, need not be there.
func (w *takeToCourier) sameMeanings() bool {
	same := map[[2]uint32]bool{}
	for i, r := range w.rows {
		e, own := &w.src.entries[r.at], w.ownOf(r)
		if w.uidls != nil && w.uidls[i].Name != nil {
			_, said := extField(w.src.ext(e), 'P')
			has, known := extField(w.own.ext(own), 'P')
			if (said || known || w.made.seen) && !bytes.Equal(has, w.uidls[i].appendUIDL(nil)) {
				return false
			}
		}
		k := [2]uint32{e.set, own.set}
		if _, ok := same[k]; !ok {
			same[k] = formats.SameKeywords(w.src.sets[e.set], w.own.sets[own.set])
		}
		if !same[k] {
			return false
		}
	}
	return true
}

// write puts the list of UIDs in place last; the others mean nothing for messages that Courier does not know.
func (w *takeToCourier) write(ctx context.Context, lock *held) error {
	b := w.b
	validity := uint64(w.validity)
	if validity == 0 {
		v, err := layout.NextUIDValidity(ctx, b.store.controlRoot())
		if err != nil {
			return b.err("choose UIDVALIDITY", 0, "", err)
		}
		validity = uint64(v)
	}
	list := func(out io.Writer) error { return w.writeUIDs(out, validity) }
	if w.hasPOP3 {
		if err := w.measure(ctx); err != nil {
			return err
		}
	}
	keywords := w.keywordsList()
	after, err := w.after(list, keywords)
	if err != nil {
		return b.err("write list", 0, "", err)
	}
	if err := w.begin(after); err != nil {
		return err
	}
	if w.hasPOP3 {
		if err := w.replace(b.box, courierPOP3Name, courierPOP3Name, w.writePOP3); err != nil {
			return err
		}
	}
	if err := w.writeKeywordsDir(keywords); err != nil {
		return err
	}
	if err := w.replace(b.box, courierUIDDBName, courierUIDDBName, list); err != nil {
		return err
	}
	return b.renameFiles(w.moves, lock)
}

// after gives the states of the files as they are going to be.
func (w *takeToCourier) after(list func(io.Writer) error, keywords []byte) (after map[string]string, err error) {
	after = map[string]string{courierKeywordsDir: noFile}
	if keywords != nil {
		if after[courierKeywordsDir], err = stateOf(func(out io.Writer) error {
			_, err := out.Write(keywords)
			return err
		}); err != nil {
			return nil, err
		}
	}
	if w.b.folder.inbox {
		after[courierPOP3Name] = noFile
	}
	if w.hasPOP3 {
		if after[courierPOP3Name], err = stateOf(w.writePOP3); err != nil {
			return nil, err
		}
	}
	after[courierUIDDBName], err = stateOf(list)
	return after, err
}

// writeUIDs writes the new list of UIDs.
func (w *takeToCourier) writeUIDs(out io.Writer, validity uint64) error {
	buf := courierHeader{UIDValidity: validity, UIDNext: uint64(max(w.next, 1))}.append(make([]byte, 0, 1<<10))
	for _, r := range w.rows {
		buf = appendCourierUID(buf, r.uid, w.base(r))
		if _, err := out.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	_, err := out.Write(buf)
	return err
}

func (w *takeToCourier) replace(d *disk.Dir, name, as string, write func(io.Writer) error) error {
	if err := w.b.keepOld(d, name, as); err != nil {
		return err
	}
	return w.b.replaceBy(d, name, write)
}

// keywordsList is the new :list; nil when no message has keywords.
func (w *takeToCourier) keywordsList() []byte {
	if w.Keywords == 0 {
		return nil
	}
	v := w.src
	place := map[string]int{}
	for i, name := range w.names {
		place[strings.ToLower(name)] = i
	}
	places := make([][]int, len(v.sets))
	for set, names := range v.sets {
		for _, name := range names {
			if i, ok := place[strings.ToLower(name)]; ok {
				places[set] = append(places[set], i)
			}
		}
	}
	out := appendCourierKeywordNames(nil, w.names)
	for _, r := range w.rows {
		if set := v.entries[r.at].set; set != 0 {
			out = appendCourierKeywordsLine(out, w.base(r), places[set])
		}
	}
	return out
}

// writeKeywordsDir replaces :list and then removes the pending updates, which would override it.
func (w *takeToCourier) writeKeywordsDir(list []byte) error {
	b := w.b
	d, err := b.box.MakeDir(courierKeywordsDir, b.dirMode())
	if err != nil {
		return b.err("write keywords", 0, "", err)
	}
	defer d.Close()
	if list != nil {
		err = w.replace(d, courierKeywordsList, courierKeywordsDir, func(out io.Writer) error {
			_, err := out.Write(list)
			return err
		})
	} else {
		err = b.keepOld(d, courierKeywordsList, courierKeywordsDir)
		if rerr := d.Remove(courierKeywordsList); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = rerr
		}
	}
	if err != nil {
		return err
	}
	return b.removePending(d)
}
