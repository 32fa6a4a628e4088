// Package search finds, sorts and threads the messages of a mailbox: SEARCH (RFC 3501 section 6.4.4), WITHIN (RFC 5032),
// SORT and THREAD (RFC 5256), SORT=DISPLAY (RFC 5957) and the search keys of CONDSTORE, SAVEDATE and Dovecot.
//
// The judge of what matches and in which order is Dovecot 2.3.19: a text key is found as a substring of the decoded text
// in the form of package titlecase, whatever its place in a word; days are days of the local time zone for internal and
// save dates, and of the zone in the field for sent dates. Comments name Dovecot's file where a rule comes from no RFC.
//
// A program is looked at in four rounds for each message, and a message only goes as far as it must: what a record of the
// snapshot tells; dates, size and GUID; fields of the header, which the mailbox's cache mostly has; the body, which is
// read once for all keys. What was read is put into the cache. Most dates, sizes and fields that are asked for are found in
// columns of the cache (parsed.Key), and so is all that messages are sorted and put into threads by.
//
// # Where answers are not Dovecot's
//
// Text of an encoded word in an unknown character set is compared in the form, too, and what comes before broken base64 is
// searched. REFS leaves threads in the order of what was asked for, not of the whole mailbox, where their newest messages
// are of the same second and their first ones are missing. Of a References field the first 10,000 message ids count, and
// texts are sorted by their first 8 KB. INTHREAD, MIMEPART and X-REAL-UID, which no capability announces, are unknown.
package search

import (
	"context"
	"errors"
	"time"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

// Mailbox is what a session sees of its mailbox.
type Mailbox struct {
	Box    formats.Mailbox
	View   *watch.Snapshot
	Cache  *parsed.Cache  // may be nil
	Recent formats.Ranges // messages that are \Recent for the session
	Saved  formats.Ranges // "$"
	Name   string         // as the client calls it

	Zone *time.Location // whose days internal dates are counted in; nil: time.Local
	Now  time.Time      // for YOUNGER and OLDER; zero: the time of the call

	Tell  func(text string) // is called every ten seconds of a long search; may be nil
	Clock func() time.Time  // for Tell; nil: time.Now
}

// Result is what was found.
type Result struct {
	Seqs []uint32 // in the order asked for: ascending unless sorted

	// Lost: messages were gone when they were looked into, and are left out (EXPUNGEISSUED, RFC 5530).
	Lost bool
}

// Find gives the messages that match, in ascending order. The error is the context's; a message that cannot be read does
// not match.
func Find(ctx context.Context, b *Mailbox, p *Program) (Result, error) {
	f := finder{s: newScan(ctx, b, p.need...), p: p}
	defer f.s.end()
	first, last := p.root.bounds(b.View.Len())
	b.View.Each(first, last, f.look)
	return f.result, ctx.Err()
}

// Again looks which of the messages that have changed, or are new, match now: again are the UIDs of those that were looked
// at. A program with sequence numbers looks at all.
func Again(ctx context.Context, b *Mailbox, args *imapwire.Search, changes *watch.Changes) (result Result, again formats.Ranges, err error) {
	p, err := Compile(b, args)
	if err != nil {
		return result, nil, err
	}
	if p.bySeq {
		result, err = Find(ctx, b, p)
		return result, formats.Ranges{{First: 1, Last: 1<<32 - 1}}, err
	}
	f := finder{s: newScan(ctx, b, p.need...), p: p}
	defer f.s.end()
	look := func(seq uint32) {
		r := b.View.At(seq)
		again.Add(r.UID)
		f.look(seq, r)
	}
	for _, seq := range changes.Flags {
		look(seq)
	}
	for seq := b.View.Len() - changes.Added + 1; seq <= b.View.Len(); seq++ {
		look(seq)
	}
	return f.result, again, ctx.Err()
}

// finder collects what matches.
type finder struct {
	s      *scan
	p      *Program
	result Result
}

func (f *finder) look(seq uint32, r watch.Record) bool {
	hit, err := f.s.matches(&f.p.root, seq, r, f.p)
	switch {
	case errors.Is(err, formats.ErrNoMessage):
		f.result.Lost = true
	case err == nil && hit:
		f.result.Seqs = append(f.result.Seqs, seq)
	case err != nil && f.s.ctx.Err() != nil:
		return false
	}
	return seq%1024 != 0 || f.s.ctx.Err() == nil
}

// Run does what a SEARCH, SORT or THREAD asks for, but for threading: see Thread.
func Run(ctx context.Context, b *Mailbox, args *imapwire.Search) (Result, error) {
	p, err := Compile(b, args)
	if err != nil {
		return Result{}, err
	}
	result, err := Find(ctx, b, p)
	if err != nil || len(args.Sort) == 0 {
		return result, err
	}
	lost, err := Sort(ctx, b, args.Sort, result.Seqs)
	result.Lost = result.Lost || lost
	return result, err
}

func (b *Mailbox) zone() *time.Location {
	if b.Zone != nil {
		return b.Zone
	}
	return time.Local
}
