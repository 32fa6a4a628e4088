package search

import (
	"fmt"
	"time"
)

// tellEvery is how often a client is told how far a search has come (Dovecot 2.3, index-search.c
// SEARCH_NOTIFY_INTERVAL_SECS).
const tellEvery = 10 * time.Second

// progress is how far a search has come.
type progress struct {
	of        *Mailbox
	at        uint32 // sequence number of the message at hand
	unclocked int    // messages since the clock was asked
	began     time.Time
	last      time.Time
}

// cheapMessages is how many messages that were not read come before the clock is asked again.
const cheapMessages = 1024

// pass notes that a search has come to a message; read tells that the one before was read from its file.
func (p *progress) pass(seq uint32, read bool) {
	p.at = seq
	if p.unclocked++; p.of.Tell != nil && (read || p.unclocked >= cheapMessages || p.began.IsZero()) {
		p.unclocked = 0
		p.look(p.of.now())
	}
}

func (p *progress) look(now time.Time) {
	switch {
	case p.began.IsZero():
		p.began, p.last = now, now
	case now.Sub(p.last) >= tellEvery && p.at > 1:
		p.last = now
		done := float64(p.at-1) * 100 / float64(p.of.View.Len())
		spent := float64(now.Sub(p.began).Milliseconds())
		left := int64(spent/(done/100)-spent) / 1000
		p.of.Tell(fmt.Sprintf("Searched %d%% of the mailbox, ETA %d:%02d", int(done), left/60, left%60))
	}
}

func (b *Mailbox) now() time.Time {
	if b.Clock != nil {
		return b.Clock()
	}
	return time.Now()
}
