package pop3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"dovetail/formats"
	"dovetail/formats/conf/variable"
	"dovetail/formats/parsed"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// maildrop is INBOX as it was when the session began. Messages have numbers from 1 on.
type maildrop struct {
	s      *session
	ctx    context.Context
	box    *watch.Box
	view   *watch.Snapshot
	store  string             // the format, as in mail_location
	format *variable.Template // pop3_uidl_format, once it is needed

	messages []mail
	total    int64 // bytes of all

	deleted      int
	deletedBytes int64
	lowest, last int  // numbers of messages that were retrieved; 0 none
	gone         int  // the highest message that was asked for after somebody else had removed it
	updated      bool // QUIT did what was due
	succeeded    bool

	uidls []string               // once they are known for all; see needsAll
	saved map[formats.UID]string // that are to be stored (pop3_save_uidl)
}

// mail is one message.
type mail struct {
	uid   formats.UID
	order uint32
	uidl  string // that the store holds; "" is derived
	size  int64  // with CRLF

	deleted, seen, wasSeen bool // seen: in this session
}

func openMaildrop(ctx context.Context, s *session) (_ *maildrop, err error) {
	at, err := s.user.Find(namespace.Inbox)
	if err != nil {
		return nil, err
	}
	store, err := at.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	d := &maildrop{s: s, ctx: ctx, store: store.Limits().Format}
	if d.box, err = s.p.Hub.Open(ctx, store, at.Name); err != nil {
		return nil, err
	}
	d.view = d.box.Snapshot()
	if err = d.dropRecent(); err == nil {
		err = d.read()
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// dropRecent: who fetches mail by POP3 has seen what there is, unless the session is to leave no trace.
func (d *maildrop) dropRecent() error {
	st := d.view.Status
	if d.s.o.NoFlagUpdates || st.FirstRecent == 0 || st.FirstRecent >= st.UIDNext {
		return nil
	}
	_, err := d.box.Update(d.ctx, func(tx formats.Tx) error { return tx.Raise(0, 0, st.UIDNext) })
	return err
}

func (d *maildrop) close() {
	if d != nil {
		d.box.Close()
	}
}

// read lists the messages. Those with a place of their own come first (they were shown in that order by the server
// before), the others follow by UID.
func (d *maildrop) read() error {
	want := formats.WantPOP3
	if d.s.o.FastSizeLookups {
		want |= formats.WantSize
	}
	d.messages = make([]mail, 0, d.view.Len())
	sizes := sizer{d: d, reader: d.box.Parsed().Reader()}
	for m, err := range d.box.Messages(d.ctx, formats.Query{Want: want}) {
		if err != nil {
			if _, one := formats.Damaged(err); !one {
				return err
			}
			d.s.log(slog.LevelError, err.Error())
		}
		seq, ok := d.view.Seq(m.UID)
		if !ok || d.s.o.DeletedFlag != "" && formats.HasKeyword(m.Keywords, d.s.o.DeletedFlag) {
			continue
		}
		size, err := sizes.of(seq, &m)
		if errors.Is(err, formats.ErrNoMessage) {
			continue
		}
		if err != nil { // one message that cannot be read does not keep the others from anybody
			d.s.log(slog.LevelError, fmt.Sprintf("Getting size of message UID=%d failed: %v", m.UID, err))
			size = max(m.Size, 0)
		}
		d.messages = append(d.messages, mail{uid: m.UID, order: m.POP3Order, uidl: m.POP3UIDL, size: size, wasSeen: m.Flags&formats.Seen != 0})
		d.total += size
	}
	if sizes.learned {
		d.box.Parsed().Flush()
	}
	slices.SortStableFunc(d.messages, func(a, b mail) int {
		return cmp.Or(cmp.Compare(a.order-1, b.order-1), cmp.Compare(a.uid, b.uid)) // 0 is after all others
	})
	for i, m := range d.messages {
		if m.wasSeen {
			d.last = i + 1
		}
	}
	return nil
}

// sizer finds out how long messages are with CRLF, and keeps it for the next time.
type sizer struct {
	d       *maildrop
	reader  *parsed.Reader
	learned bool
}

func (z *sizer) of(seq uint32, m *formats.Message) (int64, error) {
	if size, ok := z.d.view.At(seq).Size(); ok && size > 0 {
		return size, nil
	}
	known, ok := z.reader.Get(m.UID, -1)
	if ok && known.VirtualSize > 0 {
		z.d.view.SetSize(seq, known.VirtualSize)
		return known.VirtualSize, nil
	}
	if z.d.s.o.FastSizeLookups && m.Size > 0 {
		return max(m.Size, m.VirtualSize), nil
	}
	keep := parsed.Data{}
	if ok {
		keep = *known
	}
	return z.count(seq, m, keep)
}

// count reads the message, unless its format knows.
func (z *sizer) count(seq uint32, m *formats.Message, keep parsed.Data) (int64, error) {
	m.VirtualSize = -1
	body, err := z.d.box.Body(z.d.ctx, m)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	size := m.VirtualSize
	if size < body.Size() || size > 2*body.Size() {
		var c counter
		if _, err := body.WriteTo(&c); err != nil {
			return 0, err
		}
		size = c.n
	}
	if keep.Size != body.Size() {
		keep = parsed.Data{Size: body.Size()}
	}
	keep.VirtualSize = size
	z.d.box.Parsed().Put(m.UID, &keep)
	z.d.view.SetSize(seq, size)
	z.learned = true
	return size, nil
}

// counter counts bytes with every line end as CRLF.
type counter struct {
	n    int64
	last byte
}

func (c *counter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.n += int64(len(p) + formats.BareNewlines(p, c.last))
		c.last = p[len(p)-1]
	}
	return len(p), nil
}

// update does what the session has marked, in one step.
func (d *maildrop) update() error {
	var gone, seen formats.Ranges
	for _, m := range d.messages {
		switch {
		case m.deleted:
			gone.Add(m.uid)
		case m.seen:
			seen.Add(m.uid)
		}
	}
	d.updated = true
	err := d.change(seen, gone)
	d.succeeded = err == nil
	return err
}

// markSeen is what is left to do when there was no QUIT (RFC 1939 section 6: nothing is removed).
func (d *maildrop) markSeen() {
	var seen formats.Ranges
	for _, m := range d.messages {
		if m.seen {
			seen.Add(m.uid)
		}
	}
	if err := d.change(seen, nil); err != nil {
		d.s.log(slog.LevelError, err.Error())
	}
}

func (d *maildrop) change(seen, gone formats.Ranges) error {
	if len(seen)+len(gone)+len(d.saved) == 0 {
		return nil
	}
	// What the client was told is done even when it leaves, or the server ends, meanwhile.
	_, err := d.box.Update(context.WithoutCancel(d.ctx), func(tx formats.Tx) error {
		if saver, ok := tx.(formats.UIDLSaver); ok {
			for uid, uidl := range d.saved {
				saver.SaveUIDL(uid, uidl)
			}
		}
		if len(seen) > 0 {
			if err := tx.SetFlags(seen, formats.FlagChange{Op: formats.AddFlags, Flags: formats.Seen}); err != nil {
				return err
			}
		}
		switch {
		case len(gone) == 0:
			return nil
		case d.s.o.marks:
			return tx.SetFlags(gone, formats.FlagChange{Op: formats.AddFlags, Keywords: []string{d.s.o.DeletedFlag}})
		}
		return tx.Expunge(gone)
	})
	return err
}

// body opens a message.
func (d *maildrop) body(uid formats.UID) (formats.Body, error) {
	return d.box.Body(d.ctx, &formats.Message{UID: uid, Detail: formats.Detail{VirtualSize: -1}})
}
