package maildir

import (
	"context"
	"errors"
	"io/fs"

	"dovetail/formats"
)

// maxControl bounds Courier's control files: 100 bytes for each of two million messages.
const maxControl = 200 << 20

// readCourier joins the files with the list of Courier-IMAP, and its POP3 list when there is one: both key on the base
// name. A folder without either is a plain tree.
func (b *scanner) readCourier() error {
	v := b.v
	text, err := b.box.ReadFile(courierUIDDBName, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return b.readCourierPOP3()
	}
	if err != nil {
		return b.err("read list", 0, courierUIDDBName, err)
	}
	db, _, err := parseCourierUIDDB(text)
	if err != nil {
		v.damage = err // Courier itself would start anew
		return b.readCourierPOP3()
	}
	v.courier = true
	v.header.UIDValidity, v.uidNext = db.UIDValidity, db.UIDNext
	for _, r := range db.undisputed() {
		v.uidNext = max(v.uidNext, r.UID+1)
		if i, ok := b.names.get([]byte(r.Base)); ok && v.entries[i].uid == 0 {
			v.entries[i].uid = r.UID
		}
	}
	return b.readCourierPOP3()
}

func (b *scanner) readCourierPOP3() error {
	text, err := b.box.ReadFile(courierPOP3Name, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return b.err("read list", 0, courierPOP3Name, err)
	}
	list, _, err := parseCourierPOP3(text)
	if err != nil {
		return nil // Courier throws such a list away: all UIDLs are new then
	}
	records := list.sorted()
	b.v.pop3 = make(map[string]courierPOP3At, len(records))
	for i, r := range records {
		b.v.pop3[r.base()] = courierPOP3At{uidl: r.uidl(), order: uint32(i) + 1}
	}
	return nil
}

// courierKeywordsByBase reads :list and the pending updates beside it, which override it for their message.
func (b *scanner) courierKeywordsByBase() (map[string][]string, error) {
	d, err := b.box.OpenDir(courierKeywordsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, b.err("read keywords", 0, courierKeywordsDir, err)
	}
	defer d.Close()
	byName := map[string][]string{}
	text, err := d.ReadFile(courierKeywordsList, maxControl)
	if err == nil {
		list := parseCourierKeywords(text)
		byName = list.of()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, b.err("read keywords", 0, courierKeywordsDir+"/"+courierKeywordsList, err)
	}
	newest := map[string]int64{}
	err = d.Each(func(name []byte, kind fs.FileMode) error {
		base, age, ok := courierUpdateName(string(name))
		if had, seen := newest[base]; !ok || kind != 0 || seen && had >= age {
			return nil
		}
		text, err := d.ReadFile(string(name), maxLine)
		if err != nil {
			return nil // folded into :list meanwhile
		}
		newest[base], byName[base] = age, parseCourierUpdate(text)
		return nil
	})
	return byName, err
}

// courierMeanings gives messages the keywords that Courier keeps for them. Letters in file names mean nothing there
// unless a dovecot-keywords file explains them.
func (b *scanner) courierMeanings() error {
	v := b.v
	byName, err := b.courierKeywordsByBase()
	if err != nil {
		return err
	}
	for i := range v.entries {
		e := &v.entries[i]
		flags, keys := parseInfo(v.name(e))
		e.flags = flags
		var known letters
		for n, name := range v.keywords {
			if name != "" {
				known |= 1 << n
			}
		}
		more := byName[string(baseName(v.name(e)))]
		key := setKey{keys: keys & known}
		if len(more) > 0 {
			key.more = &more[0]
		}
		e.set = v.intern(key, func() []string {
			names := v.keywords.names(key.keys)
			for _, k := range more {
				if !formats.HasKeyword(names, k) {
					names = append(names, k)
				}
			}
			return names
		})
	}
	return nil
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
	if err := t.commitKeywords(); err != nil {
		return err
	}
	if err := t.commitChanges(ctx, lock); err != nil {
		return err
	}
	_, err := t.commitIndex(ctx)
	return err
}
