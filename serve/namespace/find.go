package namespace

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/serve/config/options"
)

// Mailbox is a client's name found in its namespace.
type Mailbox struct {
	Space *Space
	Name  string // of the store
	Full  string // of the client
}

// Listed is the name as it is listed: INBOX in capitals.
func (m Mailbox) Listed() string {
	if name, ok := m.Space.full(m.Name); ok {
		return name
	}
	return m.Full
}

// Find gives the namespace of a name and its name there. The mailbox need not exist.
func (u *User) Find(name string) (Mailbox, error) {
	for _, s := range u.byPrefix {
		if s.Inbox && strings.EqualFold(name, Inbox) {
			return Mailbox{s, Inbox, Inbox}, nil
		}
	}
	for _, s := range u.byPrefix {
		rest, ok := s.below(name)
		if !ok {
			continue
		}
		inner, err := s.inner(rest)
		if err != nil {
			return Mailbox{}, err
		}
		if s.Prefix == "" {
			inner = s.belowInbox(inner)
		}
		return Mailbox{s, inner, name}, nil
	}
	return Mailbox{}, ErrNoNamespace
}

// belowInbox gives a name whose first part is INBOX in any case the spelling of the others (Dovecot 2.3.19 does so where
// clients see INBOX and its children in one tree).
func (s *Space) belowInbox(name string) string {
	if head, rest, ok := strings.Cut(name, "/"); ok && s.Inbox && strings.EqualFold(head, Inbox) {
		return Inbox + "/" + rest
	}
	return name
}

// InboxPrefix is that of the namespace with INBOX: where a user's own mailboxes are.
func (u *User) InboxPrefix() string {
	for _, s := range u.Spaces {
		if s.Inbox && s.of == nil {
			return s.Prefix
		}
	}
	return ""
}

// below tells whether a name is in the namespace, and what is behind the prefix. A prefix "INBOX." is the same in any
// case.
func (s *Space) below(name string) (rest string, ok bool) {
	if len(name) < len(s.Prefix) {
		return "", false
	}
	head, rest := name[:len(s.Prefix)], name[len(s.Prefix):]
	if head == s.Prefix {
		return rest, true
	}
	n := len(Inbox) + 1
	same := len(head) >= n && strings.EqualFold(head[:n-1], Inbox) && strings.EqualFold(s.Prefix[:n-1], Inbox) && head[n-1:] == s.Prefix[n-1:]
	return rest, same
}

// inner turns a client's name without prefix into a store's.
func (s *Space) inner(rest string) (string, error) {
	parts := strings.Split(rest, string(s.Separator))
	for i, part := range parts {
		switch {
		case part == "" && i == len(parts)-1 && i > 0:
			return "", fmt.Errorf("%w: Ends with hierarchy separator", ErrBadName)
		case part == "" && len(parts) == 1:
			return "", fmt.Errorf("%w: Name is empty", ErrBadName)
		case part == "" && i == 0:
			return "", fmt.Errorf("%w: Begins with hierarchy separator", ErrBadName)
		case i == 0 && part[0] == '~': // which is a home directory
			return "", fmt.Errorf("%w: Begins with '~'", ErrBadName)
		case part == "." || part == "..":
			return "", fmt.Errorf("%w: Contains '%s' part", ErrBadName, part)
		case part == "":
			return "", fmt.Errorf("%w: Has adjacent hierarchy separators", ErrBadName)
		case s.Separator != '/' && strings.Contains(part, "/"):
			return "", fmt.Errorf("%w: Name must not have '/' characters", ErrBadName)
		}
	}
	return strings.Join(parts, "/"), nil
}

// full turns a store's name into the client's. A store whose names hold the separator cannot show them: ok is false.
func (s *Space) full(name string) (full string, ok bool) {
	if name == Inbox && s.Inbox {
		return Inbox, true
	}
	if s.Separator != '/' && strings.IndexByte(name, s.Separator) >= 0 {
		return "", false
	}
	return s.Prefix + strings.ReplaceAll(name, "/", string(s.Separator)), true
}

// settings gives what is configured for a mailbox; its name there is below the prefix, with the separator.
func (s *Space) settings(name string) (options.Mailbox, bool) {
	full, ok := s.full(name)
	if !ok {
		return options.Mailbox{}, false
	}
	full = strings.TrimPrefix(full, s.Prefix)
	i := slices.IndexFunc(s.Mailboxes, func(m options.Mailbox) bool { return m.Name == full })
	if i < 0 {
		i = slices.IndexFunc(s.Mailboxes, func(m options.Mailbox) bool {
			return strings.ContainsAny(m.Name, "*?") && fits(m.Name, full)
		})
	}
	if i < 0 {
		return options.Mailbox{}, false
	}
	return s.Mailboxes[i], true
}

// fits tells whether a name is one of those of a section: "*" stands for anything there, separators among it, and "?" for
// any byte (Dovecot 2.3.19, src/lib/wildcard-match.c).
func fits(pattern, name string) bool {
	star, from := -1, 0 // where the last "*" is, and what of the name it may reach next
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Fitting gives the mailboxes that are there and whose names below the prefix fit a section's, with "*" and "?".
func (s *Space) Fitting(ctx context.Context, pattern string) (list []Mailbox, err error) {
	store, err := s.Store(ctx)
	if err != nil {
		return nil, err
	}
	infos, err := store.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		if full, ok := s.full(info.Name); ok && !info.NoSelect && fits(pattern, strings.TrimPrefix(full, s.Prefix)) {
			list = append(list, Mailbox{s, info.Name, full})
		}
	}
	return list, nil
}

// IsAlias tells whether the namespace shows the mail of another one (alias_for).
func (s *Space) IsAlias() bool { return s.of != nil }

// Prepare makes sure that a mailbox that is to be opened is there, if the configuration has it made by itself (auto =
// create, subscribe; INBOX always).
func (m Mailbox) Prepare(ctx context.Context) (formats.Store, error) {
	store, err := m.Space.Store(ctx)
	if err != nil {
		return nil, err
	}
	set, _ := m.Space.settings(m.Name)
	if !(m.Name == Inbox && m.Space.Inbox) && set.Auto != "create" && set.Auto != "subscribe" {
		return store, nil
	}
	if there(ctx, store, m.Name) {
		return store, nil
	}
	// All sessions of a user come here at once when he has no mail yet.
	defer m.Space.stores.lock(store)()
	if there(ctx, store, m.Name) {
		return store, nil
	}
	err = store.Create(ctx, m.Name, formats.Status{})
	if err != nil && there(ctx, store, m.Name) {
		err = nil // another program was faster
	}
	if err == nil && set.Auto == "subscribe" {
		err = m.Subscribe(ctx, true)
	}
	return store, ignore(err, formats.ErrExists)
}

// There tells whether the mailbox can be opened now. Nothing else is looked at, however many there are.
func (m Mailbox) There(ctx context.Context) bool {
	store, err := m.Space.Store(ctx)
	return err == nil && there(ctx, store, m.Name)
}

// SpecialUse gives the special uses that are configured for a mailbox.
func (m Mailbox) SpecialUse() []string {
	if m.Space == nil {
		return nil
	}
	set, _ := m.Space.settings(m.Name)
	return set.SpecialUse
}

// HasSpecialUse tells whether any mailbox has a special use.
func (s *Space) HasSpecialUse() bool {
	return slices.ContainsFunc(s.Mailboxes, func(m options.Mailbox) bool { return len(m.SpecialUse) > 0 })
}

func there(ctx context.Context, store formats.Store, name string) bool {
	box, err := store.Open(ctx, name)
	return err == nil && box.Close() == nil
}
