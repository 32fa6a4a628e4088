// Package deliver puts messages that come in into the mail of users. It is the one way for all protocols and programs
// that do so.
package deliver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"dovetail/formats"
	"dovetail/formats/conf/variable"
	"dovetail/formats/dbox"
	"dovetail/formats/disk"
	"dovetail/formats/message"
	"dovetail/formats/parsed"
	"dovetail/serve/config/options"
	"dovetail/serve/namespace"
	"dovetail/serve/quota"
	"dovetail/sync/watch"
)

// Message is what is delivered. It may be delivered several times, by one goroutine, and is closed then: the bytes are
// stored once where formats and file systems allow it, as Dovecot does (2.3.19, src/lmtp/lmtp-local.c, first_saved_mail).
type Message struct {
	From string // the envelope's sender, without brackets
	Head []byte // fields that are put in front of it, with CRLF
	Text Text   // the message as it came
	Temp string // folder of temporary files (mail_temp_dir); "": the system's

	fields *fields       // once they are read
	ready  map[bool]form // with Head, as it is stored: with CRLF, or without
	spools []*disk.Spool
	first  *watch.Delivered // where it is already: further copies share its bytes
}

// form is a message as it is stored.
type form struct {
	text    *io.SectionReader
	virtual int64 // its size with every line end as CRLF
}

// stored gives the message as it is stored for a user.
func (m *Message) stored(u *namespace.User) (text *io.SectionReader, virtual int64, err error) {
	if f, ok := m.ready[u.KeepsCR()]; ok {
		return f.text, f.virtual, nil
	}
	size := m.Text.Size()
	whole, _ := u.LineEnds(io.MultiReader(bytes.NewReader(m.Head), io.NewSectionReader(m.Text, 0, size)), int64(len(m.Head))+size)
	all := &disk.Spool{Dir: m.Temp}
	m.spools = append(m.spools, all)
	var ends dbox.LineCounter
	if _, err := io.Copy(io.MultiWriter(all, &ends), whole); err != nil {
		return nil, 0, err
	}
	if m.ready == nil {
		m.ready = map[bool]form{}
	}
	f := form{io.NewSectionReader(all, 0, all.Size()), ends.VirtualSize()}
	m.ready[u.KeepsCR()] = f
	return f.text, f.virtual, nil
}

// Close gives back what deliveries have left open. Text is its owner's.
func (m *Message) Close() error {
	err := m.first.Close()
	for _, s := range m.spools {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Text is the bytes of a message.
type Text interface {
	io.ReaderAt
	Size() int64
}

// maxFromLine bounds a line that is none.
const maxFromLine = 4 << 10

// FromLine looks for a line "From sender date" in front of a message, as MTAs write it for mboxes. length is that of the
// line with its end, 0 if there is none.
func FromLine(t io.ReaderAt) (sender string, length int64) {
	line := make([]byte, maxFromLine)
	n, _ := t.ReadAt(line, 0) // what cannot be read fails when it is saved
	line = line[:n]
	end := bytes.IndexByte(line, '\n')
	if !bytes.HasPrefix(line, []byte("From ")) || end < 0 {
		return "", 0
	}
	if words := bytes.Fields(line[:end]); len(words) > 1 {
		sender = string(words[1])
	}
	return sender, int64(end + 1)
}

// fields are for the log (deliver_log_format).
type fields struct{ id, subject, from string }

// maxHeader bounds how much of a header is read for the log.
const maxHeader = 64 << 10

func (m *Message) read() *fields {
	if m.fields != nil {
		return m.fields
	}
	m.fields = &fields{id: "unspecified"}
	header := make([]byte, min(maxHeader, m.Text.Size()))
	n, _ := m.Text.ReadAt(header, 0) // what cannot be read fails when it is saved
	for f := range parsed.Fields(header[:n]) {
		value := parsed.AppendUnfolded(nil, f.Value)
		switch {
		case f.Is("MESSAGE-ID") && m.fields.id == "unspecified":
			m.fields.id = sanitized(string(value), 200)
		case f.Is("SUBJECT") && m.fields.subject == "":
			m.fields.subject = sanitized(string(message.DecodeHeader(nil, value)), 80)
		case f.Is("FROM") && m.fields.from == "":
			m.fields.from = address(value)
		}
	}
	return m.fields
}

// address is the first one of a field.
func address(value []byte) string {
	for _, a := range message.ParseAddresses(value, 1) {
		if len(a.Mailbox) > 0 && len(a.Domain) > 0 {
			return sanitized(string(a.Mailbox)+"@"+string(a.Domain), 200)
		}
	}
	return ""
}

// sanitized is text for a line of the log.
func sanitized(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// Delivery is one user's.
type Delivery struct {
	User    *namespace.User
	Mailbox string // where it goes, as clients name it; "": INBOX
	To      string // the envelope's recipient
	Was     string // the original one, if the MTA has said it; else lda_original_recipient_header may
	Session string
	Began   time.Time // of the transaction
	Lookup  variable.Lookup

	Hub *watch.Hub
	Log func(level slog.Level, text string)
}

// Deliver saves the message durably. If the mailbox is not there and is not to be made, it goes into INBOX: mail is not
// lost for want of a folder (Dovecot 2.3.19, src/lib-lda/mail-deliver.c, mail_do_deliver).
func (d *Delivery) Deliver(ctx context.Context, m *Message) error {
	began := time.Now()
	o, err := options.Read[options.Delivery](d.User.View)
	if err != nil {
		return err
	}
	name := d.Mailbox
	if name == "" {
		name = namespace.Inbox
	}
	err = d.save(ctx, name, m, &o)
	d.tell(&o, m, began, name, err)
	if err == nil || name == namespace.Inbox || errors.Is(err, context.Canceled) {
		return err
	}
	err = d.save(ctx, namespace.Inbox, m, &o)
	d.tell(&o, m, began, namespace.Inbox, err)
	return err
}

func (d *Delivery) save(ctx context.Context, name string, m *Message, o *options.Delivery) error {
	text, virtual, err := m.stored(d.User)
	if err != nil {
		return err
	}
	limits, err := quota.Open(d.User, d.Hub)
	if err != nil {
		return err
	}
	err = limits.Allow(ctx, name, text.Size(), virtual, true)
	if full := (*quota.FullError)(nil); errors.As(err, &full) {
		return err
	}
	if err != nil {
		d.Log(slog.LevelError, err.Error()+" - saving mail anyway")
	}
	store, at, err := d.find(ctx, name)
	if err != nil {
		return err
	}
	message := func() watch.Message {
		return watch.Message{Message: formats.Message{Flags: formats.Recent, Detail: formats.Detail{InternalDate: time.Now()}},
			Body: io.NewSectionReader(text, 0, text.Size()), Size: text.Size()}
	}
	first, err := d.Hub.Deliver(ctx, store, at.Name, message, m.first)
	if errors.Is(err, formats.ErrNoMailbox) && o.LDAMailboxAutocreate {
		if err := d.create(ctx, name, at, o); err != nil {
			return err
		}
		first, err = d.Hub.Deliver(ctx, store, at.Name, message, m.first)
	}
	if err != nil {
		return err
	}
	if m.first == nil {
		m.first = first
	} else {
		first.Close() // its bytes are where they are meant to be
	}
	if err := limits.Added(ctx, name, text.Size(), virtual); err != nil {
		d.Log(slog.LevelError, "quota: "+err.Error())
	}
	return nil
}

// OverQuota tells, before there is a message, whether a user has too much mail for any: a *quota.FullError then.
func OverQuota(ctx context.Context, u *namespace.User, hub *watch.Hub) error {
	limits, err := quota.Open(u, hub)
	if err != nil {
		return err
	}
	return limits.Allow(ctx, namespace.Inbox, 0, 0, true)
}

// find gives where a mailbox is, which need not exist.
func (d *Delivery) find(ctx context.Context, name string) (formats.Store, namespace.Mailbox, error) {
	at, err := d.User.Find(name)
	if err != nil {
		return nil, at, err
	}
	store, err := at.Prepare(ctx)
	return store, at, err
}

func (d *Delivery) create(ctx context.Context, name string, at namespace.Mailbox, o *options.Delivery) error {
	if _, err := d.User.Create(ctx, name); err != nil && !errors.Is(err, formats.ErrExists) {
		return err
	}
	if o.LDAMailboxAutosubscribe {
		return at.Subscribe(ctx, true)
	}
	return nil
}

// original is the recipient before the MTA's aliases, as far as anybody knows him.
func (d *Delivery) original(m *Message, header string) string {
	if d.Was == "" && header != "" {
		d.Was = m.addressIn(header)
	}
	return cmp.Or(d.Was, d.To)
}

// addressIn is the first address in the first field of a name.
func (m *Message) addressIn(name string) string {
	header := make([]byte, min(maxHeader, m.Text.Size()))
	n, _ := m.Text.ReadAt(header, 0) // what cannot be read fails when it is saved
	for f := range parsed.Fields(header[:n]) {
		if f.Is(strings.ToUpper(name)) {
			return address(parsed.AppendUnfolded(nil, f.Value))
		}
	}
	return ""
}

// tell logs what became of it (deliver_log_format).
func (d *Delivery) tell(o *options.Delivery, m *Message, began time.Time, name string, err error) {
	text := "saved mail to " + sanitized(name, 80)
	level := slog.LevelInfo
	if err != nil {
		text = fmt.Sprintf("save failed to %s: %v", sanitized(name, 80), err)
	}
	size := int64(len(m.Head)) + m.Text.Size()
	line, failed := o.DeliverLogFormat.Expand(func(key string) (string, error) {
		switch key {
		case "$", "message":
			return text, nil
		case "m", "msgid":
			return m.read().id, nil
		case "s", "subject":
			return m.read().subject, nil
		case "f", "from":
			return m.read().from, nil
		case "e", "from_envelope":
			return m.From, nil
		case "p", "size", "w", "vsize":
			return fmt.Sprint(size), nil
		case "delivery_time":
			return fmt.Sprint(time.Since(began).Milliseconds()), nil
		case "session_time":
			return fmt.Sprint(began.Sub(d.Began).Milliseconds()), nil
		case "to_envelope":
			return d.original(m, o.LDAOriginalRecipientHeader), nil
		case "storage_id":
			return "", nil
		case "session":
			return d.Session, nil
		}
		if d.Lookup != nil {
			return d.Lookup(key)
		}
		return "", variable.ErrUnknown
	})
	if failed != nil {
		line = "msgid=" + m.read().id + ": " + text
	}
	if line != "" {
		d.Log(level, line)
	}
}
