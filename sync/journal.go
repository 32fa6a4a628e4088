package sync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"dovetail/formats"
)

// journal is the note of the target while a run works with it. A mailbox's plan is durable in it before its first
// message is written, so that after a kill -9 the next run knows which messages can be ours. What was done is put in
// without waiting and becomes durable with the next flush: until then the plan says enough.
type journal struct {
	store formats.Noter // nil: the target has no room for notes, and messages are recognised by what they are

	mu       sync.Mutex // guards what follows
	byTarget map[string]*entry
	subs     map[string][]string
	changed  bool

	writing sync.Mutex // held while a note is written; before mu
}

// openJournal reads the note. A damaged one is given as damage, and the run goes on as if there were none.
func openJournal(ctx context.Context, dst formats.Store) (j *journal, damage, err error) {
	j = &journal{byTarget: map[string]*entry{}, subs: map[string][]string{}}
	store, ok := dst.(formats.Noter)
	if !ok {
		return j, nil, nil
	}
	j.store = store
	b, err := store.ReadNote(ctx, noteName)
	if errors.Is(err, errors.ErrUnsupported) { // a wrapper of a store without room
		j.store = nil
		return j, nil, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the record of earlier runs: %w", err)
	}
	var n note
	switch err := n.unmarshal(b); {
	case errors.Is(err, errNewerNote):
		return nil, nil, err
	case err != nil:
		return j, err, nil
	}
	for _, e := range n.entries {
		j.byTarget[e.target] = e
	}
	j.subs = n.subscribed
	return j, nil, nil
}

func (j *journal) entries() []*entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]*entry, 0, len(j.byTarget))
	for _, e := range j.byTarget {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.target, b.target) })
	return all
}

func (j *journal) get(target string) *entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byTarget[target]
}

// put replaces what is remembered about a mailbox of the target.
func (j *journal) put(e *entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.byTarget[e.target]; old != nil && bytes.Equal(old.append(nil), e.append(nil)) {
		return
	}
	j.byTarget[e.target] = e
	j.changed = true
}

func (j *journal) remove(target string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.byTarget[target]; ok {
		delete(j.byTarget, target)
		j.changed = true
	}
}

func (j *journal) subscribed(key string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.subs[key]
}

func (j *journal) setSubscribed(key string, names []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.subs[key], names) {
		j.subs[key] = names
		j.changed = true
	}
}

// flush makes everything put so far durable. Of several that wait, the first writes for all.
func (j *journal) flush(ctx context.Context) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	changed := j.changed
	j.changed = false
	j.mu.Unlock()
	if !changed || j.store == nil {
		return nil
	}
	n := note{entries: j.entries()}
	j.mu.Lock()
	n.subscribed = j.subs
	b := n.marshal()
	j.mu.Unlock()
	if err := j.store.WriteNote(ctx, noteName, b); err != nil {
		j.mu.Lock()
		j.changed = true
		j.mu.Unlock()
		return fmt.Errorf("write the record of this run: %w", err)
	}
	return nil
}
