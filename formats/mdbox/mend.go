package mdbox

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"dovetail/formats"
	"dovetail/formats/dbox/tree"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

// A store with Options.Mended mends itself when somebody meets damage, as Dovecot does: the map is built anew from the
// files when it is lost or damaged, when the index of a folder is, or belongs to another map, and when a message is not
// where the map has it. See rebuild.

// mends tells whether it may.
func (s *Store) mends() bool {
	return s.Options.Mended != nil && !s.ReadOnly() && s.Options.Layout != "index"
}

// isDamage tells what is wrong with files from what may be right another time.
func isDamage(err error) bool {
	return errors.Is(err, formats.ErrCorrupt) || errors.Is(err, fs.ErrNotExist)
}

// errCut: an index, or the map, has less than it had.
var errCut = formats.Corrupt("it is gone, or has less than it had")

// hurt tells whether what was read of the index, after it had the state was, calls for making it anew.
func (b *Mailbox) hurt(was *index.State, err error) bool {
	if !b.store.mends() {
		return false
	}
	if dir, failed := b.dir.StatSelf(); failed != nil || dir.Links == 0 {
		return false // the folder was deleted
	}
	if err != nil {
		return isDamage(err)
	}
	st := b.idx.Snapshot()
	return !st.Deleted && (b.idx.Gone() || was.After(st))
}

// mend has the map built anew, and with it the index, which had the state was.
func (b *Mailbox) mend(was *index.State) error {
	still := func() error {
		_, err := b.idx.Refresh()
		if err == nil && b.hurt(was, nil) {
			err = errCut
		}
		return err
	}
	err := b.store.rebuild(context.Background(), b.named(errCut), map[string]*index.State{b.name: was}, still)
	if err == nil {
		_, err = b.idx.Refresh()
	}
	return err
}

// mendMessage is for a message that is not where the map has it, or cannot be read there. It is tried once for each: what
// is still there after that is left, as when a disk is missing.
func (s *Store) mendMessage(mapUID formats.UID, why error) (tried bool) {
	if !s.mends() || !isDamage(why) {
		return false
	}
	s.mu.Lock()
	if slices.Contains(s.tried, mapUID) {
		s.mu.Unlock()
		return false
	}
	s.tried = append(s.tried, mapUID)
	s.mu.Unlock()
	was := s.placeNow(mapUID)
	return s.rebuild(context.Background(), why, nil, func() error {
		if s.placeNow(mapUID) != was {
			return nil
		}
		return why
	}) == nil
}

// placeNow is where the map has a message; zero when that is not known.
func (s *Store) placeNow(mapUID formats.UID) place {
	st, err := s.readMap(true)
	if err != nil {
		return place{}
	}
	p, _ := placeIn(st, mapUID)
	return p
}

// remake describes the index of a folder from what is left of it; the data of its messages are added behind.
func (s *Store) remake(ctx context.Context, name string, was *index.State, validity formats.UIDValidity) (index.New, error) {
	like := tree.Status(was, extHeader)
	if like.UIDValidity == 0 {
		var err error
		if like.UIDValidity, err = layout.NextUIDValidity(ctx, s.Control); err != nil {
			return index.New{}, err
		}
	}
	like.HighestModSeq++
	n := newIndex(name, validity)(like)
	for _, m := range was.All() {
		m.Flags &= formats.SystemFlags
		if !was.KeepsModSeqs() {
			m.ModSeq = 0
		}
		n.Messages = append(n.Messages, m)
	}
	if h := tree.Header(was, extHeader); h != nil {
		n.Extensions[0].Header[tree.FlagsOffset] = h[tree.FlagsOffset]
	}
	return n, nil
}
