package watch

import (
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

// closeParsed writes what waits to be written, and forgets messages that are gone.
func (b *Box) closeParsed() {
	b.cache.once.Do(func() {})
	now := b.Snapshot()
	b.cache.it.Close(func(uid formats.UID) bool {
		_, there := now.Seq(uid)
		return there
	})
}
