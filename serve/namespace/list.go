package namespace

import (
	"context"
	"maps"
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

	NoSelect    bool // cannot be opened: something that is there as a parent only, or with OldParents for what is below it
	NonExistent bool // is not there at all: it is subscribed, or the name of something that is there begins with it
	Children    bool
	NoInferiors bool // cannot have children
	Subscribed  bool
	ChildInfo   bool // something below it is subscribed, and Recursive was asked
	SpecialUse  []string

	Mailbox Mailbox // where it is; not of parents that only a prefix makes

	shown bool // by LIST without selection
	root  bool // is the prefix of a namespace
	below bool // something below it is subscribed and does not match
	under bool // something below it is subscribed
}

// List gives what matches, INBOX first, parents before children.
func (u *User) List(ctx context.Context, q Query) ([]Entry, error) {
	t := tree{u: u, q: q, of: map[string]*Entry{}, patterns: newPatterns(q)}
	for _, s := range u.Spaces {
		if s.Namespace.List == "no" {
			continue
		}
		if err := t.space(ctx, s); err != nil {
			if s.IgnoreOnFailure {
				continue
			}
			return nil, err
		}
	}
	t.parents()
	if q.Subscribed || q.NeedSubscribed || q.OldParents {
		if err := t.subscriptions(ctx); err != nil {
			return nil, err
		}
	}
	var list []Entry
	for _, e := range t.of {
		if t.wanted(e) {
			list = append(list, *e)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return formats.CompareNames(a.path(), b.path()) })
	return list, nil
}

// path is the name as package formats orders them.
func (e *Entry) path() string { return strings.ReplaceAll(e.Name, string(e.Separator), "/") }

// tree is all names by what clients call them.
type tree struct {
	u        *User
	q        Query
	of       map[string]*Entry
	patterns []listPattern
}

// listPattern is a pattern of a Query.
type listPattern struct {
	text         string
	bare, behind *matcher // of the text, and of it behind the reference
}

// newPatterns makes the patterns ready. One that comes again is left out.
func newPatterns(q Query) (list []listPattern) {
	seen := map[string]bool{}
	for _, text := range q.Patterns {
		if seen[text] {
			continue
		}
		seen[text] = true
		p := listPattern{text: text, bare: newMatcher(text)}
		if p.behind = p.bare; q.Reference != "" {
			p.behind = newMatcher(q.Reference + text)
		}
		list = append(list, p)
	}
	return list
}

func (t tree) space(ctx context.Context, s *Space) error {
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
		// In Maildir++ a parent is nothing but the beginning of other names.
		e.shown, e.NoSelect, e.NonExistent = true, info.NoSelect && !s.plusPlus(), info.NoSelect && s.plusPlus()
		e.NoInferiors = flat && !info.NoSelect && info.Name != Inbox // whose file is called otherwise and leaves room for a folder
		if info.SpecialUse != "" {
			e.SpecialUse = []string{info.SpecialUse}
		}
	}
	t.configured(s, flat)
	return nil
}

// plusPlus tells whether names are those of Maildir++.
func (s *Space) plusPlus() bool { return s.where.Driver == "maildir" && s.where.Layout != "fs" }

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
func (t tree) configured(s *Space, flat bool) {
	if s.Inbox {
		e := t.add(s, Inbox)
		e.shown, e.NoSelect, e.NonExistent = true, false, false
		// Nothing can be below INBOX where the namespace's names begin with something else.
		e.NoInferiors = e.NoInferiors || s.Prefix != "" && !strings.EqualFold(s.Prefix, Inbox+string(s.Separator))
	}
	for _, m := range s.Mailboxes {
		if m.Auto != "create" && m.Auto != "subscribe" || strings.ContainsAny(m.Name, "*?") {
			continue
		}
		name, err := s.inner(m.Name)
		if err != nil {
			continue
		}
		if e := t.add(s, name); !e.shown {
			e.shown, e.NoInferiors = true, flat
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

// subscriptions notes what is subscribed, in all lists.
func (t tree) subscriptions(ctx context.Context) error {
	for _, s := range t.u.Spaces {
		if !s.Subscriptions || s.of != nil || s.Namespace.List == "no" {
			continue
		}
		if err := t.subscribed(ctx, s); err != nil && !s.IgnoreOnFailure {
			return err
		}
	}
	return nil
}

func (t tree) subscribed(ctx context.Context, s *Space) error {
	store, err := s.Store(ctx)
	if err != nil {
		return err
	}
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
		t.subscribe(s, name)
	}
	return nil
}

// subscribe notes one name of a namespace's list. It may be in another namespace that has no list of its own.
func (t tree) subscribe(s *Space, name string) {
	full, ok := s.full(name)
	if !ok {
		return
	}
	at, err := t.u.Find(full)
	if err != nil || at.Space != s && at.Space.Subscriptions || at.Space.Namespace.List == "no" {
		return
	}
	e := t.of[at.Full]
	if e == nil {
		if e = t.add(at.Space, at.Name); e == nil {
			return
		}
		e.NonExistent = true
	}
	e.Subscribed = true
	matched := t.matches(e)
	t.above(e, func(parent *Entry) { parent.under, parent.below = true, parent.below || !matched })
}

// parents adds the names that only a prefix makes, and says of all who has children.
func (t tree) parents() {
	for _, e := range slices.Collect(maps.Values(t.of)) {
		if e.shown {
			t.above(e, func(parent *Entry) { parent.Children, parent.NoInferiors, parent.shown = true, false, true })
		}
	}
	for _, s := range t.u.Spaces {
		if e := t.of[strings.TrimSuffix(s.Prefix, string(s.Separator))]; e != nil && s.Prefix != "" {
			e.root = true
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
			parent = &Entry{Name: name, Separator: e.Separator, NonExistent: true, Mailbox: Mailbox{Space: e.Mailbox.Space}}
			t.of[name] = parent
		}
		fn(parent)
	}
}

// matches tells whether a name fits one of the patterns. INBOX is INBOX in any case, also where names begin with it.
func (t tree) matches(e *Entry) bool {
	fold := 0
	if rest, ok := strings.CutPrefix(e.Name, Inbox); ok && (rest == "" || rest[0] == e.Separator) {
		fold = len(Inbox)
	}
	for i := range t.patterns {
		if t.patterns[i].of(e).matchFold(e.Name, e.Separator, fold) {
			return true
		}
	}
	return false
}

// of gives the pattern for an entry: behind the reference. Where names are paths, a pattern may be absolute and needs no
// reference (Dovecot 2.3.19, src/lib-storage/list/mailbox-list-fs.c, fs_list_join_refpattern).
func (p *listPattern) of(e *Entry) *matcher {
	if s := e.Mailbox.Space; s != nil && p.text != "" && (p.text[0] == '/' || p.text[0] == '~') && !s.plusPlus() {
		return p.bare
	}
	return p.behind
}

// wanted tells whether an entry is in the answer.
func (t tree) wanted(e *Entry) bool {
	q := t.q
	if !t.matches(e) || q.SpecialUse && len(e.SpecialUse) == 0 {
		return false
	}
	if !q.Subscribed {
		return e.shown
	}
	if q.Recursive && (e.below || e.under && (e.root || e.Subscribed)) {
		e.ChildInfo = true
		return true
	}
	if !e.Subscribed && q.OldParents && e.below && slices.ContainsFunc(q.Patterns, func(p string) bool { return strings.HasSuffix(p, "%") }) {
		e.NoSelect = true
		return true
	}
	if q.OldParents {
		e.NoSelect = false // LSUB tells nothing of what is there
	}
	return e.Subscribed
}
