package maildir

import (
	"errors"
	"io/fs"

	"dovetail/formats"
	"dovetail/formats/index"
)

// maxKeywordsFile bounds dovecot-keywords: 26 lines.
const maxKeywordsFile = 1 << 20

func (b *Mailbox) loadKeywords() (keywordTable, error) {
	text, err := b.control.ReadFile(keywordsName, maxKeywordsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return keywordTable{}, b.err("read keywords", 0, keywordsName, err)
	}
	return parseKeywords(text), nil
}

// readKeywordTable: a table of a source that cannot be read takes only the names of keywords along; see Lost.
func (b *scanner) readKeywordTable() (err error) {
	if b.store.opts.Lists.courier() {
		return nil
	}
	b.v.keywords, err = b.loadKeywords()
	if err != nil && b.store.readOnly() {
		b.v.noKeywords, err = err, nil
	}
	return err
}

// readMeanings fills in flags and keywords.
func (b *scanner) readMeanings() error {
	if b.store.opts.Lists.courier() || !b.v.hasList && b.v.index == nil {
		return b.courierMeanings()
	}
	v := b.v
	for i := range v.entries {
		e := &v.entries[i]
		flags, keys := parseInfo(v.name(e))
		e.flags = flags
		e.set = v.intern(setKey{keys: keys}, func() []string { return v.keywords.names(keys) })
	}
	if v.index != nil {
		v.mergeIndex()
	}
	return nil
}

// mergeIndex adds what only the index knows: keywords that have no letter, and flags that Dovecot could not write to the
// file's name yet.
func (v *view) mergeIndex() {
	at := 0
	for _, m := range v.index.All() {
		for at < len(v.entries) && v.entries[at].uid < m.UID {
			at++
		}
		if at == len(v.entries) {
			return
		}
		e := &v.entries[at]
		if e.uid != m.UID {
			continue
		}
		_, keys := parseInfo(v.name(e))
		if m.Flags&index.Dirty != 0 {
			e.flags, keys = m.Flags&formats.SystemFlags, v.lettersOf(m.Keywords)
		}
		if !v.anyIndexOnly(m.Keywords) {
			if m.Flags&index.Dirty != 0 {
				e.set = v.intern(setKey{keys: keys}, func() []string { return v.keywords.names(keys) })
			}
			continue
		}
		e.set = v.intern(setKey{keys: keys, more: &m.Keywords[0]}, func() []string {
			return append(v.keywords.names(keys), v.indexOnly(m.Keywords)...)
		})
	}
}

func (v *view) lettersOf(names []string) (keys letters) {
	for _, name := range names {
		if i := v.keywords.index(name); i >= 0 {
			keys |= 1 << i
		}
	}
	return keys
}

// anyIndexOnly is asked once a message: messages share their slices, so the last answer is kept.
func (v *view) anyIndexOnly(names []string) bool {
	if len(names) == 0 {
		return false
	}
	if v.lastAsked != &names[0] {
		v.lastAsked, v.lastAnswer = &names[0], len(v.indexOnly(names)) > 0
	}
	return v.lastAnswer
}

// indexOnly are the keywords without a letter.
func (v *view) indexOnly(names []string) []string {
	var out []string
	for _, name := range names {
		if v.keywords.index(name) < 0 {
			out = append(out, name)
		}
	}
	return out
}
