package sync

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	gosync "sync"
	"time"

	"dovetail/formats"
)

// fake is a store in memory that can be made to fail at any step and whose limits are kept strictly: what a real format
// would drop, it drops. It is not formats.NewMemory because that holds everything.
type fake struct {
	mu     gosync.Mutex
	limits formats.Limits
	boxes  map[string]*fakeBox
	subs   []string
	notes  map[string][]byte
	next   formats.UIDValidity

	volatile bool
	oneSeq   bool  // every message shows HIGHESTMODSEQ
	steps    int   // changes made so far
	failAt   int   // the step that fails, and all after it; 0: none
	failWith error // what it fails with
	listings int   // how often messages were listed
	statuses int   // how often a status was asked for
	lost     error // damage that a status shows
	noInbox  bool  // INBOX cannot be deleted
	onStep   func(n int)
	epoch    int64 // makes the dates of delivered mail differ from other stores'
}

type fakeBox struct {
	status formats.Status
	msgs   []fakeMsg
	serial int // changes
	bad    map[formats.UID]error
}

type fakeMsg struct {
	formats.Message
	body string
}

func newFake(limits formats.Limits) *fake {
	if limits.Format == "" {
		limits.Format = "fake"
	}
	return &fake{limits: limits, boxes: map[string]*fakeBox{}, notes: map[string][]byte{}, next: 7000}
}

// step counts a change and fails it when its time has come.
func (f *fake) step() error {
	f.steps++
	if f.onStep != nil {
		f.onStep(f.steps)
	}
	if f.failAt != 0 && f.steps >= f.failAt {
		return f.failWith
	}
	return nil
}

func (f *fake) Limits() formats.Limits { return f.limits }
func (f *fake) Close() error           { return nil }

func (f *fake) Mailboxes(context.Context) ([]formats.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var infos []formats.Info
	for _, name := range slices.Sorted(maps.Keys(f.boxes)) {
		infos = append(infos, formats.Info{Name: name})
	}
	return infos, nil
}

func (f *fake) Open(_ context.Context, name string) (formats.Mailbox, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boxes[name] == nil {
		return nil, &formats.Error{Op: "open", Mailbox: name, Err: formats.ErrNoMailbox}
	}
	return &fakeHandle{f, name}, nil
}

func (f *fake) Create(_ context.Context, name string, like formats.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(); err != nil {
		return err
	}
	if f.boxes[name] != nil {
		return formats.ErrExists
	}
	if f.limits.NameProblem != nil && f.limits.NameProblem(name) != "" {
		return formats.ErrBadName
	}
	b := &fakeBox{status: like, bad: map[formats.UID]error{}}
	if b.status.UIDValidity == 0 {
		f.next++
		b.status.UIDValidity = f.next
	}
	b.status.UIDNext = max(1, b.status.UIDNext)
	if b.status.GUID.IsZero() || f.limits.NoMailboxGUID {
		b.status.GUID = md5.Sum(fmt.Append(nil, name, b.status.UIDValidity, f.limits.Format))
	}
	if f.limits.NoModSeq {
		b.status.HighestModSeq = 0
	}
	b.status.HighestModSeq = max(1, b.status.HighestModSeq)
	f.boxes[name] = b
	return nil
}

func (f *fake) Rename(_ context.Context, from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(); err != nil {
		return err
	}
	moved := map[string]*fakeBox{}
	for name, b := range f.boxes {
		if under(name, from) {
			moved[to+strings.TrimPrefix(name, from)] = b
		}
	}
	for name := range moved {
		if f.boxes[name] != nil && !under(name, from) {
			return formats.ErrExists
		}
	}
	maps.DeleteFunc(f.boxes, func(name string, _ *fakeBox) bool { return under(name, from) })
	maps.Copy(f.boxes, moved)
	return nil
}

func (f *fake) Delete(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(); err != nil {
		return err
	}
	if f.noInbox && name == "INBOX" {
		return errors.New("INBOX cannot be deleted")
	}
	delete(f.boxes, name)
	return nil
}

func (f *fake) Subscriptions(context.Context) ([]string, error) { return f.subs, nil }

func (f *fake) ChangeSubscriptions(_ context.Context, change func([]string) []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(); err != nil {
		return err
	}
	f.subs = change(f.subs)
	return nil
}

func (f *fake) ReadNote(_ context.Context, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.notes[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (f *fake) WriteNote(_ context.Context, name string, b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(); err != nil {
		return err
	}
	f.notes[name] = b
	return nil
}

type fakeHandle struct {
	f    *fake
	name string
}

func (h *fakeHandle) Name() string { return h.name }

// Lost tells of damage to whoever has looked inside.
func (h *fakeHandle) Lost() error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if h.f.statuses == 0 {
		return nil
	}
	return h.f.lost
}

func (h *fakeHandle) Close() error { return nil }

func (h *fakeHandle) Status(context.Context) (formats.Status, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	b := h.f.boxes[h.name]
	s := b.status
	h.f.statuses++
	s.Messages = uint32(len(b.msgs))
	s.KeepsModSeqs = !h.f.limits.NoModSeq && !h.f.oneSeq
	if h.f.volatile {
		s.Volatile, s.UIDValidity, s.GUID, s.UIDNext = true, 0, formats.GUID{}, formats.UID(len(b.msgs)+1)
	}
	return s, nil
}

func (h *fakeHandle) Fingerprint(context.Context) (string, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	return fmt.Sprint("serial ", h.f.boxes[h.name].serial, " of ", h.f.boxes[h.name].status.UIDValidity), nil
}

func (h *fakeHandle) Messages(_ context.Context, _ formats.Query) iter.Seq2[formats.Message, error] {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	h.f.listings++
	b := h.f.boxes[h.name]
	msgs := slices.Clone(b.msgs)
	return func(yield func(formats.Message, error) bool) {
		for i, m := range msgs {
			if h.f.volatile {
				m.UID = formats.UID(i + 1)
			}
			if h.f.oneSeq {
				m.ModSeq = b.status.HighestModSeq
			}
			if !yield(m.Message, nil) {
				return
			}
		}
	}
}

type fakeBody struct{ *strings.Reader }

func (b fakeBody) Close() error { return nil }
func (b fakeBody) Size() int64  { return b.Reader.Size() }

func (b fakeBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, io.NewSectionReader(b, 0, b.Size()))
}

func (h *fakeHandle) Body(_ context.Context, m *formats.Message) (formats.Body, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	b := h.f.boxes[h.name]
	at := int(m.UID) - 1
	if !h.f.volatile {
		at = slices.IndexFunc(b.msgs, func(o fakeMsg) bool { return o.UID == m.UID })
	}
	if at < 0 || at >= len(b.msgs) {
		return nil, formats.ErrNoMessage
	}
	if err := b.bad[b.msgs[at].UID]; err != nil {
		return nil, err
	}
	m.Detail = b.msgs[at].Detail
	return fakeBody{strings.NewReader(b.msgs[at].body)}, nil
}

func (h *fakeHandle) Update(_ context.Context, fn func(formats.Tx) error) (formats.Committed, error) {
	tx := &fakeTx{h: h}
	if err := fn(tx); err != nil {
		return formats.Committed{}, err
	}
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.f.step(); err != nil {
		return formats.Committed{}, err
	}
	return tx.commit(h.f.boxes[h.name])
}

type fakeTx struct {
	h       *fakeHandle
	mu      gosync.Mutex
	appends []fakeMsg
	changes []func(*fakeBox)
}

func (t *fakeTx) Append(ctx context.Context, m formats.Message, body formats.Body) error {
	var b bytes.Buffer
	if _, err := body.WriteTo(&b); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.h.f.mu.Lock()
	err := t.h.f.step()
	t.h.f.mu.Unlock()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.appends = append(t.appends, t.h.f.limited(t.h.name, fakeMsg{m, b.String()}))
	return nil
}

// limited drops what the format cannot hold.
func (f *fake) limited(mailbox string, m fakeMsg) fakeMsg {
	if why := f.limits.IDProblem; why != nil {
		if why(m.GUID) != "" {
			m.GUID = "derived"
		}
		if why(m.POP3UIDL) != "" {
			m.POP3UIDL = ""
		}
	}
	l := f.limits
	var out strings.Builder
	header, drop := true, false
	for line := range strings.Lines(m.body) {
		header = header && strings.TrimRight(line, "\r\n") != ""
		if !header || line[0] != ' ' {
			drop = header && fieldName([]byte(line), l.HiddenHeaders) != ""
		}
		if !drop {
			out.WriteString(line)
		}
	}
	m.body = out.String()
	if l.FinalNewline && !strings.HasSuffix(m.body, "\n") {
		m.body += "\n"
	}
	if l.NoGUID || m.GUID == "" {
		m.GUID, m.DerivedGUID = fmt.Sprintf("%x", md5.Sum([]byte(m.body))), l.NoGUID
	}
	if l.NoPOP3 || l.POP3InboxOnly && mailbox != "INBOX" {
		m.POP3UIDL, m.POP3Order = "", 0
	}
	if l.NoSaveDate {
		m.SaveDate = time.Time{}
	}
	if l.NoModSeq {
		m.ModSeq = 0
	}
	m.Size, m.VirtualSize = int64(len(m.body)), int64(len(m.body)+strings.Count(m.body, "\n")-strings.Count(m.body, "\r\n"))
	return m
}

func (t *fakeTx) SetFlags(uids formats.Ranges, c formats.FlagChange) error {
	t.changes = append(t.changes, func(b *fakeBox) {
		seq := max(c.ModSeq, b.status.HighestModSeq+1)
		for i := range b.msgs {
			if uids.Contains(b.msgs[i].UID) {
				b.msgs[i].Flags, b.msgs[i].Keywords = c.Apply(b.msgs[i].Flags, b.msgs[i].Keywords)
				b.msgs[i].ModSeq, b.status.HighestModSeq = seq, seq
			}
		}
	})
	return nil
}

func (t *fakeTx) Expunge(uids formats.Ranges) error {
	t.changes = append(t.changes, func(b *fakeBox) {
		b.msgs = slices.DeleteFunc(b.msgs, func(m fakeMsg) bool { return uids.Contains(m.UID) })
	})
	return nil
}

func (t *fakeTx) Raise(next formats.UID, highest formats.ModSeq, recent formats.UID) error {
	t.changes = append(t.changes, func(b *fakeBox) {
		b.status.UIDNext = max(b.status.UIDNext, next)
		if !t.h.f.limits.NoModSeq {
			b.status.HighestModSeq = max(b.status.HighestModSeq, highest)
		}
		if recent != 0 {
			b.status.FirstRecent = recent
		}
	})
	return nil
}

func (t *fakeTx) commit(b *fakeBox) (formats.Committed, error) {
	slices.SortStableFunc(t.appends, func(x, y fakeMsg) int { return cmp.Compare(x.UID, y.UID) })
	next, done := b.status.UIDNext, formats.Committed{}
	for i, m := range t.appends {
		if m.UID == 0 {
			t.appends[i].UID = next
		} else if m.UID < next {
			return done, formats.ErrUIDTaken
		}
		next = t.appends[i].UID + 1
		done.UIDs.Add(t.appends[i].UID)
	}
	for _, m := range t.appends {
		b.status.HighestModSeq = max(b.status.HighestModSeq, m.ModSeq)
		b.msgs = append(b.msgs, m)
	}
	b.status.UIDNext = next
	b.serial++
	for _, change := range t.changes {
		change(b)
	}
	done.HighestModSeq = b.status.HighestModSeq
	return done, nil
}

// deliver is what an MDA or a user's append does to a mailbox.
func (f *fake) deliver(name, body string, edit ...func(*formats.Message)) formats.UID {
	if f.boxes[name] == nil {
		f.boxes[name] = &fakeBox{bad: map[formats.UID]error{}}
		f.next++
		f.boxes[name].status = formats.Status{UIDValidity: f.next, UIDNext: 1, HighestModSeq: 1,
			GUID: md5.Sum(fmt.Append(nil, name, f.next, f.limits.Format))}
	}
	b := f.boxes[name]
	m := fakeMsg{body: body}
	m.UID = b.status.UIDNext
	b.status.UIDNext++
	b.status.HighestModSeq++
	m.ModSeq = b.status.HighestModSeq
	m.InternalDate = time.Unix(f.epoch+1600000000+1000*int64(b.status.UIDValidity)+int64(m.UID), 0).UTC()
	m.GUID = fmt.Sprintf("%x", md5.Sum(fmt.Append(nil, body, b.status.UIDValidity, m.UID)))
	for _, e := range edit {
		e(&m.Message)
	}
	b.msgs = append(b.msgs, f.limited(name, m))
	b.serial++
	return m.UID
}

func (f *fake) expunge(name string, uid formats.UID) {
	b := f.boxes[name]
	b.msgs = slices.DeleteFunc(b.msgs, func(m fakeMsg) bool { return m.UID == uid })
	b.serial++
	b.status.HighestModSeq++
}

func (f *fake) flag(name string, uid formats.UID, flags formats.Flags, keywords ...string) {
	b := f.boxes[name]
	b.serial++
	b.status.HighestModSeq++
	for i := range b.msgs {
		if b.msgs[i].UID == uid {
			b.msgs[i].Flags, b.msgs[i].Keywords, b.msgs[i].ModSeq = flags, keywords, b.status.HighestModSeq
		}
	}
}

// dump prints what a client can see, for comparison.
func (f *fake) dump() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f.boxes)) {
		b := f.boxes[name]
		fmt.Fprintf(&out, "%s validity %d next %d guid %v modseq %d\n", name, b.status.UIDValidity, b.status.UIDNext, b.status.GUID, b.status.HighestModSeq)
		for _, m := range b.msgs {
			k := slices.Sorted(slices.Values(m.Keywords))
			fmt.Fprintf(&out, "  %d %v %v %s %d uidl %q %d modseq %d %q\n", m.UID, m.Flags, k, m.GUID, m.InternalDate.Unix(), m.POP3UIDL, m.POP3Order, m.ModSeq, m.body)
		}
	}
	fmt.Fprintf(&out, "subscribed %v\n", f.subs)
	return out.String()
}

var _ io.Closer = (*fake)(nil)
