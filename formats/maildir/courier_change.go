package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// intentName is a file of ours in tmp/, where Courier does not look. Flags are in file names and keywords in a list, so
// a message that gets both would be changed by half for a moment. Until its file is renamed, such a message has its old
// keywords for us; once it is, it has those of this file:
//
//	keywords, one a line, and an empty line
//	FLAGS basename:IDX IDX …        FLAGS as in the new file name, "-" for none
const intentName = notePrefix + "flags"

// changed is a message as it is going to be.
type changed struct {
	at       int // in view.entries
	flags    formats.Flags
	keywords []string
}

// changeCourier applies flag changes and expunges. The lock is held.
func (t *tx) changeCourier(ctx context.Context, lock *held) error {
	b := t.b
	v, err := b.look(ctx)
	if err != nil {
		return err
	}
	list, anyFlags, anyKeywords := t.changedIn(v)
	if anyFlags && anyKeywords {
		if err := b.writeIntent(v, list); err != nil {
			return err
		}
	}
	if err := t.renameFlags(ctx, v, list, lock); err != nil {
		return err
	}
	if anyKeywords {
		byPlace := map[int][]string{}
		for _, c := range list {
			byPlace[c.at] = c.keywords
		}
		err := b.writeCourierKeywords(v, nil, func(i int) []string {
			if names, ok := byPlace[i]; ok {
				return names
			}
			return v.sets[v.entries[i].set]
		})
		if err != nil {
			return err
		}
	}
	if anyFlags && anyKeywords {
		if err := b.dropIntent(); err != nil {
			return err
		}
	}
	return t.expungeCourier(ctx, lock)
}

// changedIn gives the messages that the transaction changes.
func (t *tx) changedIn(v *view) (list []changed, anyFlags, anyKeywords bool) {
	for i := range v.entries {
		e := &v.entries[i]
		c := changed{at: i, flags: e.flags, keywords: v.sets[e.set]}
		touched := false
		for k := range t.changes {
			if ch := &t.changes[k]; ch.uids.Contains(e.uid) {
				c.flags, c.keywords = ch.change.Apply(c.flags, c.keywords)
				c.flags &= formats.SystemFlags
				touched = true
			}
		}
		if !touched || e.bad {
			continue
		}
		flags, keywords := c.flags != e.flags&formats.SystemFlags, !formats.SameKeywords(c.keywords, v.sets[e.set])
		if flags || keywords {
			list = append(list, c)
		}
		anyFlags, anyKeywords = anyFlags || flags, anyKeywords || keywords
	}
	return list, anyFlags, anyKeywords
}

func (t *tx) renameFlags(ctx context.Context, v *view, list []changed, lock *held) error {
	b := t.b
	var used [3]bool
	for _, c := range list {
		e := &v.entries[c.at]
		if c.flags == e.flags&formats.SystemFlags {
			continue
		}
		at, in := v, *e
		ep := &in
		err := b.withFile(ctx, &at, &ep, func(d *disk.Dir, name string) error {
			_, keys := parseInfo([]byte(name))
			used[ep.where] = true
			return d.RenameNew(name, b.cur, string(withInfo(nil, []byte(name), c.flags, keys)))
		})
		if err != nil && !errors.Is(err, formats.ErrNoMessage) {
			return err
		}
		if err := lock.alive(); err != nil {
			return b.err("lock", 0, "", err)
		}
	}
	return b.syncUsed(used, len(list) > 0)
}

// syncUsed makes renames and removals in the folders durable; cur with it if something may have moved there.
func (b *Mailbox) syncUsed(used [3]bool, cur bool) error {
	used[inCur] = used[inCur] || cur
	for w, dirty := range used {
		if dirty {
			if err := b.syncDir(b.folderAt(where(w))); err != nil {
				return err
			}
		}
	}
	return nil
}

// expungeCourier removes files; Courier drops what its lists say of them when it comes by.
func (t *tx) expungeCourier(ctx context.Context, lock *held) error {
	if len(t.expunges) == 0 {
		return nil
	}
	b := t.b
	v, err := b.look(ctx)
	if err != nil {
		return err
	}
	var used [3]bool
	for i := range v.entries {
		e := v.entries[i]
		if !t.expunges.Contains(e.uid) {
			continue
		}
		if err := t.remove(ctx, v, &e); err != nil && !errors.Is(err, formats.ErrNoMessage) {
			return err
		}
		used[e.where] = true
		if err := lock.alive(); err != nil {
			return b.err("lock", 0, "", err)
		}
	}
	return b.syncUsed(used, false)
}

// writeIntent leaves what the messages are going to be.
func (b *Mailbox) writeIntent(v *view, list []changed) error {
	t := keywordPlaces{place: map[string]int{}}
	var records []byte
	for _, c := range list {
		records = appendLetters(records, c.flags, 0)
		if c.flags == 0 {
			records = append(records, '-')
		}
		records = append(records, ' ')
		base := baseName(v.name(&v.entries[c.at]))
		if len(c.keywords) == 0 {
			records = appendCourierKeywordsLine(records, base, nil)
		} else {
			records = t.append(records, base, c.keywords)
		}
	}
	return b.replaceControl(b.tmp, intentName, append(appendCourierKeywordNames(nil, t.names), records...))
}

func (b *Mailbox) dropIntent() error {
	err := b.tmp.Remove(intentName)
	if err == nil {
		err = b.tmp.Sync()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.err("set flags", 0, "", err)
	}
	return nil
}

// readIntent gives messages whose files were renamed the keywords that belong to it.
func (b *scanner) readIntent(sets *courierSets) error {
	if b.tmp == nil {
		return nil
	}
	text, err := b.tmp.ReadFile(intentName, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return b.err("read keywords", 0, "tmp/"+intentName, err)
	}
	b.v.intent = true
	names, rest := parseCourierKeywords(text)
	for _, l := range lines(rest) {
		flags, line, ok := bytes.Cut(l.text, []byte{' '})
		base, places, bad := parseCourierKeywordsLine(controlLine{line, l.whole}, len(names), nil)
		i, found := b.findCourierBase(base)
		if !ok || bad || !found {
			continue
		}
		want := strings.Trim(string(flags), "-")
		if e := &b.v.entries[i]; want == string(appendLetters(nil, e.flags, 0)) {
			sets.give(e, keywordsAt(names, slices.Clone(places)))
		}
	}
	return nil
}
