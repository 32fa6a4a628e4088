package watch

import (
	"iter"
	"reflect"
	"sync"

	"dovetail/formats"
	"dovetail/formats/parsed"
)

// cache is what the sessions of a Box share of what was parsed.
type cache struct {
	once sync.Once
	it   *parsed.Cache
}

// Parsed is what is known of the mailbox's messages from earlier readings; nil, which knows nothing, where the format has
// no place for it. It is open as long as the Box is.
func (b *Box) Parsed() *parsed.Cache {
	b.cache.once.Do(func() {
		s, ok := b.Mailbox.(formats.Sidecar)
		if !ok {
			return
		}
		if st := b.Snapshot().Status; st.UIDValidity != 0 && !st.Volatile {
			if dir, mode, err := s.Side(); err == nil {
				b.cache.it = parsed.Open(dir, mode, st.UIDValidity)
				b.cache.it.Known = func(uid formats.UID) bool {
					_, there := b.Snapshot().Seq(uid)
					return there
				}
			}
		}
	})
	return b.cache.it
}

// TakeKnown takes over what is known of messages that were copied from another mailbox, as Dovecot does
// (index_copy_cache_fields): here they have the UIDs of as, in the same order. Nothing is taken where the format is another
// one, or writes messages in its own way, or where reading what is known here would cost more than it saves.
func (b *Box) TakeKnown(from *Box, uids, as formats.Ranges) {
	_, plain := b.Mailbox.(formats.Viewer)
	to := b.Parsed()
	if !plain || reflect.TypeOf(b.Mailbox) != reflect.TypeOf(from.Mailbox) || uids.Len() != as.Len() || !to.Ready() {
		return
	}
	r := from.Parsed().Reader()
	next, stop := iter.Pull(as.All())
	defer stop()
	for uid := range uids.All() {
		if here, _ := next(); here != 0 {
			if d, ok := r.Get(uid, -1); ok {
				d.HasSaved = false
				to.Put(here, d)
			}
		}
	}
	to.Flush()
}

// closeParsed writes what waits to be written, and forgets messages that are gone.
func (b *Box) closeParsed() {
	b.cache.once.Do(func() {})
	now := b.Snapshot()
	b.cache.it.Close(func(uid formats.UID) bool {
		_, there := now.Seq(uid)
		return there
	})
}
