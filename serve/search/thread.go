package search

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/imapwire"
)

// Thread appends the threads of messages (RFC 5256 section 4), which are given in ascending order, as they stand behind
// "* THREAD ": with UIDs or sequence numbers. algorithm is REFERENCES, REFS (as the first, but without regard to subjects,
// and threads in the order of their newest message) or ORDEREDSUBJECT.
func Thread(ctx context.Context, b *Mailbox, algorithm string, seqs []uint32, uids bool, dst []byte) (out []byte, lost bool, err error) {
	if algorithm == "ORDEREDSUBJECT" {
		return orderedSubject(ctx, b, seqs, uids, dst)
	}
	t := newThreads(ctx, b, algorithm != "REFS", len(seqs))
	defer t.keyed.end()
	for i, seq := range seqs {
		err := t.add(seq, b.View.At(seq))
		if i%1024 == 0 || err != nil {
			switch {
			case ctx.Err() != nil:
				return dst, t.lost, ctx.Err()
			case err == ErrTooMuch:
				return dst, t.lost, err
			}
			t.lost = t.lost || errors.Is(err, formats.ErrNoMessage)
		}
	}
	t.makeTree()
	if algorithm == "REFS" {
		t.orderByNewest()
	} else {
		t.sortRoots()
		if t.gatherSubjects() {
			t.sortRoots()
		}
	}
	w := threadWriter{b: b, uids: uids, out: dst}
	for i := range t.roots {
		if r := &t.roots[i]; !r.ignore && (!r.dummy || t.tree[r.node].child != 0) {
			w.root(t, r)
		}
	}
	return w.out, t.lost, ctx.Err()
}

// thread is one of ORDEREDSUBJECT.
type subjectThread struct {
	date int64
	seqs []uint32
}

// orderedSubject makes one thread of each base subject (RFC 5256 section 3, ORDEREDSUBJECT): its first message by date, and
// all others as answers to it.
func orderedSubject(ctx context.Context, b *Mailbox, seqs []uint32, uids bool, dst []byte) ([]byte, bool, error) {
	list := criteria([]imapwire.SortKey{{Name: "SUBJECT"}, {Name: "DATE"}})
	lost, err := take(ctx, b, list, seqs)
	if err != nil {
		return dst, lost, err
	}
	order := inOrder(list, len(seqs))
	var threads []subjectThread
	for i, o := range order {
		k := o.of
		if i == 0 || list[0].compare(order[i-1].of, k) != 0 {
			threads = append(threads, subjectThread{date: list[1].numbers[k]})
		}
		last := &threads[len(threads)-1]
		last.seqs = append(last.seqs, seqs[k])
	}
	slices.SortFunc(threads, func(a, b subjectThread) int {
		return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.seqs[0], b.seqs[0]))
	})
	w := threadWriter{b: b, uids: uids, out: dst}
	for i := range threads {
		w.flat(threads[i].seqs)
	}
	return w.out, lost, ctx.Err()
}

// threadWriter writes "(1 2 (3)(4))".
type threadWriter struct {
	b    *Mailbox
	uids bool
	out  []byte
}

func (w *threadWriter) number(seq uint32) {
	if w.uids {
		seq = uint32(w.b.View.At(seq).UID)
	}
	w.out = strconv.AppendUint(w.out, uint64(seq), 10)
}

func (w *threadWriter) flat(seqs []uint32) {
	w.out = append(w.out, '(')
	w.number(seqs[0])
	switch len(seqs) {
	case 1:
	case 2:
		w.out = append(w.out, ' ')
		w.number(seqs[1])
	default:
		w.out = append(w.out, ' ')
		for _, seq := range seqs[1:] {
			w.out = append(w.out, '(')
			w.number(seq)
			w.out = append(w.out, ')')
		}
	}
	w.out = append(w.out, ')')
}

func (w *threadWriter) root(t *threads, r *root) {
	w.out = append(w.out, '(')
	if !r.dummy {
		w.number(t.tree[r.node].seq)
	}
	if t.tree[r.node].child != 0 {
		if !r.dummy {
			w.out = append(w.out, ' ')
		}
		w.children(t, r.node)
	}
	w.out = append(w.out, ')')
}

// children writes what answers a message: one without parentheses, several each in its own.
func (w *threadWriter) children(t *threads, parent int32) {
	for {
		list := t.children(parent)
		if len(list) > 1 {
			for _, c := range list {
				w.out = append(w.out, '(')
				w.number(t.tree[c.node].seq)
				if t.tree[c.node].child != 0 {
					w.out = append(w.out, ' ')
					w.children(t, c.node)
				}
				w.out = append(w.out, ')')
			}
			return
		}
		w.number(t.tree[list[0].node].seq)
		if parent = list[0].node; t.tree[parent].child == 0 {
			return
		}
		w.out = append(w.out, ' ')
	}
}
