package maildir

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// Mailbox is one open Maildir folder. It is a formats.Mailbox, Fingerprinter and Checker.
type Mailbox struct {
	store  *Store
	name   string // as the user names it
	folder folder
	mode   fs.FileMode // of new files

	box, cur, fresh, tmp *disk.Dir
	control              *disk.Dir // box, or the folder in the control root
	indexDir             *disk.Dir // nil when there is no folder in the index root

	// barred: cur is a link, perhaps to where the mail of others is, or no folder at all. Nothing behind it is shown, what
	// the list says of it stays, and the mailbox cannot be changed until somebody puts that right.
	barred error

	change *sync.Mutex // one change at a time in this process, shared by all handles of the mailbox

	mu    sync.Mutex // guards what follows
	seen  *view
	kept  kept         // what the file of names holds; zero: not known
	tried bool         // the file of names was looked for
	index *index.Index // nil until an index is found

	indexHeld *index.State // what index says while a transaction of ours holds it; else nil
	indexSafe *index.State // which is known to hold no wishes

	list      listTail // guarded by change
	recovered bool     // guarded by change: what a dead process left was finished
}

// openMailbox opens the folders. Whether a missing cur/ or new/ is an error was decided before.
func (s *Store) openMailbox(name string, f folder) (_ *Mailbox, err error) {
	b := &Mailbox{store: s, name: name, folder: f, change: s.changeLock(name)}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.box, err = s.openBox(f); err != nil {
		return nil, b.err("open", 0, "", err)
	}
	b.mode = b.dirMode() & 0o666 // follows the folder, as Dovecot does: 0700 gives 0600
	for _, sub := range []struct {
		d    **disk.Dir
		name string
	}{{&b.cur, "cur"}, {&b.fresh, "new"}, {&b.tmp, "tmp"}} {
		*sub.d, err = b.box.OpenDir(sub.name)
		if errors.Is(err, fs.ErrNotExist) && !s.readOnly() {
			*sub.d, err = b.box.MakeDir(sub.name, b.dirMode())
		}
		if errors.Is(err, disk.ErrNotRegular) && sub.name == "cur" && !s.readOnly() {
			b.barred = b.err("open", 0, "cur", err)
			continue
		}
		if err != nil && (sub.name == "cur" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, b.err("open", 0, sub.name, err)
		}
	}
	if b.control, err = s.openSide(s.control, f, b.box); err != nil {
		return nil, b.err("open control files", 0, "", err)
	}
	if b.control == nil {
		b.control = b.cur // a source whose control root lacks the folder: no list is found there
	}
	if !s.keepsIndex() {
		return b, nil
	}
	if b.indexDir, err = s.openSide(s.index, f, b.box); err != nil {
		return nil, b.err("open index", 0, "", err)
	}
	return b, nil
}

func (b *Mailbox) dirMode() fs.FileMode {
	st, err := b.box.StatSelf()
	if err != nil {
		return 0o700
	}
	return st.Mode.Perm() | 0o700
}

// Name is the name it was opened with.
func (b *Mailbox) Name() string { return b.name }

// Close gives the folders back.
func (b *Mailbox) Close() error {
	if b.index != nil {
		b.index.Close()
	}
	if b.seen != nil {
		b.seen.text.lazy.close()
	}
	for _, d := range []*disk.Dir{b.cur, b.fresh, b.tmp, b.box} {
		if d != nil {
			d.Close()
		}
	}
	if b.control != nil && b.control != b.box && b.control != b.cur {
		b.control.Close()
	}
	if b.indexDir != nil && b.indexDir != b.box {
		b.indexDir.Close()
	}
	return nil
}

func (b *Mailbox) err(op string, uid formats.UID, path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		path, err = pe.Path, pe.Err // the full path says more
	} else if path != "" && b.box != nil {
		path = b.box.Path() + "/" + path
	}
	return &formats.Error{Op: op, Mailbox: b.name, UID: uid, Path: path, Err: err}
}

// stamps are the states of what a view is made of.
type stamps struct {
	at             time.Time // taken before they were looked at
	cur, fresh     disk.ID
	list, keywords disk.ID // zero when there is none
	pop3           disk.ID // Courier's, where its lists are read
}

func (b *Mailbox) stamp() (stamps, error) {
	s := stamps{at: time.Now()}
	for _, sub := range []struct {
		id *disk.ID
		d  *disk.Dir
	}{{&s.cur, b.cur}, {&s.fresh, b.fresh}} {
		if sub.d == nil {
			continue
		}
		st, err := sub.d.StatSelf()
		if err != nil {
			return s, b.err("look at", 0, "", err)
		}
		if st.Links == 0 {
			return s, b.err("look at", 0, "", formats.ErrNoMailbox)
		}
		*sub.id = st.ID
	}
	if !b.store.opts.Lists.courier() {
		err := errors.Join(b.stampFile(&s.list, b.control, uidlistName), b.stampFile(&s.keywords, b.control, keywordsName))
		if err != nil || s.list != (disk.ID{}) {
			return s, err
		}
	}
	var keywords disk.ID
	err := errors.Join(b.stampFile(&s.list, b.box, courierUIDDBName), b.stampFile(&keywords, b.box, courierKeywordsDir),
		b.stampFile(&s.pop3, b.box, courierPOP3Name))
	if keywords != (disk.ID{}) {
		s.keywords = keywords
	}
	return s, err
}

// stampFile takes the state of a file, or of the folder in which files are replaced; there need be none.
func (b *Mailbox) stampFile(id *disk.ID, d *disk.Dir, name string) error {
	st, err := d.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.err("look at", 0, name, err)
	}
	*id = st.ID
	return nil
}

func (s stamps) sameFolders(t stamps) bool { return s.cur == t.cur && s.fresh == t.fresh }

func (s stamps) same(t stamps) bool {
	return s.sameFolders(t) && s.list == t.list && s.keywords == t.keywords && s.pop3 == t.pop3
}

// settled tells whether a change after these stamps were taken must show in them.
func (s stamps) settled() bool { return s.cur.Settled(s.at) && s.settledButCur() }

func (s stamps) settledButCur() bool {
	return s.fresh.Settled(s.at) && s.list.Settled(s.at) && s.keywords.Settled(s.at) && s.pop3.Settled(s.at)
}

// state gives the mailbox as it is now, with the names of its files.
func (b *Mailbox) state(ctx context.Context) (*view, error) {
	v, err := b.outline(ctx)
	if err == nil && !v.text.whole() {
		v, err = b.outline(ctx) // which knows now that they cannot be read from where they were
	}
	return v, err
}

// outline gives the mailbox as it is now; names may have to be read first, see lazyText. In a store that may be written,
// files without a UID get one for good, as any IMAP server would do when it opens the mailbox; a source gets them for this
// run only. Likewise the index is told what others have done to the files. Where that fails, because the disk is full or a
// list cannot be written, what has a UID is shown all the same.
func (b *Mailbox) outline(ctx context.Context) (*view, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, err := b.refresh(ctx)
	if err != nil || b.store.readOnly() || v.complete() && b.inStepWithIndex(v) {
		return v, err
	}
	if b.barred != nil {
		return v.listedOnly(), nil
	}
	b.mu.Unlock() // lock order: change before mu
	err = b.completeList(ctx)
	b.mu.Lock()
	if err == nil {
		v, err := b.refresh(ctx)
		if err == nil {
			v = v.recorded() // what came meanwhile gets its UID with its record: somebody else may be first
		}
		return v, err
	}
	if v, rerr := b.refresh(ctx); cannotWrite(err) && rerr == nil && v.hasList {
		return v.listedOnly(), nil
	}
	return nil, err
}

// refresh looks unless nothing can have changed; mu is held.
func (b *Mailbox) refresh(ctx context.Context) (*view, error) {
	b.recallOnce()
	if b.seen != nil && b.seen.text.lazy != nil && b.seen.text.lazy.failed.Load() {
		b.seen = nil
	}
	if b.seen != nil && b.seen.stamps.settledButCur() {
		now, err := b.stamp()
		if err == nil && now.same(b.seen.stamps) && !b.seen.mustRead(now) && b.indexState() == b.seen.indexSeen {
			return b.seen, nil
		}
	}
	return b.catchUp(ctx)
}

// complete tells that everything found has its record.
func (v *view) complete() bool { return v.soundList() && v.unlisted == 0 && !v.hasMoving && !v.intent }

// soundList tells that records can be appended to the list as it is.
func (v *view) soundList() bool {
	if v.found != nil && v.hasList {
		return v.header.UIDValidity != 0
	}
	return v.hasList && v.header.Version == 3 && v.header.HasGUID && v.damage == nil
}

// indexState gives what the index says now; nil when there is none that can be used. mu is held.
func (b *Mailbox) indexState() *index.State {
	if b.indexHeld != nil || !b.store.keepsIndex() {
		return b.indexHeld
	}
	if b.indexDir == nil { // its folder may have come since
		d, err := b.store.openSide(b.store.index, b.folder, b.box)
		if err != nil || d == nil {
			return nil
		}
		b.indexDir = d
	}
	if b.index == nil {
		x, err := index.Open(b.indexDir, index.Prefix)
		if err != nil {
			return nil
		}
		b.index = x
		return x.Snapshot()
	}
	if _, err := b.index.Refresh(); err != nil {
		b.index.Close()
		b.index = nil
		return nil
	}
	return b.index.Snapshot()
}

// Status counts.
func (b *Mailbox) Status(ctx context.Context) (formats.Status, error) {
	v, err := b.outline(ctx)
	if err != nil {
		return formats.Status{}, err
	}
	return v.count(), nil
}

func (v *view) count() formats.Status {
	st := formats.Status{
		GUID:        v.header.GUID,
		UIDValidity: v.header.UIDValidity,
		UIDNext:     v.uidNext,
		Messages:    uint32(len(v.entries)),
		FirstRecent: v.firstRecent(),
		Volatile:    !v.hasList && !v.courier,
	}
	if v.index != nil {
		st.HighestModSeq, st.KeepsModSeqs = v.index.HighestModSeq(), v.index.KeepsModSeqs()
	}
	for i := range v.entries {
		e := &v.entries[i]
		if e.flags&formats.Seen == 0 {
			st.Unseen++
		}
		if e.uid >= st.FirstRecent {
			st.Recent++
		}
	}
	return st
}

// Messages gives what the names and lists tell; files are looked at only for dates and sizes.
func (b *Mailbox) Messages(ctx context.Context, q formats.Query) iter.Seq2[formats.Message, error] {
	return func(yield func(formats.Message, error) bool) {
		v, err := b.state(ctx)
		if err != nil {
			yield(formats.Message{}, err)
			return
		}
		recent := v.firstRecent()
		for i := range v.entries {
			if i%1024 == 0 && ctx.Err() != nil {
				yield(formats.Message{}, ctx.Err())
				return
			}
			e := &v.entries[i]
			m := v.message(e, recent)
			if v.index != nil && m.ModSeq != 0 && m.ModSeq <= q.Since {
				continue
			}
			err := b.fill(ctx, v, e, &m, q.Want)
			if errors.Is(err, formats.ErrNoMessage) {
				continue // expunged since the iteration began
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

func (v *view) message(e *entry, recent formats.UID) formats.Message {
	m := formats.Message{UID: e.uid, Flags: e.flags, Keywords: v.sets[e.set]}
	if e.uid >= recent {
		m.Flags |= formats.Recent
	}
	m.Size, m.VirtualSize = -1, -1
	if v.index != nil {
		if i, ok := v.index.Find(e.uid); ok {
			m.ModSeq = v.index.ModSeq(i)
		}
	}
	return m
}

// fill adds the wanted parts of Detail.
func (b *Mailbox) fill(ctx context.Context, v *view, e *entry, m *formats.Message, want formats.Want) error {
	if want&formats.WantGUID != 0 {
		m.GUID, m.DerivedGUID = v.guid(e)
	}
	if want&formats.WantPOP3 != 0 {
		m.POP3UIDL, m.POP3Order = v.pop3Of(e)
	}
	if e.bad {
		return b.err("open", e.uid, "", &fs.PathError{Path: b.path(v, e), Err: disk.ErrNotRegular})
	}
	if want&(formats.WantDate|formats.WantSaveDate|formats.WantSize|formats.WantVirtualSize) == 0 {
		return nil
	}
	return b.fillFromFile(ctx, v, e, m, want)
}

func (b *Mailbox) path(v *view, e *entry) string {
	return b.folderAt(e.where).Path() + "/" + string(v.name(e))
}
