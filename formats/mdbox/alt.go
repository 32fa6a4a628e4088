package mdbox

import (
	"context"
	"errors"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// MoveAlt moves messages between the storages.
func (s *Store) MoveAlt(ctx context.Context, what map[string]formats.Ranges, alt bool) (formats.Purged, error) {
	if s.Alt == nil {
		return formats.Purged{}, &formats.Error{Op: "move", Err: errNoAlt}
	}
	given := map[formats.UID]int{}
	for name, uids := range what {
		if err := s.mapUIDs(ctx, name, uids, given); err != nil {
			return formats.Purged{}, err
		}
	}
	st, err := s.mapState(true)
	if err != nil {
		return formats.Purged{}, &formats.Error{Op: "move", Err: err}
	}
	moves := map[formats.UID]bool{}
	for uid, n := range given {
		if refs, there := refsOf(st, uid); there && (!alt || n >= refs) {
			moves[uid] = alt
		}
	}
	return s.purge(ctx, moves)
}

var errNoAlt = errors.New("there is no alt storage (ALT= in the location)")

// mapUIDs counts the references of some messages of a mailbox.
func (s *Store) mapUIDs(ctx context.Context, name string, uids formats.Ranges, refs map[formats.UID]int) error {
	b, err := s.open(ctx, name)
	if err != nil {
		return &formats.Error{Op: "move", Mailbox: name, Err: err}
	}
	defer b.Close()
	st, err := b.refresh()
	if err != nil {
		return err
	}
	for _, r := range uids {
		i, _ := st.Find(r.First)
		for ; i < st.Len() && st.UID(i) <= r.Last; i++ {
			if uid, _, err := record(st, i); err == nil && uid != 0 {
				refs[uid]++
			}
		}
	}
	return nil
}

// altFiles opens the files of the alt storage, and makes the folder.
func (s *Store) altFiles() (*disk.Dir, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alt != nil {
		return s.alt, nil
	}
	st, err := s.files.StatSelf()
	if err != nil {
		return nil, err
	}
	if s.alt, err = s.Alt.MakeDir(storageDir, st.Mode.Perm()|0o700); err != nil {
		return nil, err
	}
	return s.alt, s.Alt.Sync()
}

var _ formats.AltMover = (*Store)(nil)
