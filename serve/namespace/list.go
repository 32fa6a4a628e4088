package namespace

import (
	"context"
	"slices"
	"strings"

	"dovetail/formats"
)

// Query is what LIST and LSUB ask for.
type Query struct {
	Reference string
	Patterns  []string

	Subscribed     bool // only what is subscribed, whether it exists or not
	Recursive      bool // with Subscribed: also parents of what is subscribed (RECURSIVEMATCH)
	SpecialUse     bool // only what has a special use
	OldParents     bool // LSUB: "%" also gives the parent of what is subscribed, as \NoSelect (RFC 3501 section 6.3.9)
	NeedSubscribed bool // Entry.Subscribed is to be right
}

// Entry is one line of the answer.
type Entry struct {
	Name      string
	Separator byte

	NoSelect    bool // exists only as a parent
	NonExistent bool // is subscribed and does not exist
	Children    bool
	NoInferiors bool // cannot have children
	Subscribed  bool
	ChildInfo   bool // something below it is subscribed, and Recursive was asked
	SpecialUse  []string

	Mailbox Mailbox // where it is; not of parents that only a prefix makes

	below bool // something below it is subscribed
}

// List gives what matches, INBOX first, parents before children.
func (u *User) List(ctx context.Context, q Query) ([]Entry, error) {
	t := tree{of: map[string]*Entry{}}
	for _, s := range u.Spaces {
		if s.Namespace.List == "no" {
			continue
		}
		if err := t.space(ctx, s, q); err != nil {
			if s.IgnoreOnFailure {
				continue
			}
			return nil, err
		}
	}
	t.parents()
	var list []Entry
	for _, e := range t.of {
		if e.wanted(q) {
			list = append(list, *e)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return formats.CompareNames(a.path(), b.path()) })
	return list, nil
}

// path is the name as package formats orders them.
func (e *Entry) path() string { return strings.ReplaceAll(e.Name, string(e.Separator), "/") }

// tree is all names by what clients call them.
type tree struct{ of map[string]*Entry }

func (t tree) space(ctx context.Context, s *Space, q Query) error {
	store, err := s.Store(ctx)
	if err != nil {
		return err
	}
	infos, err := store.Mailboxes(ctx)
	if err != nil {
		return err
	}
	flat := store.Limits().NoChildren
	for _, info := range infos {
		e := t.add(s, info.Name)
		if e == nil {
			continue
		}
		e.NoSelect = info.NoSelect
		e.NoInferiors = flat && !info.NoSelect
		if info.SpecialUse != "" {
			e.SpecialUse = []string{info.SpecialUse}
		}
	}
	t.configured(s)
	if q.Subscribed || q.NeedSubscribed || q.OldParents {
		return t.subscribed(ctx, s, store)
	}
	return nil
}

// add gives the entry of a store's mailbox; nil for a name that the namespace's separator hides.
func (t tree) add(s *Space, name string) *Entry {
	full, ok := s.full(name)
	if !ok {
		return nil
	}
	e := t.of[full]
	if e == nil {
		e = &Entry{Name: full, Separator: s.Separator, Mailbox: Mailbox{s, name, full}}
		t.of[full] = e
	}
	return e
}

// configured adds what the configuration says: INBOX is always there, and so is what is made when it is opened.
func (t tree) configured(s *Space) {
	if s.Inbox {
		t.add(s, Inbox)
	}
	for _, m := range s.Mailboxes {
		if m.Auto != "create" && m.Auto != "subscribe" || strings.ContainsAny(m.Name, "*?") {
			continue
		}
		if name, err := s.inner(m.Name); err == nil {
			t.add(s, name)
		}
	}
	for _, e := range t.of {
		if e.Mailbox.Space != s || len(e.SpecialUse) > 0 {
			continue
		}
		if set, ok := s.settings(e.Mailbox.Name); ok {
			e.SpecialUse = set.SpecialUse
		}
	}
}

func (t tree) subscribed(ctx context.Context, s *Space, store formats.Store) error {
	list, ok := store.(formats.Subscriber)
	if !ok {
		return nil
	}
	names, err := list.Subscriptions(ctx)
	if err != nil {
		return err
	}
	for _, m := range s.Mailboxes {
		if name, err := s.inner(m.Name); err == nil && m.Auto == "subscribe" {
			names = append(names, name)
		}
	}
	for _, name := range names {
		full, ok := s.full(name)
		if !ok {
			continue
		}
		e := t.of[full]
		if e == nil {
			e = t.add(s, name)
			e.NonExistent = true
		}
		e.Subscribed = true
		t.above(e, func(parent *Entry) { parent.below = true })
	}
	return nil
}

// parents adds the names that only a prefix makes, and says of all who has children.
func (t tree) parents() {
	for _, e := range t.of {
		if !e.NonExistent {
			t.above(e, func(parent *Entry) { parent.Children = true })
		}
	}
}

// above calls fn for each parent of an entry, and makes those that are not there.
func (t tree) above(e *Entry, fn func(*Entry)) {
	for name := e.Name; ; {
		i := strings.LastIndexByte(name, e.Separator)
		if i <= 0 {
			return
		}
		name = name[:i]
		parent := t.of[name]
		if parent == nil && strings.EqualFold(name, Inbox) {
			parent = t.of[Inbox]
		}
		if parent == nil {
			parent = &Entry{Name: name, Separator: e.Separator, NoSelect: true, NonExistent: e.NonExistent}
			t.of[name] = parent
		}
		fn(parent)
	}
}

// wanted tells whether an entry is in the answer.
func (e *Entry) wanted(q Query) bool {
	matched := slices.ContainsFunc(q.Patterns, func(p string) bool {
		return Match(q.Reference+p, e.Name, e.Separator) || e.Name == Inbox && Match(strings.ToUpper(q.Reference+p), Inbox, e.Separator)
	})
	if !matched || q.SpecialUse && len(e.SpecialUse) == 0 {
		return false
	}
	if !q.Subscribed {
		return !e.NonExistent
	}
	if q.Recursive && e.below {
		e.ChildInfo = true
		return true
	}
	if !e.Subscribed && q.OldParents && e.below && slices.ContainsFunc(q.Patterns, func(p string) bool { return strings.HasSuffix(p, "%") }) {
		e.NoSelect = true
		return true
	}
	return e.Subscribed
}
