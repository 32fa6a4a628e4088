package sync

import "sync/atomic"

// Progress counts while a run goes on; another goroutine may read it at any time. Totals grow while the source is
// being looked at. The zero value is ready.
type Progress struct {
	Mailboxes, MailboxesTotal atomic.Int64
	Messages, MessagesTotal   atomic.Int64
	Bytes                     atomic.Int64 // copied or compared so far; the total is not known before

	mailbox atomic.Pointer[string]
}

// Mailbox is the one that was begun last.
func (p *Progress) Mailbox() string {
	if name := p.mailbox.Load(); name != nil {
		return *name
	}
	return ""
}
