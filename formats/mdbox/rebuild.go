package mdbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dovetail/formats"
	"dovetail/formats/index"
)

// rebuild is the work of building the map anew from the files, as Dovecot does (2.3, mdbox-storage-rebuild.c), with the
// map locked all the time. A message keeps its map UID if the map has it in that place. Messages of folders find theirs
// by GUID, else by map UID. What folders have and no file does is expunged; what is in a file, was not expunged and is
// in no folder is put into the folder that it was saved in first. Messages that are there twice, and those that the map
// knows as expunged, wait for the next purge.
type rebuild struct {
	s   *Store
	ctx context.Context

	h     *index.Held
	known map[string]*index.State
	base  *index.State // what is known of the map: from before it was made anew; nil: nothing

	scan
	byGUID map[formats.GUID][]*found
	byUID  map[formats.UID]*found
	next   formats.UID // of the map

	// keepLost: nothing is expunged, because a disk may be missing: there are no files at all, or there is an alt storage
	// and no folder for it.
	keepLost bool

	lost, restored int // messages
}

// rebuild builds the map anew; why is told. known are states of folders from before they were damaged, by name. Nothing is
// done if still gives nil: somebody else has mended what was wrong.
func (s *Store) rebuild(ctx context.Context, why error, known map[string]*index.State, still func() error) error {
	s.rebuilding.Lock()
	defer s.rebuilding.Unlock()
	if still() == nil {
		return nil
	}
	r := &rebuild{s: s, ctx: ctx, known: known, byGUID: map[formats.GUID][]*found{}, byUID: map[formats.UID]*found{}}
	r.scan = scan{s: s, ctx: ctx, now: time.Now()}
	defer r.scan.close()
	w, err := r.soundMap()
	if err != nil {
		return &formats.Error{Op: "rebuild storage", Err: err}
	}
	err = w.Hold(ctx, func(h *index.Held) error {
		r.h = h
		return r.run(why)
	})
	if err != nil {
		return &formats.Error{Op: "rebuild storage", Err: err}
	}
	return nil
}

// soundMap gives a map that can be written, made anew without messages if there was none.
func (r *rebuild) soundMap() (w *index.Index, err error) {
	s, known := r.s, r.s.newestMap()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.openStorage(true); err != nil {
		return nil, err
	}
	fresh, err := index.Rebuild(r.ctx, s.maps, index.MapPrefix, known, func(rest index.Remains) (index.New, error) {
		r.base = rest.State
		n := index.New{Extensions: mapExtensions}
		if st := rest.State; st != nil {
			n.UIDValidity, n.HighestModSeq = st.UIDValidity, st.HighestModSeq()
			if e := st.Ext(extMap); e != nil && len(e.Header) == 8 {
				n.Extensions = slices.Clone(mapExtensions)
				n.Extensions[0].Header = slices.Clone(e.Header)
			}
		}
		return n, nil
	})
	if err != nil {
		return nil, err
	}
	if fresh {
		s.forgetMap()
	}
	if s.writer == nil {
		err = s.openWriter(r.ctx)
	}
	return s.writer, err
}

// newestMap is the newest state of the map that any handle has seen; nil if none has.
func (s *Store) newestMap() *index.State {
	s.mu.Lock()
	known, reader, writer := s.known, s.reader, s.writer
	s.mu.Unlock()
	for _, x := range []*index.Index{reader, writer} {
		if x == nil {
			continue
		}
		if st := x.Snapshot(); st.After(known) {
			known = st
		}
	}
	return known
}

// forgetMap lets go of handles on a map that is another one now. mu is held.
func (s *Store) forgetMap() {
	for _, x := range []**index.Index{&s.reader, &s.writer} {
		if *x != nil {
			(*x).Close()
		}
		*x = nil
	}
	s.broken, s.salvaged, s.known = nil, nil, nil
}

func (r *rebuild) run(why error) error {
	if r.base == nil || r.h.State().Len() > 0 {
		r.base = r.h.State()
	}
	folders, err := r.folders()
	if err != nil {
		return err
	}
	if err := r.scan.run(); err != nil {
		return err
	}
	r.keepLost = len(r.files) == 0 || r.s.Alt != nil && r.s.alt == nil
	r.match()
	for _, name := range folders {
		if err := r.folder(name); err != nil {
			return err
		}
	}
	if err := r.restore(); err != nil {
		return err
	}
	if err := r.h.Update(r.finish); err != nil {
		return err
	}
	for _, sp := range r.spools() {
		sp.kept = sp.id != 0
	}
	r.s.told(fmt.Sprintf("mdbox %s: storage rebuilt: %v; %d messages found, %d lost, %d of no mailbox put into one, %d damaged files set aside",
		r.s.files.Path(), why, len(r.all), r.lost, r.restored, len(r.cut)))
	return r.setAside()
}

// folders lists the mailboxes. One that cannot be read may have references, so without it nothing is done.
func (r *rebuild) folders() ([]string, error) {
	if r.s.Options.Layout == "index" {
		return nil, fmt.Errorf("%w with LAYOUT=index", errors.ErrUnsupported)
	}
	infos, err := r.s.Mailboxes(r.ctx)
	var names []string
	for _, i := range infos {
		if i.Err != nil && !errors.Is(i.Err, formats.ErrCorrupt) {
			err = errors.Join(err, i.Err)
		}
		if !i.NoSelect {
			names = append(names, i.Name)
		}
	}
	return names, err
}

// match finds out which messages the map knows.
func (r *rebuild) match() {
	at := make(map[place]*found, len(r.all))
	for _, f := range r.all {
		at[f.place] = f
		at[place{f.file, f.place.offset, 0}] = f
	}
	for i := range r.base.Len() {
		p, ok := placeAt(r.base, i)
		f := at[p]
		if !ok || f == nil || f.uid != 0 {
			continue
		}
		f.uid = r.base.UID(i)
		r.byUID[f.uid] = f
		refs, _ := refsOf(r.base, f.uid)
		f.unwanted = refs == 0
	}
	r.all = slices.DeleteFunc(r.all, func(f *found) bool { return f.busy && f.uid == 0 })
	r.next = max(r.base.NextUID, r.h.State().NextUID)
	for _, f := range r.all {
		if f.uid == 0 {
			f.uid = r.next
			r.byUID[f.uid] = f
			r.next++
		}
	}
	for _, f := range r.sorted() {
		same := r.byGUID[f.guid]
		if slices.ContainsFunc(same, func(o *found) bool { return o.plain == f.plain }) {
			f.unwanted = true
		}
		r.byGUID[f.guid] = append(same, f)
	}
}

// of gives the message that a record of a folder refers to; nil when it is lost. mapUID is 0 when it is of another map.
func (r *rebuild) of(guid formats.GUID, mapUID formats.UID) *found {
	same := r.byGUID[guid]
	if guid.IsZero() || len(same) == 0 {
		return r.byUID[mapUID]
	}
	for _, f := range same {
		if f.uid == mapUID {
			return f
		}
	}
	return same[0]
}

func (s *Store) told(text string) {
	if s.Options.Mended != nil {
		s.Options.Mended(text)
	}
}
