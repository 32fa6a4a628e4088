package sync

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
)

// recall finds what earlier runs remember of each mailbox of the source, also under another name, and gives the entries
// of mailboxes that are gone from it.
func (m *mirror) recall(ctx context.Context, boxes []*box, there map[string]formats.Info) []*entry {
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
	take(func(b *box, e *entry) bool { // another mailbox under its name, or one that cannot be opened today
		return e.key == m.key && e.name == b.info.Name
	})
	m.recallByContent(ctx, boxes, &left, held)
	return slices.DeleteFunc(left, func(e *entry) bool {
		return e.key != m.key || !matches(m.o.Mailboxes, e.name) ||
			slices.ContainsFunc(boxes, func(b *box) bool { return b.info.Name == e.name && !b.info.NoSelect })
	})
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
	for _, p := range e.byUID(src, dst) {
		s, _ := src.find(p.src)
		if d, ok := dst.find(p.dst); p.src == 0 || !ok || !sameMessage(src, s, dst, d) {
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
		if e := b.entry; e != nil && e.name == b.info.Name {
			kept[b.info.Name] = e.target
		}
	}
	return nameMailboxes(names, kept, func(name string) bool { return full[name] }, m.limits)
}

// tasks does the renames and gives one task for each mailbox to carry.
func (m *mirror) tasks(ctx context.Context, boxes []*box, there map[string]formats.Info) ([]task, error) {
	named := m.names(boxes)
	moved, err := m.rename(ctx, boxes, named, there)
	if err != nil {
		return nil, err
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
		if t.was = moved[n.target]; t.was != "" {
			t.did = "renamed"
		}
		if m.bareParent(b, named) {
			m.findings.lose(b.info.Name, lostParent, "", "a mailbox with children is only a folder in "+m.limits.Format)
			continue
		}
		if n.why != "" {
			m.findings.lose(b.info.Name, lostName, b.info.Name+" -> "+n.target, n.why)
		}
		if b.info.SpecialUse != "" && info.SpecialUse != b.info.SpecialUse {
			m.findings.lose(b.info.Name, lostSpecialUse, b.info.SpecialUse, "the attribute is not carried between stores")
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// bareParent tells that an empty mailbox exists in the target only as the folder of its children.
func (m *mirror) bareParent(b *box, named map[string]naming) bool {
	target := named[b.info.Name].target
	return m.limits.NoChildren && b.status.Messages == 0 && target != "INBOX" && hasChild(named, target)
}

// rename gives the target's mailboxes the names that the source has now, and tells old names by new. Children move with
// their parents, so after each step the rest is looked at anew; a name that is taken by a mailbox which is itself to be
// renamed is freed first, in a circle through a name that nobody has.
func (m *mirror) rename(ctx context.Context, boxes []*box, named map[string]naming, there map[string]formats.Info) (map[string]string, error) {
	type move struct{ now, want, was string }
	var moves []*move
	for _, b := range boxes {
		n := named[b.info.Name]
		if b.entry == nil || b.info.Err != nil || n.refuse != "" || b.entry.target == n.target {
			continue
		}
		if _, ok := there[b.entry.target]; ok && b.entry.target != "INBOX" && n.target != "INBOX" && !m.bareParent(b, named) {
			moves = append(moves, &move{b.entry.target, n.target, b.entry.target})
		}
	}
	done := map[string]string{}
	step := func(from, to string) error {
		if err := m.dst.Rename(ctx, from, to); err != nil {
			return err
		}
		m.moved(there, from, to)
		for _, mv := range moves {
			if under(mv.now, from) {
				mv.now = to + strings.TrimPrefix(mv.now, from)
			}
		}
		return nil
	}
	for len(moves) > 0 {
		slices.SortFunc(moves, func(a, b *move) int { return strings.Compare(a.now, b.now) })
		i := slices.IndexFunc(moves, func(mv *move) bool { _, taken := there[mv.want]; return mv.now == mv.want || !taken })
		if i < 0 {
			// Only a circle among ourselves can be opened; a mailbox of somebody else keeps its name.
			i = slices.IndexFunc(moves, func(mv *move) bool {
				return slices.ContainsFunc(moves, func(o *move) bool { return o.now == mv.want })
			})
			if i < 0 {
				break // the mailboxes are filled anew under their names, and set aside where mail stands there
			}
			holder := moves[slices.IndexFunc(moves, func(o *move) bool { return o.now == moves[i].want })]
			free := freeName(there, holder.now)
			if err := step(holder.now, free); err != nil {
				return nil, err
			}
			continue
		}
		mv := moves[i]
		if mv.now != mv.want {
			if err := step(mv.now, mv.want); err != nil {
				if fatal(err) {
					return nil, err
				}
				m.log.Warn("mailbox not renamed; it is copied instead", "from", mv.now, "to", mv.want, "err", err)
				moves = slices.Delete(moves, i, i+1)
				continue
			}
		}
		done[mv.want] = mv.was
		moves = slices.Delete(moves, i, i+1)
	}
	if len(done) == 0 {
		return done, nil
	}
	return done, m.journal.flush(ctx)
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
	for name, info := range there {
		if under(name, from) {
			delete(there, name)
			info.Name = to + strings.TrimPrefix(name, from)
			there[info.Name] = info
		}
	}
	for _, e := range m.journal.entries() {
		if under(e.target, from) {
			again := *e
			again.target = to + strings.TrimPrefix(e.target, from)
			again.dstPrint = ""
			m.journal.remove(e.target)
			m.journal.put(&again)
		}
	}
}
