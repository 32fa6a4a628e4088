package mdbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"dovetail/formats"
	"dovetail/formats/dbox"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Purge writes the files that hold messages without references anew, without these. Each file is done by itself: it is
// locked, its other messages are copied to another file, the map is told in one transaction, and the file is removed. A
// file whose messages are copied elsewhere at that moment, or that somebody appends to, is left as it is.
func (s *Store) Purge(ctx context.Context) (formats.Purged, error) {
	return s.purge(ctx, nil)
}

// Purgeable counts in the map.
func (s *Store) Purgeable(context.Context) (done formats.Purged, err error) {
	st, err := s.mapState(true)
	if errors.Is(err, fs.ErrNotExist) || s.noStorage() {
		return done, nil
	}
	if err != nil {
		return done, &formats.Error{Op: "purge", Err: err}
	}
	done.Files = len(s.worthPurging(st, nil))
	for i := range st.Len() {
		if refs, there := refsOf(st, st.UID(i)); there && refs == 0 {
			p, _ := placeAt(st, i)
			done.Messages++
			done.Bytes += int64(p.size)
		}
	}
	return done, nil
}

// purge does that, and puts messages, by map UID, into the alt storage (true) or out of it.
func (s *Store) purge(ctx context.Context, moves map[formats.UID]bool) (done formats.Purged, err error) {
	if s.ReadOnly() {
		return done, &formats.Error{Op: "purge", Err: formats.ErrReadOnly}
	}
	w, err := s.purgeable(ctx)
	if w == nil || err != nil {
		return done, err
	}
	st, err := s.mapState(true)
	if err != nil {
		return done, &formats.Error{Op: "purge", Err: err}
	}
	for _, file := range s.worthPurging(st, moves) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		p := purge{s: s, ctx: ctx, w: w, file: file, moves: moves, now: time.Now()}
		err := p.run(&done)
		if err != nil && isDamage(err) && s.mends() { // then its sound messages are in another file
			err = s.rebuild(ctx, fmt.Errorf("%s: %w", fileName(file), err), nil, func() error { return err })
		}
		if err != nil {
			return done, &formats.Error{Op: "purge", Path: s.files.Path() + "/" + fileName(file), Err: err}
		}
	}
	return done, nil
}

// purgeable gives the map for writing; nil where no message was ever saved.
func (s *Store) purgeable(ctx context.Context) (*index.Index, error) {
	if _, err := s.mapState(false); errors.Is(err, fs.ErrNotExist) || s.noStorage() {
		return nil, nil
	}
	w, err := s.writableMap(ctx)
	if err != nil {
		return nil, &formats.Error{Op: "purge", Err: err}
	}
	return w, nil
}

func (s *Store) noStorage() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maps == nil
}

// worthPurging lists the files that have something to purge or to move. Those of which least must be copied come first:
// on a full disk they make room for the others.
func (s *Store) worthPurging(st *index.State, moves map[formats.UID]bool) []uint32 {
	worth, stay := map[uint32]bool{}, map[uint32]int64{}
	for i := range st.Len() {
		p, ok := placeAt(st, i)
		if !ok {
			continue
		}
		refs, _ := refsOf(st, st.UID(i))
		if _, move := moves[st.UID(i)]; refs == 0 || move {
			worth[p.file] = true
		}
		if refs > 0 {
			stay[p.file] += int64(p.size)
		}
	}
	return slices.SortedFunc(maps.Keys(worth), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(stay[a], stay[b]), cmp.Compare(a, b))
	})
}

// purge is the work on one file.
type purge struct {
	s     *Store
	ctx   context.Context
	w     *index.Index
	file  uint32
	moves map[formats.UID]bool
	now   time.Time

	f      *disk.File
	dir    *disk.Dir // of f
	size   int64
	stay   []moved // messages with references, by offset
	gone   []formats.UID
	parts  []dbox.Attachment // of these
	spools []*spool          // of those that stay; in the storage, and in the alt storage
}

// moved is a message that is copied to a spool.
type moved struct {
	uid          formats.UID
	at           place
	spool        *spool
	offset, size int64
}

func (p *purge) run(done *formats.Purged) error {
	ok, err := p.open()
	if err != nil || !ok {
		if err == nil {
			done.Busy++
		}
		return err
	}
	if p.f == nil { // there is no such file any more
		return p.forget(done)
	}
	defer p.f.Close()
	defer func() {
		for _, sp := range p.spools {
			sp.close()
		}
	}()
	if err := p.collect(); err != nil {
		return err
	}
	if len(p.gone) == 0 && !p.moving() {
		return nil
	}
	for i := range p.stay {
		if err := p.copy(&p.stay[i]); err != nil {
			return err
		}
	}
	ok, err = p.commit()
	if err != nil || !ok {
		if err == nil {
			done.Busy++
		}
		return err
	}
	return p.finish(done)
}

// open opens and locks the file; ok is false when somebody else has locked it.
func (p *purge) open() (ok bool, err error) {
	name := fileName(p.file)
	p.s.mu.Lock()
	dirs := []*disk.Dir{p.s.files, p.s.alt}
	p.s.mu.Unlock()
	for _, d := range dirs {
		if d == nil {
			continue
		}
		f, err := d.OpenWrite(name, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		locked, err := f.TryFlock()
		var st disk.Info
		if err == nil {
			st, err = f.Stat()
		}
		if err != nil || !locked || st.Links == 0 {
			f.Close()
			return false, err
		}
		p.f, p.dir, p.size = f, d, st.Size
		return true, nil
	}
	return true, nil
}

// forget takes the records away of messages without references whose file is gone. Those with references stay: somebody
// may find the file.
func (p *purge) forget(done *formats.Purged) error {
	return p.w.Update(p.ctx, func(ix *index.Tx) error {
		st := ix.State()
		for i := range st.Len() {
			at, ok := placeAt(st, i)
			if refs, _ := refsOf(st, st.UID(i)); ok && at.file == p.file && refs == 0 {
				ix.Expunge(st.UID(i), formats.GUID{})
				done.Messages++
			}
		}
		ix.SyncTail()
		return nil
	})
}

// collect finds the messages of the file. What else it holds is of runs that died: the file is locked, and who appends
// holds that lock until the map knows. But if that is a whole message, the file is not to be removed.
func (p *purge) collect() error {
	st, err := p.s.mapState(true) // after the file was locked
	if err != nil {
		return err
	}
	head, err := dbox.ReadFileHeader(p.f)
	if err != nil {
		return err
	}
	var all []moved
	for i := range st.Len() {
		if at, ok := placeAt(st, i); ok && at.file == p.file {
			all = append(all, moved{uid: st.UID(i), at: at})
		}
	}
	slices.SortFunc(all, func(a, b moved) int { return cmp.Compare(a.at.offset, b.at.offset) })
	end := int64(head.Size)
	for _, m := range all {
		if int64(m.at.offset) < end {
			return &dbox.OffsetError{Offset: end, Err: formats.Corrupt("the map has a message at byte %d, within the one before", m.at.offset)}
		}
		if err := p.known(head, end, int64(m.at.offset)); err != nil {
			return err
		}
		msg, err := head.ReadMessage(p.f, int64(m.at.offset), p.size)
		if err != nil {
			return err
		}
		m.size, end = msg.End-msg.Offset, msg.End
		if refs, _ := refsOf(st, m.uid); refs > 0 {
			p.stay = append(p.stay, m)
			continue
		}
		p.gone = append(p.gone, m.uid)
		if parts, err := dbox.ParseAttachments(msg.Attachments); err == nil {
			p.parts = append(p.parts, parts...)
		}
	}
	return p.known(head, end, p.size)
}

// known refuses a whole message between messages that the map knows, or behind them.
func (p *purge) known(h dbox.FileHeader, at, end int64) error {
	if at < end && isMessage(p.f, h, at, end) {
		return &dbox.OffsetError{Offset: at, Err: formats.Corrupt("a message that the map does not know")}
	}
	return nil
}

// alt tells where a message belongs.
func (p *purge) alt(uid formats.UID) bool {
	if alt, move := p.moves[uid]; move {
		return alt
	}
	return p.dir == p.s.alt
}

// moving tells whether a message belongs elsewhere than it is.
func (p *purge) moving() bool {
	return slices.ContainsFunc(p.stay, func(m moved) bool { return p.alt(m.uid) != (p.dir == p.s.alt) })
}

// copy copies a message with its metadata, byte by byte.
func (p *purge) copy(m *moved) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	sp, err := p.spoolFor(m)
	if err != nil {
		return err
	}
	m.spool, m.offset = sp, sp.size()
	return sp.copy(p.f.Section(int64(m.at.offset), m.size))
}

func (p *purge) spoolFor(m *moved) (*spool, error) {
	dir, mode, err := p.s.place()
	if err == nil && p.alt(m.uid) {
		dir, err = p.s.altFiles()
	}
	if err != nil {
		return nil, err
	}
	for i := len(p.spools) - 1; i >= 0; i-- {
		if sp := p.spools[i]; sp.dir == dir && sp.size()+m.size <= p.s.rotateSize() {
			return sp, nil
		}
	}
	sp := newSpool(dir, mode, p.now)
	p.spools = append(p.spools, sp)
	return sp, nil
}

var errMapChanged = errors.New("the map has changed")

// commit tells the map where the messages are; ok is false when it knows something else of them by now.
func (p *purge) commit() (ok bool, err error) {
	undo := func(error) {}
	if len(p.spools) == 1 && p.spools[0].dir == p.s.files {
		if undo, err = p.s.join(p.spools, p.now); err != nil {
			return false, err
		}
	}
	err = p.w.Update(p.ctx, func(ix *index.Tx) error {
		if !p.asBefore(ix.State()) {
			return errMapChanged
		}
		highest, err := nameSpools(p.spools, highestFile(ix.State()))
		if err != nil {
			return err
		}
		if highest != 0 {
			ix.SetHeader(extMap, 0, binary.LittleEndian.AppendUint32(nil, highest))
		}
		for _, m := range p.stay {
			ix.SetData(extMap, m.uid, m.spool.place(m.offset, m.size).bytes())
		}
		for _, uid := range p.gone {
			ix.Expunge(uid, formats.GUID{})
		}
		ix.SyncTail()
		ix.Sync()
		return nil
	})
	for _, sp := range p.spools {
		sp.kept = err == nil && sp.id != 0
	}
	undo(err)
	if errors.Is(err, errMapChanged) {
		return false, nil
	}
	return err == nil, err
}

// asBefore: a message may have been copied, and so referred to again, since the file was read.
func (p *purge) asBefore(st *index.State) bool {
	for _, uid := range p.gone {
		if refs, there := refsOf(st, uid); !there || refs != 0 {
			return false
		}
	}
	for _, m := range p.stay {
		if at, there := placeIn(st, m.uid); !there || at != m.at {
			return false
		}
	}
	return true
}

// finish removes the file, behind the map: readers who have the old map look again when they do not find it.
func (p *purge) finish(done *formats.Purged) error {
	if err := p.dir.Remove(fileName(p.file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	done.Files++
	done.Messages += len(p.gone)
	done.Bytes += p.size
	for _, m := range p.stay {
		done.Bytes -= m.size
	}
	for _, a := range p.parts {
		if p.s.Attachments != nil {
			p.s.Attachments.Remove(a.Path) // a file that is left costs space and nothing else
		}
	}
	return p.dir.Sync()
}

var _ formats.Purger = (*Store)(nil)
