package mbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
)

// snapshot is a mailbox as it was at one moment. It does not change and is shared by handles and bodies.
type snapshot struct {
	file    *disk.File
	id      disk.ID
	indexID disk.ID // of dovecot.index.log, zero if there is none
	size    int64   // of the file, without the torn tail of an append that died
	dialect Dialect
	zone    *time.Location

	entries []entry
	keySets [][]string

	base        base   // validity 0: the file has none
	baseAt      int64  // where its value begins in the file
	baseEnd     int64  // where it ends, spaces behind it included; 0: the file has none
	pseudo      *entry // the internal message, which is no message
	next        formats.UID
	oldest      formats.UID // the last message that the file says is not \Recent
	firstRecent formats.UID
	volatile    bool
	dirty       bool         // some flags are not yet in the file
	state       *index.State // of the index; nil none
	guid        formats.GUID // of the mailbox, where the index has one
	lead        int64        // bytes before the first From_ line

	mu     sync.Mutex // guards what follows
	refs   int
	locked int
}

// errStale says that the file changed after the snapshot was made; errTorn that it did while it was being read.
var (
	errStale = errors.New("the mailbox file changed")
	errTorn  = errors.New("the mailbox file changed while it was locked for reading: another program does not lock it")
)

func (s *snapshot) retain() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs++
	return s
}

func (s *snapshot) release() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	}
	return s.file.Close()
}

// lock takes the shared lock; several readers of one snapshot hold it together, because it belongs to the open file.
func (s *snapshot) lock(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked == 0 {
		if err := s.file.Lock(ctx, false); err != nil {
			return err
		}
	}
	s.locked++
	return nil
}

func (s *snapshot) unlock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked--; s.locked == 0 {
		s.file.Unlock() // closing would release it as well: nothing to do about an error
	}
}

// read runs fn while the file is locked, for which it waits no longer than until, and as it was; errStale if it is not.
func (s *snapshot) read(ctx context.Context, until time.Time, fn func() error) error {
	if err := s.lock(ctx, until); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.unchanged(errStale); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	return s.unchanged(errTorn)
}

func (s *snapshot) unchanged(otherwise error) error {
	st, err := s.file.Stat()
	if err == nil && !sameContent(st.ID, s.id) {
		err = otherwise
	}
	return err
}

// sameContent tells whether a file is as it was. The time of the last change of the inode is what tells: Dovecot cuts the
// modification time to whole seconds (2.3.19.1, mbox-sync.c: utime), and the size may be what it was before.
func sameContent(a, b disk.ID) bool { return a == b }

// find gives the place of a message.
func (s *snapshot) find(uid formats.UID) (int, bool) {
	i := sort.Search(len(s.entries), func(i int) bool { return s.entries[i].uid >= uid })
	return i, i < len(s.entries) && s.entries[i].uid == uid
}

// loader makes a snapshot.
type loader struct {
	s      *snapshot
	state  *index.State   // what Dovecot's index knows, or nil
	wished formats.Ranges // see readIndex
	places map[int64]formats.UID
	sets   map[string]uint32
	known  map[string]string // keywords by lower-case name: how they are spelled
	prev   formats.UID
	before *intent // of an append that died: X-IMAPbase counts as it was
}

// newLoader is for reading a file that is locked, and nobody changes meanwhile.
func newLoader(f *disk.File, st disk.Info, dialect Dialect, zone *time.Location, state *index.State) *loader {
	s := &snapshot{file: f, id: st.ID, size: st.Size, dialect: dialect, zone: zone, next: 1, refs: 1, keySets: [][]string{nil}}
	return &loader{s: s, state: state, sets: map[string]uint32{"": 0}, known: map[string]string{}}
}

func (l *loader) load(ctx context.Context) (*snapshot, error) {
	if err := l.scan(ctx); err != nil {
		return nil, err
	}
	l.finish()
	return l.s, nil
}

func (l *loader) scan(ctx context.Context) error {
	s := l.s
	sc := newScanner(s.file, s.size, s.dialect, s.zone)
	defer sc.release()
	if err := sc.begin(); err != nil {
		return err
	}
	s.lead = sc.next
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, h, m, ok := sc.message(n == 0)
		if !ok {
			break
		}
		if n == 0 {
			l.first(sc, h, &m)
			if m.pseudo {
				s.pseudo = &e
				continue
			}
		}
		l.message(&e, &m)
	}
	return sc.w.err
}

// first takes what the first message says of the mailbox, and what the index does.
func (l *loader) first(sc *scanner, h *header, m *metadata) {
	s := l.s
	if m.base != nil {
		s.base = *m.base
		if old, ok := l.oldBase(); ok {
			s.base = old
			m.base = &old
		}
		s.baseAt = h.hidden[m.baseAt].valueAt
		s.baseEnd = trimLineEnd(sc.w, s.baseAt, h.hidden[m.baseAt].end)
		s.next = m.base.last + 1
	}
	l.useIndex()
	for _, k := range s.base.keywords {
		l.learn(k)
	}
}

func (l *loader) oldBase() (base, bool) {
	if l.before == nil {
		return base{}, false
	}
	return parseBase([]byte(l.before.Old))
}

func (l *loader) learn(keyword string) {
	if folded := strings.ToLower(keyword); l.known[folded] == "" {
		l.known[folded] = keyword
	}
}

// useIndex takes what an index says that speaks of the same UIDVALIDITY.
func (l *loader) useIndex() {
	s := l.s
	if l.state == nil || l.state.UIDValidity == 0 || s.base.validity != 0 && s.base.validity != l.state.UIDValidity {
		l.state = nil
		return
	}
	s.next = max(s.next, l.state.NextUID)
	for _, k := range l.state.Keywords {
		l.learn(k)
	}
}

// message gives a message its UID: the one of its X-UID when that is above the one before and not above UIDNEXT (Dovecot
// 2.3.19.1, mbox-sync-parse.c: parse_x_uid), else the one that the index has for this place in the file, else a new one.
func (l *loader) message(e *entry, m *metadata) {
	s := l.s
	switch {
	case m.uid > l.prev && m.uid <= s.next && s.base.validity != 0:
		e.uid = m.uid
	case l.placed(e.from) > l.prev:
		e.uid = l.placed(e.from)
	default:
		e.uid = max(s.next, l.prev+1)
	}
	s.next = max(s.next, e.uid+1)
	l.prev = e.uid
	if m.old {
		s.oldest = e.uid
	}
	e.keys = l.keywords(m)
	l.makeRoom(e.from)
	s.entries = append(s.entries, *e)
}

// makeRoom grows the list once to what the first messages let expect, in place of doubling it again and again.
func (l *loader) makeRoom(from int64) {
	const sample = 1024
	s := l.s
	if n := len(s.entries); n == cap(s.entries) && n >= sample {
		rest := (s.size - from) / max(from/int64(n), 1)
		s.entries = slices.Grow(s.entries, int(rest+rest/32)+sample)
	}
}

// placed gives the UID that the index has for the message at from. The index counts the line end before a From_ line as
// part of it.
func (l *loader) placed(from int64) formats.UID {
	if l.state == nil {
		return 0
	}
	if l.places == nil {
		l.places = indexPlaces(l.state)
	}
	for back := range int64(3) {
		if uid := l.places[from-back]; uid != 0 {
			return uid
		}
	}
	return 0
}

func indexPlaces(state *index.State) map[int64]formats.UID {
	places := map[int64]formats.UID{}
	ext := state.Ext("mbox")
	if ext == nil || ext.Size != 8 {
		return places
	}
	for i := range state.Len() {
		if at := int64(binary.LittleEndian.Uint64(state.Data(i, ext))); at > 0 || i == 0 { // 0 is not known
			places[at] = state.UID(i)
		}
	}
	return places
}

// keywords reads X-Keywords. One name that the mailbox does not list makes all of it void: then the field came with the
// message (Dovecot 2.3.19.1, mbox-sync-parse.c: parse_x_keywords_real).
func (l *loader) keywords(m *metadata) uint32 {
	if len(bytes.TrimSpace(m.keywords)) == 0 {
		return 0
	}
	var names []string
	for _, k := range bytes.Fields(m.keywords) {
		name := l.known[strings.ToLower(string(k))]
		if name == "" {
			return 0
		}
		if !formats.HasKeyword(names, name) {
			names = append(names, name)
		}
	}
	return l.set(names)
}

// set numbers a set of keywords, so that messages with the same share it.
func (l *loader) set(names []string) uint32 {
	key := strings.Join(names, " ")
	n, ok := l.sets[key]
	if !ok {
		n = uint32(len(l.s.keySets))
		l.sets[key] = n
		l.s.keySets = append(l.s.keySets, names)
	}
	return n
}

// finish takes over what Dovecot has not yet written to the file: it may keep changed flags in the index alone, with the
// records marked dirty (setting mbox_lazy_writes), or is about to write them.
func (l *loader) finish() {
	s := l.s
	if len(s.entries) == 0 && s.pseudo == nil {
		l.useIndex()
	}
	s.firstRecent = min(s.oldest+1, s.next)
	if l.state == nil {
		s.volatile = s.base.validity == 0 && len(s.entries) > 0
		return
	}
	s.takeIndex(l.state)
	for i := range l.state.Len() {
		uid, flags := l.state.UID(i), l.state.Flags(i)
		if flags&index.Dirty == 0 && !l.wished.Contains(uid) {
			continue
		}
		if at, ok := s.find(uid); ok {
			s.dirty = true
			s.entries[at].flags = flags & formats.SystemFlags
			s.entries[at].keys = l.set(l.state.KeywordsOf(i))
		}
	}
}

// status counts.
func (s *snapshot) status() formats.Status {
	st := formats.Status{
		GUID:        s.guid,
		UIDValidity: s.base.validity,
		UIDNext:     s.next,
		Messages:    uint32(len(s.entries)),
		FirstRecent: s.firstRecent,
		Volatile:    s.volatile,
	}
	if s.state != nil {
		st.HighestModSeq, st.KeepsModSeqs = s.state.HighestModSeq(), s.state.KeepsModSeqs()
	}
	for i := range s.entries {
		if s.entries[i].flags&formats.Seen == 0 {
			st.Unseen++
		}
		if s.entries[i].uid >= s.firstRecent {
			st.Recent++
		}
	}
	return st
}

// guid is what Dovecot gives for `doveadm fetch guid`.
func (e *entry) guid() string { return fmt.Sprintf("%x", e.digest) }
