package pop3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"dovetail/formats"
	"dovetail/formats/conf/variable"
	"dovetail/formats/parsed"
)

func (s *session) uidl(_ context.Context, args string) bool {
	d := s.drop
	if args != "" {
		n, _, ok := s.number(args, false)
		if !ok {
			return false
		}
		id, err := d.id(n)
		if errors.Is(err, formats.ErrNoMessage) {
			return s.vanished(n)
		}
		if err != nil {
			s.unlisted(err)
			return true
		}
		s.ok(strconv.Itoa(n) + " " + id)
		return true
	}
	s.out.Line("+OK")
	var line []byte
	for i := range d.messages {
		if d.messages[i].deleted {
			continue
		}
		id, err := d.id(i + 1)
		if errors.Is(err, formats.ErrNoMessage) {
			continue
		}
		if err != nil {
			s.unlisted(err)
			return true
		}
		line = strconv.AppendInt(line[:0], int64(i+1), 10)
		line = append(append(line, ' '), id...)
		s.out.Write(append(line, '\r', '\n'))
	}
	s.out.Line(".")
	return true
}

// unlisted ends a session whose messages cannot be named: a list with holes would make clients download everything anew.
func (s *session) unlisted(err error) {
	s.log(slog.LevelError, "UIDL: "+err.Error())
	s.end("POP3 UIDLs couldn't be listed")
}

// needsAll tells whether ids must be known for all messages to give one: duplicates get a suffix, or a change of them is
// logged at the end.
func (d *maildrop) needsAll() bool {
	if d.s.o.UIDLDuplicates == "rename" {
		return true
	}
	t, err := d.s.o.LogoutFormat.Parse()
	return err == nil && (slices.Contains(t.Variables(), "u") || slices.Contains(t.Variables(), "uidl_change"))
}

// id is the UIDL of a message.
func (d *maildrop) id(n int) (string, error) {
	if d.uidls == nil && d.needsAll() {
		if err := d.nameAll(); err != nil {
			return "", err
		}
	}
	if d.uidls != nil {
		return d.uidls[n-1], nil
	}
	m := &d.messages[n-1]
	id, err := d.idOf(m)
	d.keep(m, id, err)
	return id, err
}

// nameAll finds out all ids. Of several that are equal, those of higher UIDs get "-2", "-3" behind them if
// pop3_uidl_duplicates = rename.
func (d *maildrop) nameAll() error {
	order := make([]int, len(d.messages))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(int64(d.messages[a].uid) - int64(d.messages[b].uid)) })
	uidls := make([]string, len(d.messages))
	times := map[string]int{}
	for _, i := range order {
		m := &d.messages[i]
		id, err := d.idOf(m)
		if err != nil {
			return err
		}
		for d.s.o.UIDLDuplicates == "rename" && times[id] > 0 {
			times[id]++
			id += "-" + strconv.Itoa(times[id])
		}
		times[id] = 1
		uidls[i] = id
		d.keep(m, id, nil)
	}
	d.uidls = uidls
	return nil
}

// keep has an id stored at the end of the session if that is wanted, and there is none yet.
func (d *maildrop) keep(m *mail, id string, err error) {
	if !d.s.o.SaveUIDL || m.uidl != "" || err != nil {
		return
	}
	if d.saved == nil {
		d.saved = make(map[formats.UID]string)
	}
	d.saved[m.uid] = id
}

// idOf is what the store holds, or what an X-UIDL field says if that is wanted, or pop3_uidl_format.
func (d *maildrop) idOf(m *mail) (string, error) {
	if m.uidl != "" {
		return m.uidl, nil
	}
	if d.s.o.ReuseXUIDL {
		if id, err := d.field(m.uid, "X-UIDL"); err != nil || id != "" {
			return id, err
		}
	}
	if d.format == nil {
		var err error
		if d.format, err = d.s.o.UIDLFormat.Parse(); err != nil {
			return "", err
		}
	}
	id, err := d.format.Expand(func(name string) (string, error) { return d.part(m.uid, name) })
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", errors.New("pop3_uidl_format gives nothing")
	}
	return id, nil
}

// part is the value of a variable of pop3_uidl_format.
func (d *maildrop) part(uid formats.UID, name string) (string, error) {
	switch name {
	case "u", "uid":
		return strconv.FormatUint(uint64(uid), 10), nil
	case "v", "uidvalidity":
		return strconv.FormatUint(uint64(d.view.Status.UIDValidity), 10), nil
	case "g", "guid":
		return d.special(uid, "GUID", "%g", func() (string, error) { return d.guid(uid) })
	case "f", "filename":
		return d.special(uid, "File name", "%f", func() (string, error) {
			if files, ok := d.box.Mailbox.(formats.FileNamer); ok {
				return files.FileName(d.ctx, uid)
			}
			return "", nil
		})
	case "m", "md5":
		return d.special(uid, "Header MD5", "%m", func() (string, error) {
			if d.store != "mbox" {
				return "", nil
			}
			return d.guid(uid) // which is that sum there
		})
	}
	return "", variable.ErrUnknown
}

func (d *maildrop) guid(uid formats.UID) (string, error) {
	m := formats.Message{UID: uid, Detail: formats.Detail{VirtualSize: -1}}
	body, err := d.box.Body(d.ctx, &m)
	if err != nil {
		return "", err
	}
	return m.GUID, body.Close()
}

func (d *maildrop) special(uid formats.UID, what, letter string, get func() (string, error)) (string, error) {
	value, err := get()
	switch {
	case err != nil:
		return "", fmt.Errorf("%s lookup failed: UID %d: %w", what, uid, err)
	case value == "":
		return "", fmt.Errorf("%s not found (pop3_uidl_format=%s not supported by storage?)", what, letter)
	}
	return value, nil
}

// maxHeader bounds how much of a message is read for one field.
const maxHeader = 64 << 10

// field gives the first field of that name, upper case, without white space around it.
func (d *maildrop) field(uid formats.UID, name string) (string, error) {
	body, err := d.body(uid)
	if err != nil {
		return "", err
	}
	defer body.Close()
	header := make([]byte, min(maxHeader, body.Size()))
	if len(header) == 0 {
		return "", nil
	}
	n, err := body.ReadAt(header, 0)
	if n == 0 {
		return "", err
	}
	for f := range parsed.Fields(header[:n]) {
		if f.Is(name) {
			return string(parsed.AppendUnfolded(nil, f.Value)), nil
		}
	}
	return "", nil
}
