package maildir

import (
	"errors"
	"io/fs"
	"strings"

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

// mean fills in flags and keywords of one message, with what only the index knows.
func (v *view) mean(e *entry) {
	flags, keys := parseInfo(v.name(e))
	e.flags = flags
	e.set = v.intern(setKey{keys: keys}, func() []string { return v.keywords.names(keys) })
	if v.index == nil {
		return
	}
	if i, ok := v.index.Find(e.uid); ok {
		v.merge(e, v.index.Flags(i), v.index.KeywordsOf(i))
	}
}

// mergeIndex adds what only the index knows: keywords that have no letter because there is none left, or because the list
// of their names is lost, and flags that Dovecot could not write to the file's name yet.
func (v *view) mergeIndex() {
	at := 0
	for _, m := range v.index.All() {
		for at < len(v.entries) && v.entries[at].uid < m.UID {
			at++
		}
		if at == len(v.entries) {
			return
		}
		if e := &v.entries[at]; e.uid == m.UID {
			v.merge(e, m.Flags, m.Keywords)
		}
	}
}

func (v *view) merge(e *entry, flags formats.Flags, keywords []string) {
	dirty := flags&index.Dirty != 0
	if !dirty && len(keywords) == 0 {
		return
	}
	_, keys := parseInfo(v.name(e))
	if !dirty && !v.keywords.full() && !v.keywords.unnamed(keys) {
		return // as with Dovecot: what could have a letter and has none was taken away by another program, or renamed
	}
	more := v.indexOnlyKey(keywords)
	if !dirty && more == "" {
		return
	}
	if dirty {
		e.flags, keys = flags&formats.SystemFlags, v.lettersOf(keywords)
	}
	e.set = v.intern(setKey{keys: keys, more: more}, func() []string {
		names := v.keywords.names(keys)
		return append(names, formats.WithoutKeywords(v.indexOnly(keywords), names)...)
	})
}

func (v *view) lettersOf(names []string) (keys letters) {
	for _, name := range names {
		if i := v.keywords.index(name); i >= 0 {
			keys |= 1 << i
		}
	}
	return keys
}

// indexOnlyKey names the set of keywords without a letter; "" is the empty one. It is asked once a message: messages share
// their slices, so the last answer is kept.
func (v *view) indexOnlyKey(names []string) string {
	if len(names) == 0 {
		return ""
	}
	if v.lastAsked != &names[0] {
		v.lastAsked, v.lastAnswer = &names[0], strings.Join(v.indexOnly(names), "\n")
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
