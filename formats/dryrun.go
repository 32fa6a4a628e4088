package formats

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// DryRun gives a view of s in which changes are told to would and otherwise happen only in the view: a mailbox that
// would be created can be opened and is empty, a renamed one has its new name, a deleted one is gone. would gets the
// verb ("create", "rename", "delete", "append", "set flags", "expunge", "subscribe"), the mailbox and what there is
// to say more. Bodies are not read. would may be called from several goroutines.
func DryRun(s Store, would func(verb, mailbox, detail string)) Store {
	return &dryStore{view: view{s}, would: would, boxes: map[string]*dryBox{}, notes: map[string][]byte{}}
}

type dryStore struct {
	view
	would func(verb, mailbox, detail string)

	mu    sync.Mutex
	boxes map[string]*dryBox // names that differ from what the store has
	subs  []string
	notes map[string][]byte
	newly bool // subs replaces the store's list
}

// dryBox says what a name means in the view: a mailbox of the store under its old name, a new one, or none.
type dryBox struct {
	was    string // "" for a new or deleted mailbox
	status *Status
}

func (d *dryStore) Mailboxes(ctx context.Context) ([]Info, error) {
	infos, err := d.Store.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := slices.DeleteFunc(infos, func(i Info) bool { return d.boxes[i.Name] != nil })
	for name, box := range d.boxes {
		if box.was != "" || box.status != nil {
			kept = append(kept, Info{Name: name})
		}
	}
	SortInfos(kept)
	return kept, nil
}

func (d *dryStore) Open(ctx context.Context, name string) (Mailbox, error) {
	d.mu.Lock()
	box := d.boxes[name]
	d.mu.Unlock()
	switch {
	case box == nil:
		inner, err := d.Store.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		return &dryMailbox{boxView{inner}, name, d}, nil
	case box.status != nil:
		empty := NewMemory()
		if err := empty.Create(ctx, "new", *box.status); err != nil {
			return nil, err
		}
		inner, err := empty.Open(ctx, "new")
		return &dryMailbox{boxView{inner}, name, d}, err
	case box.was != "":
		inner, err := d.Store.Open(ctx, box.was)
		if err != nil {
			return nil, err
		}
		return &dryMailbox{boxView{inner}, name, d}, nil
	}
	return nil, &Error{Op: "open", Mailbox: name, Err: ErrNoMailbox}
}

func (d *dryStore) Create(ctx context.Context, name string, like Status) error {
	if problem := d.Limits().NameProblem(name); problem != "" {
		return &Error{Op: "create", Mailbox: name, Err: fmt.Errorf("%w: %s", ErrBadName, problem)}
	}
	if box, err := d.Open(ctx, name); err == nil {
		box.Close()
		return &Error{Op: "create", Mailbox: name, Err: ErrExists}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boxes[name] = &dryBox{status: &like}
	d.would("create", name, "")
	return nil
}

func (d *dryStore) Rename(ctx context.Context, from, to string) error {
	infos, err := d.Mailboxes(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, info := range infos {
		if info.NoSelect || info.Name != from && !strings.HasPrefix(info.Name, from+"/") {
			continue
		}
		box := d.boxes[info.Name]
		if box == nil {
			box = &dryBox{was: info.Name}
		}
		d.boxes[info.Name] = &dryBox{}
		d.boxes[to+strings.TrimPrefix(info.Name, from)] = box
	}
	d.would("rename", from, to)
	return nil
}

func (d *dryStore) Delete(ctx context.Context, name string) error {
	box, err := d.Open(ctx, name)
	if err != nil {
		return err
	}
	box.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boxes[name] = &dryBox{}
	d.would("delete", name, "")
	return nil
}

func (d *dryStore) Subscriptions(ctx context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.newly {
		return d.subs, nil
	}
	return d.view.Subscriptions(ctx)
}

func (d *dryStore) ChangeSubscriptions(ctx context.Context, change func([]string) []string) error {
	now, err := d.Subscriptions(ctx)
	names := change(now)
	if err != nil || slices.Equal(now, names) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subs, d.newly = slices.Clone(names), true
	d.would("subscribe", "", strings.Join(names, ", "))
	return nil
}

func (d *dryStore) ReadNote(ctx context.Context, name string) ([]byte, error) {
	d.mu.Lock()
	note, ok := d.notes[name]
	d.mu.Unlock()
	if ok {
		return note, nil
	}
	return d.view.ReadNote(ctx, name)
}

// WriteNote keeps the note in the view and tells nobody: notes are ours, not the user's.
func (d *dryStore) WriteNote(_ context.Context, name string, content []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes[name] = slices.Clone(content)
	return nil
}

type dryMailbox struct {
	boxView
	name  string
	store *dryStore
}

func (m *dryMailbox) Name() string { return m.name }

func (m *dryMailbox) Update(ctx context.Context, fn func(Tx) error) (Committed, error) {
	st, err := m.Status(ctx)
	if err != nil {
		return Committed{}, err
	}
	tx := &dryTx{next: st.UIDNext}
	if err := fn(tx); err != nil {
		return Committed{}, err
	}
	say := func(verb string, n int) {
		if n > 0 {
			m.store.would(verb, m.name, fmt.Sprintf("%d messages", n))
		}
	}
	say("append", tx.appends)
	say("set flags", tx.flags.Len())
	say("expunge", tx.expunged.Len())
	return Committed{UIDs: tx.uids, HighestModSeq: max(st.HighestModSeq, tx.highest)}, ctx.Err()
}

func (m *dryMailbox) Repair(ctx context.Context, agree func(Problem) bool) error {
	for problem, err := range m.Check(ctx) {
		if err != nil {
			return err
		}
		if problem.Mend != "" && agree(problem) {
			m.store.would("repair", m.name, problem.Mend)
		}
	}
	return nil
}

// dryTx counts.
type dryTx struct {
	mu       sync.Mutex // guards appends, uids and next
	appends  int
	uids     Ranges
	next     UID
	flags    Ranges
	expunged Ranges
	highest  ModSeq
}

func (tx *dryTx) Append(ctx context.Context, m Message, _ Body) error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if m.UID == 0 {
		m.UID = tx.next
	}
	tx.uids.Add(m.UID)
	tx.next = max(tx.next, m.UID+1)
	tx.highest = max(tx.highest, m.ModSeq)
	tx.appends++
	return ctx.Err()
}

func (tx *dryTx) SetFlags(uids Ranges, change FlagChange) error {
	for _, r := range uids {
		tx.flags.AddRange(r.First, r.Last)
	}
	tx.highest = max(tx.highest, change.ModSeq)
	return nil
}

func (tx *dryTx) Expunge(uids Ranges) error {
	for _, r := range uids {
		tx.expunged.AddRange(r.First, r.Last)
	}
	return nil
}

func (tx *dryTx) Raise(_ UID, highest ModSeq, _ UID) error {
	tx.highest = max(tx.highest, highest)
	return nil
}
