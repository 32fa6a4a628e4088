package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// takePlan is everything that Take is going to write.
type takePlan struct {
	*Taking
	b, from *Mailbox
	src     *view
	own     *view   // nil: the target has no list
	ownBase *byBase // of own; nil until it is needed

	ownListed int // messages in the target's list

	validity formats.UIDValidity // 0: a new one is chosen when it is written
	next     formats.UID
	rows     []takeRow         // ascending by UID
	bases    map[uint32]string // bases that change, by place in src.entries
	known    map[string]bool   // all bases, once one changes
	states   map[string]string // of the target's files
	note     taken             // what an earlier Take left behind

	// explained are letters in file names that mean something to Dovecot without Courier: a dovecot-keywords file gave
	// them a name before any Take.
	explained letters
}

// takeRow is one message of the new list.
type takeRow struct {
	uid formats.UID
	at  uint32 // place in src.entries
}

// PlanTake says what Take would do. It reads everything and writes nothing; no lock is taken.
func (b *Mailbox) PlanTake(ctx context.Context, from *Mailbox) (*Taking, error) {
	w, err := b.planTake(ctx, from)
	if err != nil {
		return nil, err
	}
	return w.plan().Taking, nil
}

// takeWriter is one direction.
type takeWriter interface {
	plan() *takePlan

	// prepare fills in what is particular to the direction; it tells whether the target says all of it already.
	prepare(ctx context.Context) (same bool, err error)

	// write does it; the locks are held.
	write(ctx context.Context, lock *held) error
}

func (b *Mailbox) planTake(ctx context.Context, from *Mailbox) (takeWriter, error) {
	if b.store.opts.Lists.courier() == from.store.opts.Lists.courier() {
		return nil, b.err("take lists", 0, "", ErrNotCourier)
	}
	if err := sameFolder(b.box, from.box); err != nil {
		return nil, b.err("take lists", 0, "", err)
	}
	p := &takePlan{Taking: &Taking{}, b: b, from: from}
	var w takeWriter = &takeToDovecot{takePlan: p}
	if b.store.opts.Lists.courier() {
		w = &takeToCourier{takePlan: p}
	}
	var err error
	from.mu.Lock()
	p.src, err = from.scanAnd(ctx, true)
	from.mu.Unlock()
	if err != nil {
		return nil, err
	}
	p.tellSource() // of a list that is no list, too
	if p.Nothing = p.src.unsaid(); p.Nothing {
		return w, nil
	}
	if err := p.readOwn(); err != nil {
		return nil, err
	}
	if err := p.join(); err != nil {
		return nil, err
	}
	same, err := w.prepare(ctx)
	if err != nil {
		return nil, err
	}
	p.judge(same)
	return w, nil
}

// unsaid tells whether the source says nothing that could be taken. Without a list of UIDs Courier goes on, and so does
// what it says of POP3 and keywords.
func (v *view) unsaid() bool {
	return !v.hasList && !v.courier && v.pop3Header == nil && len(v.courierNames) == 0 && v.pending == 0
}

func sameFolder(a, b *disk.Dir) error {
	sa, err := a.StatSelf()
	if err != nil {
		return err
	}
	sb, err := b.StatSelf()
	if err == nil && (sa.Dev != sb.Dev || sa.Ino != sb.Ino) {
		err = fmt.Errorf("%s and %s are not the same folder", a.Path(), b.Path())
	}
	return err
}

// readOwn reads what the target says now.
func (p *takePlan) readOwn() (err error) {
	b := p.b
	if p.states, err = b.fileStates(); err != nil {
		return err
	}
	if p.note, err = b.readTaken(); err != nil {
		return err
	}
	p.Untouched = p.note.untouched(p.states)
	list := uidlistName
	if b.store.opts.Lists.courier() {
		list = courierUIDDBName
	}
	files := p.src.files
	p.src.files = nil
	if p.states[list] == noFile {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.own, err = b.scanList(files); err != nil || !p.own.hasList {
		p.own = nil // damaged: there is nothing to keep of it
		return err
	}
	for i := range p.own.entries {
		if p.own.entries[i].listed {
			p.ownListed++
		}
	}
	return nil
}

// tellSource passes on what was found wrong with the source's files.
func (p *takePlan) tellSource() {
	v := p.src
	p.Stale = v.dead
	if v.found != nil {
		p.Problems = append(p.Problems, v.found.problems...)
	}
	if v.damage != nil && !p.from.store.opts.Lists.courier() {
		p.problem(0, uidlistName, v.damage.Error(), "what stands behind it is numbered anew, as Dovecot would", true)
	}
	for _, stray := range v.strays {
		p.problem(0, "", stray+" is no message", "it is left alone", false)
	}
}

func (p *takePlan) problem(uid formats.UID, file, what, cost string, loses bool) {
	path := p.b.box.Path()
	if file != "" {
		path += "/" + file
	}
	p.Problems = append(p.Problems, formats.Problem{Mailbox: p.b.name, UID: uid, Path: path, What: what, Cost: cost, Loses: loses})
}

func (p *takePlan) lose(uid formats.UID, base []byte, what, why string) {
	p.Lost = append(p.Lost, Loss{UID: uid, Base: string(base), What: what, Why: why})
}

// join numbers the messages: those that are listed keep their UIDs, files in cur/ that are not get the next ones in the
// order of the program whose list it is. What waits in new/ is left to the server that finds it.
func (p *takePlan) join() error {
	v := p.src
	p.validity, p.next = v.header.UIDValidity, v.first
	if p.validity == 0 && p.own != nil {
		p.validity = p.own.header.UIDValidity
	}
	var taken *byBase
	if v.doubts {
		taken = newByBaseOf(v, len(v.entries))
	}
	var fresh []uint32
	for i := range v.entries {
		e := &v.entries[i]
		switch {
		case e.bad:
			p.problem(0, "", fmt.Sprintf("%s is not a regular file", p.from.path(v, e)),
				"links and the like are not followed; put the message itself there, or remove it", true)
		case e.where == inNew && !e.listed:
			p.Waiting++
		case !p.claim(taken, i):
			p.problem(0, "", fmt.Sprintf("another file has the same base name as %s", p.from.path(v, e)),
				"it is numbered when a server has given it another name", true)
		case e.listed:
			p.rows = append(p.rows, takeRow{e.uid, uint32(i)})
		default:
			fresh = append(fresh, uint32(i)) // in the right order: the view was numbered in it
		}
	}
	p.Unlisted = len(fresh)
	for _, i := range fresh {
		if p.next+1 == 0 {
			return p.b.err("take lists", 0, "", formats.Corrupt("no UIDs left"))
		}
		p.rows = append(p.rows, takeRow{p.next, i})
		p.next++
	}
	slices.SortFunc(p.rows, func(a, b takeRow) int { return int(int64(a.uid) - int64(b.uid)) })
	p.Messages = len(p.rows)
	return nil
}

// claim takes the base name of a file for it. A base with a colon, which the programs cut in different places, is
// changed into one without.
func (p *takePlan) claim(taken *byBase, i int) bool {
	v := p.src
	if !v.doubts {
		return true
	}
	name := v.name(&v.entries[i])
	if last := lastBase(name); bytes.IndexByte(last, infoSep) >= 0 {
		p.rename(i, last)
		return true
	}
	if _, twice := taken.get(baseName(name)); twice {
		return false
	}
	taken.put(i)
	return true
}

// rename chooses a base without colons that no other file has.
func (p *takePlan) rename(i int, base []byte) {
	if p.bases == nil {
		p.bases, p.known = map[uint32]string{}, map[string]bool{}
		for k := range p.src.entries {
			p.known[string(baseName(p.src.name(&p.src.entries[k])))] = true
		}
	}
	to := colonless(base)
	for p.known[to] {
		to += "_"
	}
	p.known[to] = true
	p.bases[uint32(i)] = to
}

// base is what a message will be called in the list.
func (p *takePlan) base(r takeRow) []byte {
	if to, ok := p.bases[r.at]; ok {
		return []byte(to)
	}
	return baseName(p.src.name(&p.src.entries[r.at]))
}

// ownOf finds what the target has of a message.
func (p *takePlan) ownOf(r takeRow) *entry {
	if p.own == nil {
		return nil
	}
	base := p.base(r)
	if e, ok := p.own.find(r.uid); ok && e.listed && bytes.Equal(baseName(p.own.name(e)), base) {
		return e
	}
	if p.ownBase == nil {
		p.ownBase = newByBaseOf(p.own, p.ownListed)
		for i := range p.own.entries {
			if e := &p.own.entries[i]; e.listed {
				p.ownBase.put(i)
			}
		}
	}
	i, ok := p.ownBase.get(base)
	if !ok {
		return nil
	}
	return &p.own.entries[i]
}

// sameList tells whether the target's list has exactly these messages under these UIDs.
func (p *takePlan) sameList() bool {
	if p.own == nil || p.own.header.UIDValidity != p.validity || p.own.first != p.next || p.ownListed != len(p.rows) {
		return false
	}
	for _, r := range p.rows {
		if e := p.ownOf(r); e == nil || e.uid != r.uid {
			return false
		}
	}
	return true
}

func (p *takePlan) judge(same bool) {
	switch {
	case p.own == nil && p.listState() == noFile:
		p.State = TakeAbsent
	case same:
		p.State = TakeSame
	default:
		p.State = TakeDiffers
		p.Newer = p.b.listTime() > p.from.listTime()
	}
}

func (p *takePlan) listState() string {
	files := p.b.ownFiles()
	return p.states[files[len(files)-1]]
}

// takeWait is how long Take waits for a lock unless it is told otherwise: programs hold them only while they write.
const takeWait = 10 * time.Second

// Take makes the mailbox's control files say what those of from say, which is the same folder in a store that goes by
// the other server's lists. It holds both programs' locks. A reader finds the old list or the new one, whenever the
// process dies; a rerun finishes. The Taking is given with every error that comes after it was planned.
func (b *Mailbox) Take(ctx context.Context, from *Mailbox, how TakeOptions) (t *Taking, err error) {
	if b.store.readOnly() {
		return nil, b.err("take lists", 0, "", formats.ErrReadOnly)
	}
	b.change.Lock()
	defer b.change.Unlock()
	if how.Wait == 0 {
		how.Wait = takeWait
	}
	lock, unlock, err := b.lockBoth(ctx, how.Wait)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	w, err := b.planTake(ctx, from)
	if err != nil {
		return nil, err
	}
	p := w.plan()
	if p.Nothing || p.State == TakeSame {
		return p.Taking, nil
	}
	if err := p.allowed(how); err != nil {
		return p.Taking, err
	}
	b.list, b.recovered = listTail{}, false
	if err := w.write(ctx, lock); err != nil {
		return p.Taking, err
	}
	b.forget()
	p.Done = true
	return p.Taking, nil
}

func (p *takePlan) allowed(how TakeOptions) error {
	if how.If != "" {
		if now, err := p.b.ListsState(); err != nil || now != how.If {
			return errors.Join(err, p.b.err("take lists", 0, "", ErrDiffers))
		}
	}
	if p.State == TakeDiffers && !how.Replace && !p.Untouched {
		return p.b.err("take lists", 0, "", ErrDiffers)
	}
	return nil
}
