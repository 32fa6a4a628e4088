// Package quota says how much mail a user may have, and has. Settings, rules and answers are those of Dovecot 2.3's plug-in
// (src/plugins/quota): roots that count by the mailboxes themselves (count), and by the file maildirsize that Courier,
// vpopmail and qmail keep, too (maildir).
//
// A message is let in as long as it fits below the limit of the mailbox, plus the grace, which only deliveries have. Where
// the counting itself fails the message is let in: mail is not lost for want of a number.
package quota

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"dovetail/serve/config/options"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// Quota is that of one user. A nil one has no limits. It is for one goroutine.
type Quota struct {
	user  *namespace.User
	hub   *watch.Hub
	o     options.Quota
	roots []*root
}

// FullError says that there is no room for a message. Its text is for clients.
type FullError struct {
	Text     string
	TooLarge bool // it is the message that is too large, whatever else there is
}

func (e *FullError) Error() string { return e.Text }

// Usage is what a root counts, and allows: 0 is no limit.
type Usage struct {
	Root                      string
	Bytes, Messages           int64
	BytesLimit, MessagesLimit int64
}

// counter is a way to count.
type counter interface {
	// used gives the sums of all mailboxes. It may find limits that are kept beside them.
	used(ctx context.Context, r *root) (bytes, messages int64, err error)

	// add tells of messages that came, or went if it is negative.
	add(ctx context.Context, bytes, messages int64) error
}

// root is one quota.
type root struct {
	rules
	q          *Quota
	name       string
	unenforced bool
	count      counter
}

// Open reads what holds for a user; nil if nothing does. Errors are for the log, in Dovecot's words where it has any.
func Open(u *namespace.User, hub *watch.Hub) (*Quota, error) {
	o, err := options.ReadQuota(u.View, u.Expand)
	if err != nil || len(o.Roots) == 0 && o.MaxMailSize == 0 {
		return nil, err
	}
	q := &Quota{user: u, hub: hub, o: o}
	for _, r := range o.Roots {
		if err := q.add(r); err != nil {
			return nil, fmt.Errorf("Failed to initialize quota: Invalid quota root %s: %w", r.Key, err)
		}
	}
	return q, nil
}

// add reads a root: BACKEND[:NAME[:PARAMETERS]].
func (q *Quota) add(o options.QuotaRoot) error {
	backend, rest, _ := strings.Cut(o.Definition, ":")
	name, params, _ := strings.Cut(rest, ":")
	r := &root{q: q, name: name}
	switch backend {
	case "count":
		if !q.o.VirtualSizes {
			return errors.New("count quota init failed: quota count backend requires quota_vsizes=yes")
		}
		r.count = counted{q}
	case "maildir":
		r.count = &maildirSize{q: q}
	case "dict", "dirsize": // which sum up the same; the check of the configuration says that a dict is not kept up to date
		r.count = counted{q}
		if backend == "dict" { // NAME:PARAMETERS:DICT, and the address of a dict has colons of its own
			params, _, _ = strings.Cut(params, ":")
		}
	case "fs": // the file system refuses by itself what does not fit (EDQUOT)
		return nil
	default:
		return fmt.Errorf("Unknown quota backend: %s", backend)
	}
	for p := range strings.SplitSeq(params, ":") {
		switch {
		case p == "" || p == "hidden" || p == "ignoreunlimited" || strings.HasPrefix(p, "ns="):
		case p == "noenforcing":
			r.unenforced = true
		default:
			return fmt.Errorf("Unknown parameter for backend %s: %s", backend, p)
		}
	}
	if err := r.parse(o); err != nil {
		return err
	}
	q.roots = append(q.roots, r)
	return nil
}

// Allow tells whether a message may be saved in a mailbox, as clients name it: a *FullError if not. Any other error is
// about the counting, and for the log. size is that of the message as stored, virtual with every line end as CRLF; 0 asks
// whether there is too much already. incoming says that it is delivered.
func (q *Quota) Allow(ctx context.Context, mailbox string, size, virtual int64, incoming bool) error {
	if q == nil {
		return nil
	}
	if q.o.VirtualSizes {
		size = virtual
	}
	if q.o.MaxMailSize > 0 && uint64(size) > q.o.MaxMailSize {
		return &FullError{"Mail size is larger than the maximum size allowed by server configuration", true}
	}
	for _, r := range q.roots {
		fits, err := r.fits(ctx, mailbox, size, incoming)
		if err != nil {
			return fmt.Errorf("quota: Failed to check if user is under quota: %w", err)
		}
		if !fits {
			return &FullError{Text: q.o.Exceeded}
		}
	}
	return nil
}

// fits compares with one root (quota.c, quota_transaction_set_limits; quota-util.c, quota_transaction_is_over).
func (r *root) fits(ctx context.Context, mailbox string, size int64, incoming bool) (bool, error) {
	if r.unenforced || r.ignores(mailbox) {
		return true, nil
	}
	bytes, messages, err := r.count.used(ctx, r)
	if err != nil {
		return false, err
	}
	maxBytes, maxMessages := r.limits(mailbox)
	switch {
	case maxMessages > 0 && messages >= maxMessages:
		return false, nil
	case maxBytes == 0:
		return true, nil
	case size == 0:
		return bytes <= maxBytes, nil
	case bytes >= maxBytes:
		return false, nil
	}
	room := maxBytes - bytes
	if incoming {
		room += r.grace()
	}
	return size <= room, nil
}

// Added counts a message that was saved.
func (q *Quota) Added(ctx context.Context, mailbox string, size, virtual int64) error {
	if q == nil {
		return nil
	}
	if q.o.VirtualSizes {
		size = virtual
	}
	var errs []error
	for _, r := range q.roots {
		if !r.ignores(mailbox) {
			errs = append(errs, r.count.add(ctx, size, 1))
		}
	}
	return errors.Join(errs...)
}

// Usage gives what each root counts.
func (q *Quota) Usage(ctx context.Context) ([]Usage, error) {
	if q == nil {
		return nil, nil
	}
	var list []Usage
	for _, r := range q.roots {
		bytes, messages, err := r.count.used(ctx, r)
		if err != nil {
			return nil, err
		}
		u := Usage{Root: r.name, Bytes: bytes, Messages: messages}
		u.BytesLimit, u.MessagesLimit = r.limits("")
		list = append(list, u)
	}
	return list, nil
}

// matches is Dovecot's wildcard_match with * and ?.
func matches(mask, name string) bool {
	if mask == name {
		return true
	}
	mask = strings.NewReplacer(`\`, `\\`, "[", `\[`, "/", "\x01").Replace(mask)
	ok, err := path.Match(mask, strings.ReplaceAll(name, "/", "\x01"))
	return ok && err == nil
}
