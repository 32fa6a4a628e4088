package formats

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store in memory: for tests of what stands above the formats, and as the model of what a format must do.
// It holds everything that the seam can say.
type Memory struct {
	// Fail, when not nil, is asked before each operation ("create", "rename", "delete", "append", "commit", "body",
	// "subscribe", "note"); its error is what the operation gives.
	Fail func(op, mailbox string) error

	// Limited replaces what Limits says; the store itself forgets nothing. nil: no limits.
	Limited *Limits

	mu    sync.Mutex // guards everything below, of this store and of its mailboxes
	boxes map[string]*memoryBox
	subs  []string
	notes map[string][]byte
	last  UIDValidity // the highest one given
}

type memoryBox struct {
	status   Status
	messages []memoryMessage // ascending UIDs
	update   sync.Mutex      // held by the one Update
	changes  int
	gone     bool // deleted
}

type memoryMessage struct {
	Message
	body []byte
}

// NewMemory gives a store with an empty INBOX.
func NewMemory() *Memory {
	s := &Memory{boxes: map[string]*memoryBox{}, notes: map[string][]byte{}}
	s.boxes["INBOX"] = &memoryBox{status: s.fresh(Status{})}
	return s
}

// fresh completes the identity of a new mailbox. A UIDVALIDITY is never given twice.
func (s *Memory) fresh(like Status) Status {
	st := Status{GUID: like.GUID, UIDValidity: like.UIDValidity, UIDNext: max(like.UIDNext, 1), KeepsModSeqs: true,
		HighestModSeq: max(like.HighestModSeq, 1), FirstRecent: max(like.FirstRecent, 1)}
	if st.GUID.IsZero() {
		rand.Read(st.GUID[:])
	}
	if st.UIDValidity == 0 {
		st.UIDValidity = max(UIDValidity(time.Now().Unix()), s.last+1)
	}
	s.last = max(s.last, st.UIDValidity)
	return st
}

func (s *Memory) fail(ctx context.Context, op, mailbox string) error {
	if err := ctx.Err(); err != nil || s.Fail == nil {
		return err
	}
	return s.Fail(op, mailbox)
}

// Limits says that there are none, unless Limited is set.
func (s *Memory) Limits() Limits {
	if s.Limited != nil {
		return *s.Limited
	}
	return Limits{
		Format:         "memory",
		Separator:      "/",
		NameProblem:    memoryNameProblem,
		SafeName:       memorySafeName,
		KeywordProblem: func(string) string { return "" },
	}
}

// memoryNameProblem refuses what is no name at all.
func memoryNameProblem(name string) string {
	if slices.Contains(strings.Split(name, "/"), "") {
		return "empty part"
	}
	return ""
}

func memorySafeName(name string) string {
	parts := slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool { return part == "" })
	if len(parts) == 0 {
		return "_"
	}
	return strings.Join(parts, "/")
}

// Mailboxes lists them in order of their names, INBOX first.
func (s *Memory) Mailboxes(ctx context.Context) ([]Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[string]bool{}
	for name := range s.boxes {
		names[name] = true
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
			names[name[:i]] = true
		}
	}
	var infos []Info
	for name := range names {
		infos = append(infos, Info{Name: name, NoSelect: s.boxes[name] == nil})
	}
	SortInfos(infos)
	return infos, ctx.Err()
}

// Open opens a mailbox.
func (s *Memory) Open(ctx context.Context, name string) (Mailbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.boxes[name]
	if box == nil {
		return nil, &Error{Op: "open", Mailbox: name, Err: ErrNoMailbox}
	}
	return &memoryMailbox{store: s, name: name, box: box}, ctx.Err()
}

// Create makes a mailbox.
func (s *Memory) Create(ctx context.Context, name string, like Status) error {
	if err := s.fail(ctx, "create", name); err != nil {
		return err
	}
	if problem := s.Limits().NameProblem(name); problem != "" {
		return &Error{Op: "create", Mailbox: name, Err: fmt.Errorf("%w: %s", ErrBadName, problem)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[name] != nil {
		return &Error{Op: "create", Mailbox: name, Err: ErrExists}
	}
	s.boxes[name] = &memoryBox{status: s.fresh(like)}
	return ctx.Err()
}

// Rename moves a mailbox and its children.
func (s *Memory) Rename(ctx context.Context, from, to string) error {
	if err := s.fail(ctx, "rename", from); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	problem := s.Limits().NameProblem(to)
	switch {
	case problem == "" && strings.HasPrefix(to, from+"/"):
		problem = "a mailbox cannot be below itself"
	case s.boxes[to] != nil:
		return &Error{Op: "rename", Mailbox: to, Err: ErrExists}
	}
	if problem != "" {
		return &Error{Op: "rename", Mailbox: to, Err: fmt.Errorf("%w: %s", ErrBadName, problem)}
	}
	moved := map[string]*memoryBox{}
	for name, box := range s.boxes {
		if name == from || strings.HasPrefix(name, from+"/") {
			moved[name] = box
		}
	}
	if len(moved) == 0 {
		return &Error{Op: "rename", Mailbox: from, Err: ErrNoMailbox}
	}
	for name := range moved {
		delete(s.boxes, name)
	}
	for name, box := range moved {
		s.boxes[to+strings.TrimPrefix(name, from)] = box
	}
	return ctx.Err()
}

// Delete removes a mailbox.
func (s *Memory) Delete(ctx context.Context, name string) error {
	if err := s.fail(ctx, "delete", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[name] == nil {
		return &Error{Op: "delete", Mailbox: name, Err: ErrNoMailbox}
	}
	s.boxes[name].gone = true
	delete(s.boxes, name)
	return ctx.Err()
}

// Close does nothing: the mail stays as long as the Memory.
func (s *Memory) Close() error { return nil }

// Subscriptions gives the list.
func (s *Memory) Subscriptions(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subs), ctx.Err()
}

// ChangeSubscriptions changes the list.
func (s *Memory) ChangeSubscriptions(ctx context.Context, change func([]string) []string) error {
	if err := s.fail(ctx, "subscribe", ""); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs = slices.Clone(change(s.subs))
	return ctx.Err()
}

// ReadNote gives a note.
func (s *Memory) ReadNote(ctx context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	note, ok := s.notes[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(note), ctx.Err()
}

// WriteNote replaces a note.
func (s *Memory) WriteNote(ctx context.Context, name string, content []byte) error {
	if err := s.fail(ctx, "note", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(content) == 0 {
		delete(s.notes, name)
		return ctx.Err()
	}
	s.notes[name] = slices.Clone(content)
	return ctx.Err()
}

type memoryMailbox struct {
	store *Memory
	name  string
	box   *memoryBox
}

func (m *memoryMailbox) Name() string { return m.name }

func (m *memoryMailbox) Close() error { return nil }

func (m *memoryMailbox) Status(ctx context.Context) (Status, error) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if m.box.gone {
		return Status{}, &Error{Op: "status", Mailbox: m.name, Err: ErrNoMailbox}
	}
	st := m.box.status
	st.Messages, st.Unseen, st.Recent = uint32(len(m.box.messages)), 0, 0
	for _, msg := range m.box.messages {
		if msg.Flags&Seen == 0 {
			st.Unseen++
		}
		if msg.UID >= st.FirstRecent {
			st.Recent++
		}
	}
	return st, ctx.Err()
}

func (m *memoryMailbox) Messages(ctx context.Context, q Query) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		m.store.mu.Lock()
		all := m.box.messages
		recent := m.box.status.FirstRecent
		m.store.mu.Unlock()
		for _, msg := range all {
			if err := ctx.Err(); err != nil {
				yield(Message{}, err)
				return
			}
			if msg.ModSeq <= q.Since {
				continue
			}
			if msg.UID >= recent {
				msg.Flags |= Recent
			}
			if !yield(msg.Message, nil) {
				return
			}
		}
	}
}

func (m *memoryMailbox) Body(ctx context.Context, msg *Message) (Body, error) {
	if err := m.store.fail(ctx, "body", m.name); err != nil {
		return nil, &Error{Op: "read", Mailbox: m.name, UID: msg.UID, Err: err}
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	i, ok := m.box.find(msg.UID)
	if !ok {
		return nil, &Error{Op: "read", Mailbox: m.name, UID: msg.UID, Err: ErrNoMessage}
	}
	msg.Detail = m.box.messages[i].Detail
	return BytesBody(m.box.messages[i].body), ctx.Err()
}

// Fingerprint counts changes.
func (m *memoryMailbox) Fingerprint(ctx context.Context) (string, error) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if m.box.gone {
		return "", &Error{Op: "status", Mailbox: m.name, Err: ErrNoMailbox}
	}
	return fmt.Sprintf("%s %d", m.box.status.GUID, m.box.changes), ctx.Err()
}

func (b *memoryBox) find(uid UID) (int, bool) {
	return slices.BinarySearchFunc(b.messages, uid, func(m memoryMessage, uid UID) int { return cmp.Compare(m.UID, uid) })
}

func (m *memoryMailbox) Update(ctx context.Context, fn func(Tx) error) (Committed, error) {
	m.box.update.Lock()
	defer m.box.update.Unlock()
	tx := &memoryTx{store: m.store, name: m.name}
	if err := fn(tx); err != nil {
		return Committed{}, err
	}
	if err := m.store.fail(ctx, "commit", m.name); err != nil {
		return Committed{}, err
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return m.box.commit(tx)
}

// memoryTx collects changes.
type memoryTx struct {
	store *Memory
	name  string

	mu          sync.Mutex // guards appended
	appended    []memoryMessage
	changes     []memoryChange
	expunged    Ranges
	uidNext     UID
	highest     ModSeq
	firstRecent UID
	claim       bool
}

type memoryChange struct {
	uids Ranges
	FlagChange
}

func (tx *memoryTx) Append(ctx context.Context, m Message, body Body) error {
	if err := tx.store.fail(ctx, "append", tx.name); err != nil {
		return err
	}
	var b bytes.Buffer
	if _, err := body.WriteTo(&b); err != nil {
		return err
	}
	m.Keywords = slices.Clone(m.Keywords)
	m.Flags &= SystemFlags
	m.Size = int64(b.Len())
	m.VirtualSize = m.Size + int64(BareNewlines(b.Bytes(), 0))
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.appended = append(tx.appended, memoryMessage{m, b.Bytes()})
	return nil
}

func (tx *memoryTx) SetFlags(uids Ranges, change FlagChange) error {
	change.Keywords = slices.Clone(change.Keywords)
	tx.changes = append(tx.changes, memoryChange{slices.Clone(uids), change})
	return nil
}

func (tx *memoryTx) Expunge(uids Ranges) error {
	for _, r := range uids {
		tx.expunged.AddRange(r.First, r.Last)
	}
	return nil
}

func (tx *memoryTx) Raise(uidNext UID, highest ModSeq, firstRecent UID) error {
	tx.uidNext, tx.highest = max(tx.uidNext, uidNext), max(tx.highest, highest)
	if firstRecent != 0 {
		tx.firstRecent = firstRecent
	}
	return nil
}

// ClaimRecent is done at commit.
func (tx *memoryTx) ClaimRecent() { tx.claim = true }

// choose fills in what the appended message does not say.
func (m *memoryMessage) choose(st Status) {
	now := time.Now().Truncate(time.Second)
	if m.ModSeq == 0 {
		m.ModSeq = st.HighestModSeq + 1
	}
	if m.InternalDate.IsZero() {
		m.InternalDate = now
	}
	if m.SaveDate.IsZero() {
		m.SaveDate = now
	}
	if m.GUID == "" {
		m.GUID = strings.ToLower(rand.Text())
	}
}

// commit applies the transaction to a copy and then makes that the mailbox: all of it or nothing.
func (b *memoryBox) commit(tx *memoryTx) (Committed, error) {
	st := b.status
	next := slices.Clone(b.messages)
	var done Committed
	if slices.ContainsFunc(tx.appended, func(m memoryMessage) bool { return m.UID != 0 }) {
		slices.SortStableFunc(tx.appended, func(a, b memoryMessage) int { return cmp.Compare(a.UID, b.UID) })
	}
	for _, m := range tx.appended {
		m.UID = cmp.Or(m.UID, st.UIDNext)
		if m.UID < st.UIDNext || m.UID == ^UID(0) {
			return Committed{}, &Error{Op: "append", Mailbox: tx.name, UID: m.UID, Err: ErrUIDTaken}
		}
		m.choose(st)
		st.UIDNext, st.HighestModSeq = m.UID+1, max(st.HighestModSeq, m.ModSeq)
		next = append(next, m)
		done.UIDs.Add(m.UID)
	}
	for _, c := range tx.changes {
		modseq := c.ModSeq
		if modseq == 0 {
			modseq = st.HighestModSeq + 1
		}
		st.HighestModSeq = max(st.HighestModSeq, modseq)
		for i := range next {
			if c.uids.Contains(next[i].UID) {
				next[i].Flags, next[i].Keywords = c.Apply(next[i].Flags, next[i].Keywords)
				next[i].ModSeq = modseq
			}
		}
	}
	if len(tx.expunged) > 0 {
		next = slices.DeleteFunc(next, func(m memoryMessage) bool { return tx.expunged.Contains(m.UID) })
		st.HighestModSeq++
	}
	st.UIDNext, st.HighestModSeq = max(st.UIDNext, tx.uidNext), max(st.HighestModSeq, tx.highest)
	st.FirstRecent = cmp.Or(tx.firstRecent, st.FirstRecent)
	if tx.claim && st.FirstRecent < st.UIDNext {
		done.Recent.AddRange(st.FirstRecent, st.UIDNext-1)
		st.FirstRecent = st.UIDNext
	}
	b.status, b.messages = st, next
	b.changes++
	done.HighestModSeq = st.HighestModSeq
	return done, nil
}

// BytesBody is a Body of bytes in memory, which must not change while it is used.
func BytesBody(b []byte) Body { return bytesBody{bytes.NewReader(b)} }

type bytesBody struct{ *bytes.Reader }

func (b bytesBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, io.NewSectionReader(b.Reader, 0, b.Reader.Size()))
}

func (bytesBody) Close() error { return nil }

// BareNewlines counts the line feeds of p that no carriage return precedes: what a virtual size adds to a size. last is
// the byte before p, 0 at the beginning of a message.
func BareNewlines(p []byte, last byte) int {
	n := bytes.Count(p, []byte{'\n'}) - bytes.Count(p, []byte("\r\n"))
	if last == '\r' && len(p) > 0 && p[0] == '\n' {
		n--
	}
	return n
}
