package maildir

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// courierMeanings gives messages the keywords that Courier keeps for them. Letters in file names mean nothing there; in
// a store that goes by Dovecot's lists and has none yet, those that a dovecot-keywords file explains do.
func (b *scanner) courierMeanings() error {
	v := b.v
	if v.found == nil {
		v.found = &courierFound{}
	}
	b.reindex()
	if err := b.readCourierPOP3(); err != nil {
		return err
	}
	var known letters
	if !b.store.opts.Lists.courier() {
		for n, name := range v.keywords {
			if name != "" {
				known |= 1 << n
			}
		}
	}
	for i := range v.entries {
		e := &v.entries[i]
		flags, keys := parseInfo(v.name(e))
		e.flags = flags
		keys &= known
		e.set = v.intern(setKey{keys: keys}, func() []string { return v.keywords.names(keys) })
	}
	return b.readCourierKeywords()
}

// courierSets finds sets of keywords that several messages share.
type courierSets struct {
	*scanner
	of map[string]uint32 // by letters and names
}

// give adds keywords to a message.
func (s *courierSets) give(e *entry, names []string) {
	v := s.v
	_, keys := parseInfo(v.name(e))
	if s.store.opts.Lists.courier() {
		keys = 0
	}
	own := v.keywords.known(keys)
	all := own
	for _, name := range names {
		if !formats.HasKeyword(all, name) {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		e.set = 0
		return
	}
	key := strings.Join(all, "\n")
	n, ok := s.of[key]
	if !ok {
		n = uint32(len(v.sets))
		v.sets = append(v.sets, all)
		s.of[key] = n
	}
	e.set = n
}

// readCourierKeywords reads :list and the pending updates beside it, which override it for their message.
func (b *scanner) readCourierKeywords() error {
	sets := &courierSets{b, map[string]uint32{}}
	d, err := b.box.OpenDir(courierKeywordsDir)
	if err == nil {
		defer d.Close()
		err = b.readKeywordsDir(d, sets)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	} else {
		err = b.err("read keywords", 0, courierKeywordsDir, err)
	}
	if err != nil || !b.store.opts.Lists.courier() {
		return err
	}
	return b.readIntent(sets)
}

func (b *scanner) readKeywordsDir(d *disk.Dir, sets *courierSets) error {
	text, err := d.ReadFile(courierKeywordsList, maxControl)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.err("read keywords", 0, courierKeywordsDir+"/"+courierKeywordsList, err)
	}
	sets.list(text)
	pending, err := pendingUpdates(d)
	if err != nil {
		return b.err("read keywords", 0, courierKeywordsDir, err)
	}
	b.v.pending = len(pending)
	newest := map[int]int64{}
	for _, name := range pending {
		base, age, _ := courierUpdateName(name)
		i, ok := b.findCourierBase(baseName([]byte(base)))
		if had, seen := newest[i]; !ok || seen && had >= age {
			continue
		}
		text, err := d.ReadFile(name, maxLine)
		if errors.Is(err, fs.ErrNotExist) {
			continue // folded into :list meanwhile
		}
		if err != nil {
			b.problem(courierKeywordsDir+"/"+name, err.Error(), "the keywords of one message are older ones", true)
			continue
		}
		newest[i] = age
		sets.give(&b.v.entries[i], parseCourierUpdate(text))
	}
	return nil
}

// list gives messages what :list says.
func (s *courierSets) list(text []byte) {
	names, rest := parseCourierKeywords(text)
	s.v.courierNames = names
	const file = courierKeywordsDir + "/" + courierKeywordsList
	if len(text) > 0 && rest == nil && text[len(text)-1] != '\n' {
		s.problem(file, "the list ends within the names of keywords", "all keywords of the folder are lost", true)
	}
	var bad tally
	var places []int
	last, lastSet := "", uint32(0) // neighbours often have the same
	for n, l := range lines(rest) {
		base, found, wrong := parseCourierKeywordsLine(l, len(names), places[:0])
		places = found
		if wrong {
			bad.add(n+len(names)+1, l.text)
		}
		i, ok := s.findCourierBase(base)
		if !ok || base == nil {
			continue
		}
		e := &s.v.entries[i]
		if key := string(l.text[len(base):]); key == last && e.set == 0 {
			e.set = lastSet
			continue
		} else if e.set == 0 {
			s.give(e, keywordsAt(names, places))
			last, lastSet = key, e.set
			continue
		}
		s.give(e, keywordsAt(names, places))
	}
	bad.tell(s.scanner, file, "lines that are not understood in part", "what they say of keywords is lost", true)
}

func keywordsAt(names []string, places []int) []string {
	out := make([]string, len(places))
	for i, place := range places {
		out[i] = names[place]
	}
	return out
}

// known are the keywords of letters that have a name.
func (t *keywordTable) known(set letters) []string {
	for i, name := range t {
		if name == "" {
			set &^= 1 << i
		}
	}
	return t.names(set)
}

// adoptKeywords writes Courier's keywords where Dovecot keeps them, before the list is made that takes Courier's place.
// The lock is held.
func (b *Mailbox) adoptKeywords(ctx context.Context, v *view, lock *held) error {
	type meaning struct {
		flags formats.Flags
		set   uint32
	}
	of := map[meaning]*formats.Ranges{}
	for i := range v.entries {
		e := &v.entries[i]
		if _, keys := parseInfo(v.name(e)); keys == 0 && e.set == 0 {
			continue
		}
		m := meaning{e.flags, e.set}
		if of[m] == nil {
			of[m] = new(formats.Ranges)
		}
		of[m].Add(e.uid)
	}
	if len(of) == 0 {
		return nil
	}
	t := &tx{b: b, validity: v.header.UIDValidity}
	for m, uids := range of {
		t.changes = append(t.changes, flagChange{*uids, formats.FlagChange{Op: formats.ReplaceFlags, Flags: m.flags, Keywords: v.sets[m.set]}})
	}
	_, err := t.commitIndexed(ctx, lock, func(*index.Tx) error {
		if err := t.commitKeywords(); err != nil {
			return err
		}
		return t.commitChanges(ctx, lock)
	})
	return err
}
