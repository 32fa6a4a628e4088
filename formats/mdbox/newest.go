package mdbox

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"time"

	"dovetail/formats/dbox"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

const (
	// rotateSize is Dovecot's default of mdbox_rotate_size.
	rotateSize = 10 << 20

	// joinSize is up to where new messages are copied to the end of a file. More of them become a file of their own.
	joinSize = 1 << 20

	// lookBack is how many files are tried (Dovecot 2.3, mdbox-map.c MAX_BACKWARDS_LOOKUPS).
	lookBack = 10
)

// last opens a file to which more bytes may be added, locked, and says which message is its last one; the newest files
// are tried. f is nil when there is none.
func (s *Store) last(now time.Time, more int64) (f *disk.File, p place, err error) {
	st, err := s.mapState(true)
	if err != nil {
		return nil, p, err
	}
	since := rotatedAt(now, s.Options.Rotation.Interval)
	tried := make([]uint32, 0, lookBack)
	for i := st.Len() - 1; i >= 0 && len(tried) < lookBack; i-- {
		p, ok := placeAt(st, i)
		if !ok {
			break
		}
		if slices.Contains(tried, p.file) {
			continue
		}
		tried = append(tried, p.file)
		if !s.fits(p, more) {
			continue
		}
		f, p, old, err := s.tryFile(p.file, more, since)
		if err != nil || f != nil {
			return f, p, err
		}
		if old {
			break // and so are those before it
		}
	}
	return nil, place{}, nil
}

// join writes a small spool to the end of a file of the store, which stays locked until undo is called; undo takes it out
// again after an error. More than that becomes a file of its own.
func (s *Store) join(spools []*spool, now time.Time) (undo func(error), err error) {
	undo = func(error) {}
	if len(spools) != 1 || spools[0].size() == spools[0].header || spools[0].size() > joinSize {
		return undo, nil
	}
	sp := spools[0]
	f, p, err := s.last(now, sp.size())
	if f == nil || err != nil {
		return undo, err
	}
	end := p.end()
	undo = func(err error) {
		if err != nil {
			f.Truncate(end) // best effort: nobody appends to a file with something behind its last message
		}
		f.Close()
	}
	if err := sp.append(f, end); err != nil {
		undo(err)
		return nil, err
	}
	sp.id, sp.at = p.file, end
	if sp.f != nil {
		sp.f.Close()
		sp.dir.Remove(sp.temp)
		sp.f = nil
	}
	return undo, nil
}

// tryFile opens and locks one of them. Who appends holds that lock until the map knows the messages, so what a file has
// behind its last one is of a run that died. Half a message is cut off; with a whole one the file is left alone, for the
// map may be older than the files, restored from a backup. old tells that a new file is to be begun in its place.
func (s *Store) tryFile(id uint32, more int64, since time.Time) (_ *disk.File, p place, old bool, err error) {
	f, err := s.files.OpenWrite(fileName(id), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p, false, nil // purged, or in the alt root
	}
	if err != nil {
		return nil, p, false, err
	}
	h, err := dbox.ReadFileHeader(f)
	usable := err == nil && h.Version == 2 && h.MessageHeader == dbox.MessageHeaderSize
	old = usable && int64(h.Created) < since.Unix()
	if !usable || old {
		f.Close()
		return nil, p, old, nil
	}
	locked, err := f.TryFlock()
	if err == nil && locked {
		var st *index.State
		if st, err = s.readMap(true); err == nil {
			if p, err = lastIn(st, id, f, h); err == nil && p.file != 0 && s.fits(p, more) {
				return f, p, false, nil
			}
		}
	}
	f.Close()
	return nil, p, false, err
}

// lastIn gives the place of the message at the end of a file, which has nothing behind it then; zero if the file cannot
// be used. f is locked.
func lastIn(st *index.State, file uint32, f *disk.File, h dbox.FileHeader) (last place, err error) {
	info, err := f.Stat()
	if err != nil || info.Links == 0 {
		return place{}, err
	}
	for i := st.Len() - 1; i >= 0; i-- { // the newest message is mostly the last one: who purges may put older ones behind
		p, ok := placeAt(st, i)
		if !ok || p.file != file {
			continue
		}
		if p.size == 0 {
			return place{}, nil
		}
		if last.file == 0 || p.end() > last.end() {
			last = p
		}
		if last.end() == info.Size {
			return last, nil
		}
	}
	if last.file == 0 || last.end() > info.Size || isMessage(f, h, last.end(), info.Size) {
		return place{}, nil
	}
	return last, f.Truncate(last.end())
}

// fits tells whether there is room behind a message.
func (s *Store) fits(p place, more int64) bool {
	return p.size != 0 && p.end()+more <= s.rotateSize()
}

// isMessage tells whether there is a whole message in a file; what cannot be read may be one.
func isMessage(f *disk.File, h dbox.FileHeader, at, size int64) bool {
	_, err := h.ReadMessage(f, at, size)
	return err == nil || !isDamage(err)
}

func (s *Store) rotateSize() int64 {
	if n := s.Options.Rotation.Size; n > 0 {
		return min(n, math.MaxUint32)
	}
	return rotateSize
}

// rotatedAt gives the time before which a file must not have been begun to get more messages: the beginning of this day,
// hour or minute, whichever the interval is counted in, and as many before as the interval has more of (Dovecot 2.3,
// mdbox-map.c day_begin_stamp).
func rotatedAt(now time.Time, interval time.Duration) time.Time {
	const day = 24 * time.Hour
	hour, minute, second, unit := now.Hour(), now.Minute(), now.Second(), time.Second
	switch {
	case interval <= 0:
		return time.Unix(0, 0)
	case interval >= day:
		hour, minute, second, unit = 0, 0, 0, day
	case interval >= time.Hour:
		minute, second, unit = 0, 0, time.Hour
	case interval >= time.Minute:
		second, unit = 0, time.Minute
	}
	begin := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, second, 0, now.Location())
	return begin.Add(unit - interval)
}
