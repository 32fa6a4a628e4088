package search

// gatherSubjects joins threads with the same base subject (RFC 5256 section 3, REFERENCES step 5). changed tells whether
// there were any.
func (t *threads) gatherSubjects() (changed bool) {
	bySubject := map[string]int32{} // place in roots plus one
	for i := range t.roots {
		t.gather(bySubject, int32(i))
	}
	n := len(t.roots)
	for i := range n {
		if r := &t.roots[i]; r.under != 0 && !r.ignore {
			t.mergeRoot(int32(i))
			changed = true
		}
	}
	return changed
}

func (t *threads) gather(bySubject map[string]int32, i int32) {
	r := &t.roots[i]
	if r.ignore {
		return
	}
	n := r.node
	if r.dummy {
		n = t.children(n)[0].node
	}
	subject, reply := t.subject(n), t.links[n].reply
	if len(subject) == 0 {
		return
	}
	place, ok := bySubject[string(subject)]
	if !ok {
		bySubject[string(subject)] = i + 1
	} else if other := &t.roots[place-1]; !other.dummy && (r.dummy || other.reply && !reply) {
		other.under = i + 1
		bySubject[string(subject)] = i + 1
	} else {
		r.under = place
	}
	r.reply = reply
}

// mergeRoot puts a thread below, or beside, the one that stands for its subject.
func (t *threads) mergeRoot(i int32) {
	top := t.roots[i].under
	for t.roots[top-1].under != 0 {
		top = t.roots[top-1].under
	}
	r, with := &t.roots[i], &t.roots[top-1]
	switch {
	case r.dummy && with.dummy:
		for n := t.tree[r.node].child; n != 0; {
			next := t.tree[n].next
			t.put(with.node, n)
			n = next
		}
		t.tree[r.node].child = 0
	case with.dummy, r.reply && !with.reply:
		t.put(with.node, r.node)
	default:
		dummy := int32(len(t.tree))
		t.tree = append(t.tree, branch{})
		t.put(dummy, with.node)
		t.put(dummy, r.node)
		with.under, with.ignore = int32(len(t.roots))+1, true
		r.ignore = true
		t.roots = append(t.roots, root{node: dummy, dummy: true})
		return
	}
	r.ignore = true
}
