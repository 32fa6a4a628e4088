package imap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/formats/imapwire"
	"dovetail/formats/message"
	"dovetail/formats/parsed"
	"dovetail/sync/watch"
)

func (s *session) fetch(ctx context.Context, c *imapwire.Command) answer {
	args := c.Args.(*imapwire.Fetch)
	wanted, refused := s.modifiers(ctx, c, args)
	if refused != nil {
		return *refused
	}
	f := s.newFetching(ctx, args.Items, c.UID)
	var failed error
	if wrong := s.each(args.Set, c.UID, func(seq uint32, r watch.Record) bool {
		if !wanted(r) {
			return true
		}
		if err := f.message(seq, r); err != nil && failed == nil {
			failed = err
		}
		return failed == nil || s.o.FetchFailure == "disconnect-after" && !s.over
	}); wrong != nil {
		return *wrong
	}
	if f.learned {
		s.sel.box.Parsed().Flush()
	}
	if len(f.seen) > 0 {
		change := formats.FlagChange{Op: formats.AddFlags, Flags: formats.Seen}
		s.own = ownChange{uids: f.seen, change: change, silent: true}
		if _, err := s.setFlags(ctx, f.seen, change); err != nil {
			s.unseen(f.seen, err)
		}
	}
	if failed != nil {
		return s.fetchFailed(failed)
	}
	if f.gone {
		return withCode("[EXPUNGEISSUED]", "Some messages were already expunged")
	}
	return ok("Fetch completed")
}

// unseen takes back that messages became \Seen. The client has their texts: that the disk is full, or that the mailbox may
// only be read, keeps nobody from reading.
func (s *session) unseen(uids formats.Ranges, err error) {
	s.log(slog.LevelError, oneLine(err))
	for uid := range uids.All() {
		if seq, there := s.sel.view.Seq(uid); there {
			s.flagsOf(seq, s.sel.view.At(seq))
		}
	}
}

// fetchFailed tells what went wrong. A client that gets NO to FETCH is often confused, so that Dovecot rather
// disconnects, unless imap_fetch_failure = no-after.
func (s *session) fetchFailed(err error) answer {
	switch {
	case s.over:
		return answer{}
	case errors.Is(err, message.ErrUnknownEncoding):
		return no("[UNKNOWN-CTE]", "Unknown Content-Transfer-Encoding")
	case errors.Is(err, message.ErrInvalidEncoding):
		return no("[PARSE]", "Invalid data in MIME part")
	}
	a := s.failed(err)
	if s.o.FetchFailure == "no-after" {
		return a
	}
	s.line("* BYE FETCH failed: " + a.text)
	s.end("FETCH failed: " + err.Error())
	return answer{}
}

// fetching is one FETCH.
type fetching struct {
	s     *session
	ctx   context.Context
	items []fetchItem
	marks bool // messages that are fetched become \Seen
	whole bool // an item needs more of a message than its header
	piece bool // an item is a part of a text: the client will come for the next
	seen  formats.Ranges
	gone  bool

	at      fetched        // the message at hand
	reader  *parsed.Reader // what is known of messages; nil as long as no item asked
	learned bool           // something was found out
}

// fetchItem is an item with its name as it stands in the answer.
type fetchItem struct {
	imapwire.FetchItem
	text     string
	onlySeen bool // FLAGS that nobody asked for, told when they change
}

// early are the items that come first in the answer, as with Dovecot: those that are short.
var early = map[imapwire.FetchKind]bool{
	imapwire.FetchFlags: true, imapwire.FetchUID: true, imapwire.FetchInternalDate: true, imapwire.FetchSaveDate: true,
	imapwire.FetchSize: true, imapwire.FetchModSeq: true, imapwire.FetchPreview: true, imapwire.FetchSnippet: true,
	imapwire.FetchGUID: true, imapwire.FetchMailboxName: true, imapwire.FetchRealUID: true, imapwire.FetchSaveDateUnix: true,
}

func (s *session) newFetching(ctx context.Context, items []imapwire.FetchItem, byUID bool) *fetching {
	f := &fetching{s: s, ctx: ctx}
	f.at.f = f
	if byUID {
		// It is in every answer to UID FETCH (RFC 3501 section 6.4.8).
		f.add(imapwire.FetchItem{Kind: imapwire.FetchUID, Name: "UID"})
	}
	flags := false
	for _, item := range items {
		f.add(item)
		flags = flags || item.Kind == imapwire.FetchFlags
	}
	if f.marks && !flags {
		f.add(imapwire.FetchItem{Kind: imapwire.FetchFlags, Name: "FLAGS"})
		f.items[len(f.items)-1].onlySeen = true
	}
	slices.SortStableFunc(f.items, func(a, b fetchItem) int {
		switch {
		case early[a.Kind] == early[b.Kind]:
			return 0
		case early[a.Kind]:
			return -1
		}
		return 1
	})
	return f
}

// add takes an item, unless it is there already.
func (f *fetching) add(item imapwire.FetchItem) {
	same := func(b fetchItem) bool { return b.Kind == item.Kind && b.Name == item.Name }
	if (item.Section == nil || item.Name != "BODY" && item.Kind == imapwire.FetchSection) && slices.ContainsFunc(f.items, same) {
		return
	}
	added := fetchItem{FetchItem: item, text: item.Name}
	if sec := item.Section; sec != nil {
		upper := *sec
		upper.Fields = slices.Clone(sec.Fields)
		for i, name := range upper.Fields {
			upper.Fields[i] = strings.ToUpper(name)
		}
		added.Section = &upper
		if item.Name == "BODY" || item.Kind != imapwire.FetchSection {
			added.text = string(upper.Append([]byte(item.Name)))
		}
		f.marks = f.marks || !sec.Peek && !f.s.sel.readOnly
		f.piece = f.piece || sec.Partial
	}
	f.whole = f.whole || needsWhole(&added)
	f.items = append(f.items, added)
}

// needsWhole tells whether an item cannot be answered from the header of a message and its size.
func needsWhole(item *fetchItem) bool {
	switch item.Kind {
	case imapwire.FetchBody, imapwire.FetchBodyStructure, imapwire.FetchPreview, imapwire.FetchSnippet, imapwire.FetchBinary,
		imapwire.FetchBinarySize:
		return !item.Lazy
	case imapwire.FetchSection:
		sec := item.Section
		return len(sec.Part) > 0 || sec.Specifier == imapwire.Text
	}
	return false
}

// message writes the answer for one message. On an error it is a whole line all the same, but for one in the middle of a
// text, after which nothing can be said any more.
func (f *fetching) message(seq uint32, r watch.Record) error {
	s := f.s
	s.out.Buf = s.startFetch(seq, r, false)
	m := &f.at
	m.seq, m.r, m.first, m.anew, m.marked = seq, r, true, false, f.marks && r.Flags()&formats.Seen == 0
	defer m.close()
	var failed error
	for i := range f.items {
		item := &f.items[i]
		failed = m.item(item)
		if !s.over && errors.Is(failed, formats.ErrNoMessage) {
			f.gone = true
			failed = nil
			m.gone(item)
		}
		if failed != nil {
			break
		}
	}
	if s.over {
		return failed
	}
	if m.first {
		// "FETCH ()" is not allowed.
		s.out.Buf = strconv.AppendUint(append(s.out.Buf, "UID "...), uint64(r.UID), 10)
	}
	s.out.Buf = append(s.out.Buf, ")\r\n"...)
	if err := s.out.Line(); failed == nil {
		failed = err
	}
	return failed
}

// cutOff ends the session when a text cannot be sent to its end.
func (f *fetching) cutOff(r watch.Record, item *fetchItem, err error) error {
	if _, gone := errors.AsType[*net.OpError](err); gone { // the client, which nobody has to do anything about
		f.s.end("Connection closed")
		return err
	}
	err = fmt.Errorf("UID %d: FETCH %s: %w", r.UID, item.text, err)
	f.s.failed(err) // it is logged
	f.s.end("FETCH failed")
	return err
}
