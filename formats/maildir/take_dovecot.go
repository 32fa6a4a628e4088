package maildir

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

// takeToDovecot makes Dovecot's lists from Courier's.
type takeToDovecot struct {
	*takePlan
	table, tableBefore keywordTable
	sets               []letterSet // by number of src.sets
	moves              []move
	stale              []staleFile
}

// letterSet is a set of keywords as Dovecot keeps it.
type letterSet struct {
	keys letters
	more bool // some have no letter: they go to the index
}

type staleFile struct {
	d    *disk.Dir
	name string
}

func (w *takeToDovecot) plan() *takePlan { return w.takePlan }

func (w *takeToDovecot) prepare(ctx context.Context) (same bool, err error) {
	if w.tableBefore, err = w.b.loadKeywords(); err != nil {
		return false, err
	}
	w.table = w.tableBefore
	w.explained = w.explainedLetters()
	w.giveLetters()
	w.tellBeyond()
	w.planNames()
	same = w.sameList() && w.sameMeanings()
	if err := w.findStale(); err != nil {
		return false, err
	}
	return same && len(w.moves) == 0, nil
}

// explainedLetters are those of the table before the first Take.
func (w *takeToDovecot) explainedLetters() (keys letters) {
	if w.note != nil {
		_, keys = parseInfo([]byte(info2 + w.note[takenLetters][1]))
		return keys
	}
	for i, name := range w.table {
		if name != "" {
			keys |= 1 << i
		}
	}
	return keys
}

// giveLetters gives keywords letters, those of most messages first when there are too many.
func (w *takeToDovecot) giveLetters() {
	v := w.src
	uses := make([]int, len(v.sets))
	for _, r := range w.rows {
		uses[v.entries[r.at].set]++
	}
	count := map[string]int{}
	var names []string
	for set, n := range uses {
		if n == 0 {
			continue
		}
		for _, name := range v.sets[set] {
			folded := strings.ToLower(name)
			if count[folded] == 0 {
				names = append(names, name)
			}
			count[folded] += n
		}
	}
	if len(names) > maxLetters {
		slices.SortStableFunc(names, func(a, b string) int { return count[strings.ToLower(b)] - count[strings.ToLower(a)] })
	}
	w.sets = make([]letterSet, len(v.sets))
	for _, name := range names {
		w.table.add(name)
	}
	for set := range v.sets {
		for _, name := range v.sets[set] {
			if i := w.table.index(name); i >= 0 {
				w.sets[set].keys |= 1 << i
			} else {
				w.sets[set].more = true
			}
		}
	}
}

// tellBeyond: without an index there is no place for keywords that have no letter.
func (w *takeToDovecot) tellBeyond() {
	if w.b.store.keepsIndex() {
		return
	}
	for _, r := range w.rows {
		if e := &w.src.entries[r.at]; w.sets[e.set].more {
			w.lose(r.uid, w.base(r), "keywords", fmt.Sprintf("the folder has more than %d and no index for the others", maxLetters))
		}
	}
}

// keys are the letters that a message is to have.
func (w *takeToDovecot) keys(e *entry) letters {
	_, had := parseInfo(w.src.name(e))
	return w.sets[e.set].keys | had&w.explained
}

// planNames finds the files whose names must change.
func (w *takeToDovecot) planNames() {
	for _, r := range w.rows {
		e := &w.src.entries[r.at]
		name := w.src.name(e)
		flags, had := parseInfo(name)
		keys := w.keys(e)
		if p, ok := extField(w.src.ext(e), 'P'); ok && len(p) > 0 {
			w.UIDLs++
		}
		if keys != 0 || w.sets[e.set].more {
			w.Keywords++
		}
		why := ""
		switch base := w.bases[r.at]; {
		case base != "":
			why = "a colon in the base name"
			name = append([]byte(base), name[len(lastBase(name)):]...)
		case keys == had:
			continue
		case had&^keys == 0:
			why = "keywords"
		case had&^keys&w.explained == 0 && keys&^had == 0:
			why = "letters without a meaning"
		default:
			why = "other keywords"
		}
		if keys != had {
			name = withInfo(nil, name, flags, keys)
		}
		w.addMove(e, string(name), why)
	}
}

func (w *takeToDovecot) addMove(e *entry, to, why string) {
	d, from := w.b.folderAt(e.where), string(w.src.name(e))
	w.moves = append(w.moves, move{d, d, from, to})
	sub := [...]string{"cur/", "new/", "tmp/"}[e.where]
	w.Renames = append(w.Renames, FileRename{From: sub + from, To: sub + to, Why: why})
}

// sameMeanings tells whether the target has the same UIDLs, orders and keywords.
func (w *takeToDovecot) sameMeanings() bool {
	type pair struct {
		src, own uint32
		keys     letters
	}
	known := map[pair]bool{}
	for _, r := range w.rows {
		e, own := &w.src.entries[r.at], w.ownOf(r)
		if len(w.src.ext(e)) > 0 && !bytes.Equal(pop3Fields(nil, w.own.ext(own)), w.src.ext(e)) {
			return false
		}
		k := pair{e.set, own.set, w.keys(e) &^ w.sets[e.set].keys}
		same, ok := known[k]
		if !ok {
			want := slices.Clone(w.src.sets[e.set])
			for _, name := range w.table.names(k.keys) {
				if !formats.HasKeyword(want, name) {
					want = append(want, name)
				}
			}
			same = formats.SameKeywords(want, w.own.sets[own.set])
			known[k] = same
		}
		if !same {
			return false
		}
	}
	return true
}

// findStale finds what another list than the one that is going to be written had beside it.
func (w *takeToDovecot) findStale() error {
	look := func(d *disk.Dir, prefixes ...string) error {
		return d.Each(func(name []byte, kind fs.FileMode) error {
			for _, prefix := range prefixes {
				if kind == 0 && bytes.HasPrefix(name, []byte(prefix)) {
					w.stale = append(w.stale, staleFile{d, string(name)})
					w.Replaced = append(w.Replaced, string(name))
				}
			}
			return nil
		})
	}
	if w.b.indexDir != nil {
		if err := look(w.b.indexDir, index.Prefix); err != nil {
			return w.b.err("look for leftovers", 0, "", err)
		}
	}
	if w.b.folder.inbox && w.note == nil {
		if err := look(w.b.store.controlRoot(), "dovecot-uidvalidity", "dovecot.list.index"); err != nil {
			return w.b.err("look for leftovers", 0, "", err)
		}
	}
	slices.Sort(w.Replaced)
	w.Replaced = slices.Compact(w.Replaced)
	for _, name := range w.b.ownFiles() {
		if w.states[name] != noFile && (name == uidlistName || w.table != w.tableBefore) {
			w.Replaced = append(w.Replaced, name)
		}
	}
	return nil
}

func (w *takeToDovecot) write(ctx context.Context, lock *held) error {
	b := w.b
	header, err := w.newHeader(ctx)
	if err != nil {
		return err
	}
	after, err := w.after(header)
	if err != nil {
		return w.b.err("write list", 0, uidlistName, err)
	}
	if err := w.begin(after); err != nil {
		return err
	}
	if err := w.removeStale(); err != nil {
		return err
	}
	if w.table != w.tableBefore {
		if err := b.keepOld(b.control, keywordsName, keywordsName); err != nil {
			return err
		}
		if err := b.writeKeywords(&w.table); err != nil {
			return err
		}
	}
	if err := w.writeIndex(ctx, header); err != nil {
		return err
	}
	if err := b.keepOld(b.control, uidlistName, uidlistName); err != nil {
		return err
	}
	if err := b.replaceBy(b.control, uidlistName, func(out io.Writer) error { return w.writeList(out, header) }); err != nil {
		return err
	}
	return b.renameFiles(w.moves, lock)
}

// newHeader keeps the mailbox GUID of a list of the same UIDVALIDITY, and what Dovecot itself wrote besides.
func (w *takeToDovecot) newHeader(ctx context.Context) (h listHeader, err error) {
	h = listHeader{Version: 3, UIDValidity: w.validity, UIDNext: max(w.next, 1)}
	if h.UIDValidity == 0 {
		if h.UIDValidity, err = layout.NextUIDValidity(ctx, w.b.store.controlRoot()); err != nil {
			return h, w.b.err("choose UIDVALIDITY", 0, "", err)
		}
	}
	if w.own != nil && w.own.header.UIDValidity == h.UIDValidity {
		h.GUID, h.HasGUID, h.Extra = w.own.header.GUID, w.own.header.HasGUID, w.own.header.Extra
	}
	if !h.HasGUID {
		rand.Read(h.GUID[:])
		h.HasGUID = true
	}
	return h, nil
}

// after gives the states of the files as they are going to be.
func (w *takeToDovecot) after(h listHeader) (after map[string]string, err error) {
	after = map[string]string{keywordsName: w.states[keywordsName]}
	if w.table != w.tableBefore {
		if after[keywordsName], err = stateOf(func(out io.Writer) error {
			_, err := out.Write(w.table.append(nil))
			return err
		}); err != nil {
			return nil, err
		}
	}
	r, out := io.Pipe()
	go func() { out.CloseWithError(w.writeList(out, h)) }()
	after[uidlistName], err = uidlistState(r)
	return after, errors.Join(err, r.Close())
}

// writeList writes the new dovecot-uidlist.
func (w *takeToDovecot) writeList(out io.Writer, h listHeader) error {
	buf := h.append(make([]byte, 0, 32<<10))
	var ext []byte
	for _, r := range w.rows {
		ext = w.ext(ext[:0], r)
		buf = listRecord{UID: r.uid, Ext: ext, Base: w.base(r)}.append(buf)
		if len(buf) > 31<<10 {
			if _, err := out.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err := out.Write(buf)
	return err
}

// ext are the fields of a record: P and O of Courier's POP3 list, and what the target had of the same message besides.
func (w *takeToDovecot) ext(dst []byte, r takeRow) []byte {
	src := w.src.ext(&w.src.entries[r.at])
	dst = append(dst, src...)
	own := w.ownOf(r)
	if own == nil || len(w.own.ext(own)) == 0 {
		return dst
	}
	for field := range bytes.FieldsFuncSeq(w.own.ext(own), isSpace) {
		if (field[0] == 'P' || field[0] == 'O') && len(src) > 0 {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, field...)
	}
	return dst
}

func (w *takeToDovecot) removeStale() error {
	if w.b.index != nil {
		w.b.index.Close()
		w.b.index = nil
	}
	for _, f := range w.stale {
		if err := f.d.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return w.b.err("remove leftover", 0, "", err)
		}
	}
	return nil
}

// writeIndex makes an index when some keywords have no letter.
func (w *takeToDovecot) writeIndex(ctx context.Context, h listHeader) error {
	b := w.b
	if !b.store.keepsIndex() || !slices.ContainsFunc(w.rows, func(r takeRow) bool { return w.sets[w.src.entries[r.at].set].more }) {
		return nil
	}
	if b.indexDir == nil {
		d, err := b.store.index.MakeDir(b.folder.dir, 0o700)
		if err != nil {
			return b.err("write index", 0, "", err)
		}
		b.indexDir = d
	}
	n := index.New{UIDValidity: h.UIDValidity, NextUID: h.UIDNext, FirstRecent: h.UIDNext}
	for _, r := range w.rows {
		e := &w.src.entries[r.at]
		n.Messages = append(n.Messages, index.Message{UID: r.uid, Flags: e.flags, Keywords: w.src.sets[e.set]})
	}
	x, err := index.Create(ctx, b.indexDir, index.Prefix, n)
	if err != nil {
		return b.err("write index", 0, "", fmt.Errorf("keywords beyond %d: %w", maxLetters, err))
	}
	return x.Close()
}
