package maildir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// tx collects changes of one mailbox; its messages lie in tmp/ until it is committed.
type tx struct {
	b *Mailbox

	mu       sync.Mutex // guards what follows while several goroutines append
	table    keywordTable
	appends  []pending
	written  int          // files whose content may not be durable yet
	open     []*disk.File // the first of them, kept to make them durable one by one if they stay few
	sorted   bool         // UIDs were given, in no order
	changes  []flagChange
	expunges formats.Ranges
	uidNext  formats.UID
	recent   formats.UID // 0: as it is
	claims   bool        // messages below it leave new/
	highest  formats.ModSeq
	modseqs  bool           // of messages are to be kept
	claim    bool           // what is \Recent
	taken    formats.Ranges // by that
	modified formats.Ranges // that changes have left out

	lastBefore formats.UID         // the highest UID before the appends
	validity   formats.UIDValidity // of the list

	own   ownChanges
	uidls map[formats.UID]string // to be saved

	withoutIndex bool  // it cannot be written, and nothing of this needs it
	leftover     error // see formats.Committed

	// listed: the messages are in the list. Those still in tmp/ are moved by whoever comes next.
	listed bool
}

type flagChange struct {
	uids   formats.Ranges
	change formats.FlagChange
}

// pending is a message in tmp/.
type pending struct {
	uid      formats.UID
	name     string // in tmp/, with sizes, flags and the letters expected
	ext      string // fields of its record
	flags    formats.Flags
	keywords []string
	modseq   formats.ModSeq
	recent   bool // it goes to new/
	unseen   bool // nobody has been told of it: it is \Recent wherever it lies

	// In stores that go by Courier's lists:
	base  string // that it should have; "": the one it has
	uidl  string
	count courierCount
}

// fewFiles are made durable one by one; more of them by one syncfs, which writes out everything else on the file system,
// too.
const fewFiles = 4

// AppendFrom writes the message to tmp/ while it comes.
func (t *tx) AppendFrom(ctx context.Context, m formats.Message, r io.Reader, size int64) error {
	return t.Append(ctx, m, formats.Incoming(r, size))
}

// Append writes the message to tmp/.
func (t *tx) Append(ctx context.Context, m formats.Message, body formats.Body) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	courier := t.b.store.opts.Lists.courier()
	p := newPending(&m)
	p.recent = p.recent && !courier
	unique := string(t.b.store.clock.appendName(make([]byte, 0, 80)))
	if courier {
		p.uidl, p.base = m.POP3UIDL, courierBase(&m, unique)
	}
	f, err := t.b.tmp.Create(unique, t.b.mode)
	if err != nil {
		return t.b.err("append", m.UID, "", err)
	}
	size, virtual, err := p.write(body, f, t.b.store.opts.Lists)
	if err == nil && !m.InternalDate.IsZero() {
		err = f.Chtimes(m.InternalDate.Truncate(time.Second))
	}
	if err == nil {
		p.name = t.tmpName(unique, size, virtual, &p)
		err = t.b.tmp.Rename(unique, t.b.tmp, p.name)
	}
	if err != nil {
		f.Close()
		t.b.tmp.Remove(unique)
		return t.b.err("append", m.UID, "", err)
	}
	return t.keep(p, f)
}

// newPending describes a message that has no file yet.
func newPending(m *formats.Message) pending {
	unseen := m.Flags&formats.Recent != 0
	return pending{uid: m.UID, ext: recordExt(m), flags: m.Flags & formats.SystemFlags, keywords: m.Keywords, modseq: m.ModSeq,
		unseen: unseen, recent: unseen && m.Flags&formats.SystemFlags == 0 && len(m.Keywords) == 0}
}

// write copies the message and counts it.
func (p *pending) write(body formats.Body, f *disk.File, lists Lists) (size, virtual int64, err error) {
	if !lists.courier() {
		return measure(body, f)
	}
	p.count = newCourierCount()
	return measure(body, io.MultiWriter(f, &p.count))
}

// keep remembers a message. f is nil when its content is durable already.
func (t *tx) keep(p pending, f *disk.File) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.appends = append(t.appends, p)
	t.sorted = t.sorted || p.uid != 0
	if f == nil {
		return nil
	}
	if t.written++; t.written <= fewFiles {
		t.open = append(t.open, f)
		return nil
	}
	t.closeFiles()
	if err := f.Close(); err != nil {
		return t.b.err("append", p.uid, "", err)
	}
	return nil
}

func (t *tx) closeFiles() {
	for _, f := range t.open {
		f.Close()
	}
	t.open = nil
}

// tmpName is the message's name in cur/, if nobody changes the keyword letters until the commit.
func (t *tx) tmpName(unique string, size, virtual int64, p *pending) string {
	name := appendSizes(append(make([]byte, 0, 160), unique...), size, virtual)
	if p.recent {
		return string(name)
	}
	var keys letters
	if len(p.keywords) > 0 && !t.b.store.opts.Lists.courier() {
		t.mu.Lock()
		keys = t.table.letters(p.keywords)
		t.mu.Unlock()
	}
	return string(appendLetters(append(name, info2...), p.flags, keys))
}

// letters gives every name a letter while there are any.
func (t *keywordTable) letters(names []string) (keys letters) {
	for _, name := range names {
		if i := t.add(name); i >= 0 {
			keys |= 1 << i
		}
	}
	return keys
}

// recordExt makes a record's fields. Values end at the next space: what contains one cannot be held.
func recordExt(m *formats.Message) string {
	var ext []byte
	if m.GUID != "" && extValue(m.GUID) {
		ext = append(append(ext, " G"...), m.GUID...)
	}
	if m.POP3UIDL != "" && extValue(m.POP3UIDL) {
		ext = append(append(ext, " P"...), m.POP3UIDL...)
	}
	if m.POP3Order != 0 {
		ext = strconv.AppendUint(append(ext, " O"...), uint64(m.POP3Order), 10)
	}
	if len(ext) == 0 {
		return ""
	}
	return string(ext[1:])
}

// SetFlags is done at commit.
func (t *tx) SetFlags(uids formats.Ranges, change formats.FlagChange) error {
	t.changes = append(t.changes, flagChange{slices.Clone(uids), change})
	return nil
}

// Expunge is done at commit.
func (t *tx) Expunge(uids formats.Ranges) error {
	for _, r := range uids {
		t.expunges.AddRange(r.First, r.Last)
	}
	return nil
}

// Raise is done at commit.
func (t *tx) Raise(uidNext formats.UID, highest formats.ModSeq, firstRecent formats.UID) error {
	t.uidNext, t.highest = max(t.uidNext, uidNext), max(t.highest, highest)
	if firstRecent != 0 {
		t.recent, t.claims = firstRecent, true
	}
	return nil
}

// KeepModSeqs is done at commit.
func (t *tx) KeepModSeqs() { t.modseqs = true }

// ClaimRecent is done at commit.
func (t *tx) ClaimRecent() { t.claim = true }

// claimsOnly: if such a claim is lost in a crash, some messages are \Recent once more.
func (t *tx) claimsOnly() bool {
	return t.claim && len(t.appends) == 0 && len(t.changes) == 0 && len(t.expunges) == 0 && t.uidNext == 0 && !t.modseqs
}

// discard removes what Append wrote.
func (t *tx) discard() {
	t.closeFiles()
	if t.listed {
		return
	}
	for _, p := range t.appends {
		t.b.tmp.Remove(p.name) // best effort: what stays is swept by the next writer or by Dovecot after 36 hours
	}
}

// leftChosen tells whether a file in tmp/ has a name that a commit of ours chose and did not live to list: deliveries
// give names flags only in cur/.
func (b *Mailbox) leftChosen(name []byte) bool {
	return b.store.opts.Lists.courier() && bytes.Contains(name, []byte(info2)) && !made(string(name))
}

// sweep removes what processes of ours that died left in tmp/; nothing of it is in the list, or it would have been
// moved before. The uidlist lock is held.
func (b *Mailbox) sweep() error {
	var gone []string
	err := b.tmp.Each(func(name []byte, kind fs.FileMode) error {
		if kind == 0 && (b.store.clock.abandoned(string(name)) || b.leftChosen(name)) {
			gone = append(gone, string(name))
		}
		return nil
	})
	for _, name := range gone {
		if rerr := b.tmp.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}
