package imap

import (
	"context"

	"dovetail/sync/watch"
)

// events say which changes of the selected mailbox are told (RFC 5465); without NOTIFY all of them.
type events struct{ flags, counts bool }

var allEvents = events{flags: true, counts: true}

// watched gives the mailboxes of which an idle client is told.
func (s *session) watched() (list []*watch.Box) {
	if s.sel != nil {
		list = append(list, s.sel.box)
	}
	return list
}

// news tells an idle client what has happened.
func (s *session) news(ctx context.Context, what told) {
	if s.sel != nil {
		s.sync(ctx, what, nil)
	}
}
