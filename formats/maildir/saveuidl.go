package maildir

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"dovetail/formats"
)

// maxExt bounds the fields of a record that we write.
const maxExt = maxLine / 2

// SaveUIDL is done at commit, for messages that have no POP3 UIDL of their own yet. A store that goes by Courier's lists
// has none that could be chosen.
func (t *tx) SaveUIDL(uid formats.UID, uidl string) {
	uidl = strings.TrimRight(uidl, " ") // as far as a record can hold it
	if t.b.store.opts.Lists.courier() || !extValue(uidl) {
		return
	}
	if t.uidls == nil {
		t.uidls = make(map[formats.UID]string)
	}
	t.uidls[uid] = uidl
}

// commitUIDLs writes them into the list as field P, which is empty where it would be the base name (Dovecot 2.3,
// maildir-mail.c, maildir_update_pop3_uidl). The list's lock is held.
func (t *tx) commitUIDLs(ctx context.Context) error {
	if len(t.uidls) == 0 {
		return nil
	}
	v, h, err := t.b.rescan(ctx)
	if err != nil {
		return err
	}
	saved := false
	for uid, uidl := range t.uidls {
		place, ok := v.findPlace(uid)
		if !ok {
			continue
		}
		e := &v.entries[place]
		if _, has := extField(v.ext(e), 'P'); has {
			continue
		}
		if uidl == string(baseName(v.name(e))) {
			uidl = ""
		}
		ext := bytes.TrimLeft(append(append(slices.Clone(v.ext(e)), " P"...), uidl...), " ")
		if len(ext) > maxExt {
			continue
		}
		e.ext, e.extLen, saved = v.text.add(ext), uint16(len(ext)), true
	}
	if !saved {
		return nil
	}
	return t.b.writeList(v, h)
}
