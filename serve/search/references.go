package search

import (
	"cmp"
	"context"
	"slices"

	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

// threads is what REFERENCES makes of messages. The rules are RFC 5256's as Dovecot understands them
// (index-thread-links.c, index-thread-finish.c).
type threads struct {
	keyed *keyed
	lost  bool

	ids       numbering
	links     []link // by number of the message ID, 0 none
	subjects  texts  // by link.text
	bySubject bool
	tree      []branch // as links; behind them the dummies that subjects need
	roots     []root
}

// link is a message ID or, beyond the first, a message with the same one.
type link struct {
	seq    uint32 // 0: no message has it
	parent int32
	used   bool // it is the parent of others
	reply  bool
	text   uint32 // number of its base subject, plus one; 0: none
	date   int64
}

// branch is a message in the tree without the IDs that no message has.
type branch struct {
	seq         uint32
	child, next int32
}

// root begins a thread.
type root struct {
	node   int32
	date   int64
	seq    uint32
	dummy  bool // stands for several that have nothing above them
	ignore bool // is part of another one by now
	reply  bool
	under  int32 // place in roots of the one with the same subject, plus one
}

func newThreads(ctx context.Context, b *Mailbox, bySubject bool, messages int) *threads {
	need := []parsed.Key{parsed.ByReferences, parsed.SentDate, parsed.InternalDate}
	if bySubject {
		need = append(need, parsed.BySubject)
	}
	links := make([]link, 1, messages+messages/8+2)
	return &threads{keyed: newKeyed(ctx, b, need...), bySubject: bySubject, links: links, ids: newNumbering(messages)}
}

// maxLinks bounds the message IDs of all messages together: some hundred MB.
const maxLinks = 10_000_000

// number gives a message ID's.
func (t *threads) number(id uint64) int32 {
	n := t.ids.of(id)
	if *n == 0 {
		*n = int32(len(t.links))
		t.links = append(t.links, link{})
	}
	return *n
}

// add takes a message with what it refers to.
func (t *threads) add(seq uint32, r watch.Record) error {
	keys, err := t.keyed.of(seq, r)
	n := int32(0)
	if id := keys.IDs[0]; id != 0 {
		n = t.number(id)
	}
	if n == 0 || t.links[n].seq != 0 { // none, or that of another message
		n = int32(len(t.links))
		t.links = append(t.links, link{})
	}
	l := &t.links[n]
	l.seq, l.date = seq, sentOrArrived(keys)
	if subject := keys.Text(parsed.BySubject); t.bySubject && len(subject) > 0 {
		t.subjects.add(subject)
		l.text, l.reply = uint32(len(t.subjects.ends)), keys.Reply
		if len(t.subjects.all) > maxTexts {
			return ErrTooMuch
		}
	}
	above := t.refer(keys.IDs[1:])
	if len(t.links) > maxLinks {
		return ErrTooMuch
	}
	if p := t.links[n].parent; p != 0 && p != above { // what others said of it does not count any more
		t.links[n].parent = 0
	}
	if above != 0 {
		t.join(above, n)
	}
	return err
}

// subject gives a message's base subject.
func (t *threads) subject(n int32) []byte {
	if text := t.links[n].text; text != 0 {
		return t.subjects.at(text - 1)
	}
	return nil
}

// refer joins the IDs that a message refers to to a chain, and gives the last.
func (t *threads) refer(ids []uint64) (above int32) {
	for _, id := range ids {
		n := t.number(id)
		if above != 0 {
			t.join(above, n)
		}
		above = n
	}
	return above
}

// join makes a message ID the parent of another one, unless that has one or it would be its own ancestor.
func (t *threads) join(parent, child int32) {
	if t.links[child].parent != 0 || parent == child {
		return
	}
	if t.links[child].used {
		for n := parent; n != 0; n = t.links[n].parent {
			if n == child {
				return
			}
		}
	}
	t.links[child].parent = parent
	t.links[parent].used = true
}

// makeTree leaves out IDs that no message has, but for those at the top.
func (t *threads) makeTree() {
	t.tree = make([]branch, len(t.links), len(t.links)+16)
	up := make([]int32, len(t.links))
	for n := int32(1); n < int32(len(t.links)); n++ {
		l := &t.links[n]
		t.tree[n].seq = l.seq
		if l.parent == 0 {
			t.roots = append(t.roots, root{node: n, seq: l.seq, dummy: l.seq == 0})
			continue
		}
		if l.seq == 0 {
			continue
		}
		t.put(t.shown(up, l.parent), n)
	}
}

// shown gives the nearest of an ID and what is above it that a message has, or the topmost; up remembers it.
func (t *threads) shown(up []int32, n int32) int32 {
	top := n
	for up[top] == 0 && t.links[top].seq == 0 && t.links[top].parent != 0 {
		top = t.links[top].parent
	}
	if up[top] != 0 {
		top = up[top]
	}
	for n != top && up[n] == 0 {
		up[n] = top
		n = t.links[n].parent
	}
	return top
}

func (t *threads) put(parent, child int32) {
	t.tree[child].next = t.tree[parent].child
	t.tree[parent].child = child
}

// sorted is a child with what it is sorted by.
type sorted struct {
	node int32
	date int64
	seq  uint32
}

// children gives a branch's children by date.
func (t *threads) children(parent int32) (list []sorted) {
	for n := t.tree[parent].child; n != 0; n = t.tree[n].next {
		list = append(list, sorted{n, t.dateOf(n), t.tree[n].seq})
	}
	slices.SortFunc(list, func(a, b sorted) int { return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.seq, b.seq)) })
	return list
}

func (t *threads) dateOf(n int32) int64 {
	if int(n) < len(t.links) {
		return t.links[n].date
	}
	return 0
}

// sortRoots puts threads in the order of their first message. A dummy with one child gives way to it.
func (t *threads) sortRoots() {
	for i := range t.roots {
		r := &t.roots[i]
		if r.ignore {
			continue
		}
		if !r.dummy {
			r.date, r.seq = t.dateOf(r.node), t.tree[r.node].seq
			continue
		}
		list := t.children(r.node)
		if len(list) == 0 {
			r.ignore = true
			continue
		}
		r.date, r.seq = list[0].date, list[0].seq
		if len(list) == 1 {
			r.node, r.dummy = list[0].node, false
		}
	}
	slices.SortStableFunc(t.roots, func(a, b root) int { return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.seq, b.seq)) })
}

// orderByNewest puts threads in the order of their newest message.
func (t *threads) orderByNewest() {
	at := make([]int32, len(t.links)) // the root of each, plus one
	for i := range t.roots {
		at[t.roots[i].node] = int32(i) + 1
		if t.roots[i].dummy {
			t.roots[i].seq = 0
		}
	}
	var way []int32
	for n := int32(1); n < int32(len(t.links)); n++ {
		way = way[:0]
		top := n
		for at[top] == 0 {
			way = append(way, top)
			top = t.links[top].parent
		}
		for _, k := range way {
			at[k] = at[top]
		}
		if r := &t.roots[at[top]-1]; t.links[n].seq != 0 {
			r.date = max(r.date, t.links[n].date)
		}
	}
	slices.SortStableFunc(t.roots, func(a, b root) int { return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.seq, b.seq)) })
}
