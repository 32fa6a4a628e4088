package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"dovetail/formats"
)

// recall finds what earlier runs remember of each mailbox of the source, also under another name, and gives the entries
// of mailboxes that are gone from it, or have been replaced by others of their name.
func (m *mirror) recall(ctx context.Context, boxes []*box, there map[string]formats.Info) []*entry {
	m.finishMoves(there)
	left := m.journal.entries()
	take := func(fits func(*box, *entry) bool) {
		for _, b := range boxes {
			if b.entry != nil || !m.wants(b) {
				continue
			}
			if i := slices.IndexFunc(left, func(e *entry) bool { return fits(b, e) }); i >= 0 {
				b.entry = left[i]
				left = slices.Delete(left, i, i+1)
			}
		}
	}
	held := func(e *entry) bool { _, ok := there[e.target]; return ok }
	take(func(b *box, e *entry) bool { // the same mailbox under the same name
		return e.name == b.info.Name && b.info.Err == nil && m.ofSource(e, b.status.GUID) && e.of(b.info.Name, m.key, b.status)
	})
	take(func(b *box, e *entry) bool { // renamed, known by its GUID
		return b.info.Err == nil && !e.volatile && !e.srcGUID.IsZero() && e.srcGUID == b.status.GUID &&
			e.srcUIDValidity == b.status.UIDValidity && held(e)
	})
	take(func(b *box, e *entry) bool { // one that cannot be opened today
		return b.info.Err != nil && e.key == m.key && e.name == b.info.Name
	})
	m.recallByContent(ctx, boxes, &left, held)
	return slices.DeleteFunc(left, func(e *entry) bool { return e.key != m.key || !Wanted(m.o.Mailboxes, e.name) })
}

// ofSource tells whether an entry is of this source. That of another one may be taken over only when a GUID says that
// it is the same mailbox, for instance in a copy of the source under another path.
func (m *mirror) ofSource(e *entry, guid formats.GUID) bool {
	return e.key == m.key || !e.srcGUID.IsZero() && e.srcGUID == guid
}

// remembered gives what earlier runs from this source remember of a mailbox of the target.
func (m *mirror) remembered(target string, guid formats.GUID) *entry {
	if e := m.journal.get(target); e != nil && m.ofSource(e, guid) {
		return e
	}
	return nil
}

// recallByContent finds renamed mailboxes where the format keeps no GUIDs of mailboxes: exactly one mailbox gone and one
// come with the same UIDVALIDITY, which has every message of the other. A wrong guess would take its UIDs for known
// messages, so anything less certain is a new mailbox and an old one that goes.
func (m *mirror) recallByContent(ctx context.Context, boxes []*box, left *[]*entry, held func(*entry) bool) {
	for _, e := range slices.Clone(*left) {
		fits := func(b *box) bool {
			return b.entry == nil && m.wants(b) && b.info.Err == nil && !b.status.Volatile && !e.volatile &&
				e.key == m.key && e.srcUIDValidity == b.status.UIDValidity && b.status.UIDValidity != 0 &&
				(e.srcGUID.IsZero() || b.status.GUID.IsZero()) && len(e.pairs) > 0 && held(e)
		}
		var found []*box
		for _, b := range boxes {
			if fits(b) {
				found = append(found, b)
			}
		}
		rivals := 0
		for _, other := range *left {
			if other.key == e.key && !other.volatile && other.srcUIDValidity == e.srcUIDValidity {
				rivals++
			}
		}
		if len(found) == 1 && rivals == 1 && m.sameContent(ctx, found[0], e) {
			found[0].entry = e
			*left = slices.DeleteFunc(*left, func(l *entry) bool { return l == e })
		}
	}
}

// sameContent tells whether all messages that an entry tells of look the same on both sides.
func (m *mirror) sameContent(ctx context.Context, b *box, e *entry) bool {
	sets := newKeywordSets()
	side := func(s formats.Store, name string) *state {
		mbox, err := s.Open(ctx, name)
		if err != nil {
			return nil
		}
		defer mbox.Close()
		st, err := load(ctx, mbox, wantLooks, sets)
		if err != nil {
			return nil
		}
		return st
	}
	src, dst := side(m.src, b.info.Name), side(m.dst, e.target)
	if src == nil || dst == nil {
		return false
	}
	for p := range e.ours(dst) {
		s, inSource := src.find(p.src)
		if d, ok := dst.find(p.dst); !inSource || !ok || !sameMessage(src, s, dst, d) {
			return false
		}
	}
	return true
}

// names decides the target's names.
func (m *mirror) names(boxes []*box) map[string]naming {
	names, kept, full := []string{}, map[string]string{}, map[string]bool{}
	for _, b := range boxes {
		if b.info.NoSelect || b.info.Err != nil && b.entry == nil {
			continue
		}
		names = append(names, b.info.Name)
		full[b.info.Name] = b.status.Messages > 0
		if e := b.entry; e != nil && e.name == b.info.Name && mayBeNamed(e.name, e.target, m.limits) {
			kept[b.info.Name] = e.target
		}
	}
	return nameMailboxes(names, kept, func(name string) bool { return full[name] }, m.limits)
}

// tasks does the renames and gives one task for each mailbox to carry, and what could not be renamed and so has to go.
func (m *mirror) tasks(ctx context.Context, boxes []*box, named map[string]naming, there map[string]formats.Info) ([]task, []notRenamed, error) {
	renamed, err := m.rename(ctx, boxes, named, there)
	if err != nil {
		return nil, nil, err
	}
	var tasks []task
	for _, b := range boxes {
		n := named[b.info.Name]
		if !m.wants(b) || b.info.Err != nil {
			continue
		}
		if n.refuse != "" {
			m.findings.setAside(b.info.Name, 0, fmt.Errorf("%s", n.refuse), "rename one of them in the source and run the same again")
			continue
		}
		t := task{name: b.info.Name, target: n.target, guid: b.status.GUID, entry: m.remembered(n.target, b.status.GUID)}
		info, ok := there[n.target]
		t.exists = ok && !info.NoSelect
		if t.was = renamed.done[n.target]; t.was != "" {
			t.did = "renamed"
		}
		if m.bareParent(b, named) {
			m.findings.lose(b.info.Name, lostParent, "", "a mailbox with children is only a folder in "+m.limits.Format)
			continue
		}
		if n.why != "" {
			m.findings.lose(b.info.Name, lostName, b.info.Name+" -> "+n.target, n.why)
		}
		if !t.exists && !norm.NFC.IsNormalString(n.target) {
			m.findings.lose(b.info.Name, lostForm, n.target, "the name is not in Unicode NFC")
		}
		if b.info.SpecialUse != "" && info.SpecialUse != b.info.SpecialUse {
			m.findings.lose(b.info.Name, lostSpecialUse, b.info.SpecialUse, "the attribute is not carried between stores")
		}
		tasks = append(tasks, t)
	}
	return tasks, renamed.left, nil
}

// bareParent tells that an empty mailbox exists in the target only as the folder of its children.
func (m *mirror) bareParent(b *box, named map[string]naming) bool {
	target := named[b.info.Name].target
	return m.limits.NoChildren && b.status.Messages == 0 && target != "INBOX" && hasChild(named, target)
}

// move is one rename to do in the target.
type move struct {
	name           string // in the source
	entry          *entry
	now, want, was string
}

// notRenamed is a mailbox of the target that could not be renamed. The source's mailbox is copied under its new name,
// and then this one goes.
type notRenamed struct {
	name  string // in the source
	entry *entry
}

// renaming is the state of all renames of a run.
type renaming struct {
	*mirror
	there map[string]formats.Info
	moves []*move
	done  map[string]string // old names by new
	left  []notRenamed
}

// rename gives the target's mailboxes the names that the source has now. Children move with their parents, so after
// each step the rest is looked at anew. A name that is taken by a mailbox which is itself to be renamed is freed first,
// in a circle through a name that nobody has.
func (m *mirror) rename(ctx context.Context, boxes []*box, named map[string]naming, there map[string]formats.Info) (*renaming, error) {
	r := &renaming{mirror: m, there: there, done: map[string]string{}}
	for _, b := range boxes {
		n := named[b.info.Name]
		if b.entry == nil || b.info.Err != nil || n.refuse != "" {
			continue
		}
		_, ok := there[b.entry.target]
		switch {
		case !ok || m.bareParent(b, named):
		case b.entry.target == n.target && n.target == "INBOX":
		case b.entry.target == "INBOX" || n.target == "INBOX": // cannot be renamed in IMAP's sense
			r.left = append(r.left, notRenamed{b.info.Name, b.entry})
		default:
			r.moves = append(r.moves, &move{b.info.Name, b.entry, b.entry.target, n.target, b.entry.target})
		}
	}
	// A move can carry along what stands right already, so that one is a move too, and all are looked at until none is left
	// to do. Three steps for each are enough even in a circle; the bound is for a store whose renames do not do what they say.
	for n := 3*len(r.moves) + 3; r.unfinished(); n-- {
		if n == 0 {
			r.moves = slices.DeleteFunc(r.moves, func(mv *move) bool { return mv.now != mv.want })
			break
		}
		if err := r.step(ctx); err != nil {
			return nil, err
		}
	}
	for _, mv := range r.moves {
		if mv.was != mv.want {
			r.done[mv.want] = mv.was
		}
	}
	if len(r.done) == 0 {
		return r, nil
	}
	return r, m.journal.flush(ctx)
}

func (r *renaming) unfinished() bool {
	return slices.ContainsFunc(r.moves, func(mv *move) bool { return mv.now != mv.want })
}

// step does one rename, or gives one up.
func (r *renaming) step(ctx context.Context) error {
	slices.SortFunc(r.moves, func(a, b *move) int { return strings.Compare(a.now, b.now) })
	for i, mv := range r.moves {
		if mv.now == mv.want || under(mv.want, mv.now) || r.blocker(mv) != "" {
			continue
		}
		err := r.do(ctx, mv.now, mv.want)
		if err != nil && !fatal(err) {
			r.log.Warn("mailbox not renamed; it is copied instead", "from", mv.now, "to", mv.want, "err", err)
			r.giveUp(i)
			return nil
		}
		return err
	}
	// Every name is taken. Only a circle among ourselves can be opened; a mailbox of somebody else keeps its name.
	blocked := -1
	for i, mv := range r.moves {
		if mv.now == mv.want {
			continue
		}
		blocked = i
		holder := r.blocker(mv)
		if under(mv.want, mv.now) {
			holder = mv.now // into itself: by way of another name
		}
		if slices.ContainsFunc(r.moves, func(o *move) bool { return o.now == holder && o.now != o.want }) {
			return r.do(ctx, holder, freeName(r.there, holder))
		}
	}
	r.giveUp(blocked)
	return nil
}

func (r *renaming) giveUp(i int) {
	r.left = append(r.left, notRenamed{r.moves[i].name, r.moves[i].entry})
	r.moves = slices.Delete(r.moves, i, i+1)
}

// blocker is a mailbox that stands where the moved one or one of its children would come to stand, or "".
func (r *renaming) blocker(mv *move) string {
	for name := range r.there {
		if !under(name, mv.now) {
			continue
		}
		to := mv.want + strings.TrimPrefix(name, mv.now)
		if other, taken := r.there[to]; taken && !under(to, mv.now) && !(other.NoSelect && name == mv.now) {
			return to
		}
	}
	return ""
}

// do renames, with a word in the journal before and after: a run that dies between finds the mailbox under either name.
func (r *renaming) do(ctx context.Context, from, to string) error {
	for _, e := range r.journal.entries() {
		if under(e.target, from) {
			again := *e
			again.moving = to + strings.TrimPrefix(e.target, from)
			r.journal.put(&again)
			r.successor[e] = &again
		}
	}
	if err := r.journal.flush(ctx); err != nil {
		return err
	}
	if err := r.dst.Rename(ctx, from, to); err != nil {
		return err
	}
	r.moved(r.there, from, to)
	for _, mv := range r.moves {
		if under(mv.now, from) {
			mv.now = to + strings.TrimPrefix(mv.now, from)
		}
	}
	return nil
}

func freeName(there map[string]formats.Info, name string) string {
	for i := 1; ; i++ {
		free := fmt.Sprintf("%s-moving-%d", name, i)
		if _, taken := there[free]; !taken {
			return free
		}
	}
}

// moved follows a rename in the target's list and in the journal.
func (m *mirror) moved(there map[string]formats.Info, from, to string) {
	moved := map[string]formats.Info{}
	for name, info := range there {
		if under(name, from) {
			delete(there, name)
			info.Name = to + strings.TrimPrefix(name, from)
			moved[info.Name] = info
		}
	}
	maps.Copy(there, moved)
	m.retarget(func(e *entry) string {
		if !under(e.target, from) {
			return ""
		}
		return to + strings.TrimPrefix(e.target, from)
	})
}

// retarget gives entries the names that now answers, where that is not "".
func (m *mirror) retarget(now func(*entry) string) {
	var moved []*entry
	for _, e := range m.journal.entries() {
		if target := now(e); target != "" {
			again := *e
			again.target, again.moving, again.dstPrint = target, "", ""
			m.journal.remove(e.target)
			m.successor[e] = &again
			moved = append(moved, &again)
		}
	}
	for _, e := range moved {
		m.journal.put(e)
	}
}

// latest is what became of an entry through renames.
func (m *mirror) latest(e *entry) *entry {
	for m.successor[e] != nil {
		e = m.successor[e]
	}
	return e
}

// finishMoves follows renames that a run did without having been able to say so.
func (m *mirror) finishMoves(there map[string]formats.Info) {
	m.retarget(func(e *entry) string {
		if e.moving == "" || there[e.moving].Name == "" || there[e.target].Name != "" {
			return ""
		}
		return e.moving
	})
}
