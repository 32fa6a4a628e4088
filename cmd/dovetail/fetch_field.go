package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/formats"
)

// record is one message on its way to the output.
type record struct {
	formats.Message
	mailbox string
	status  formats.Status
	sum     string // sha256 of the CRLF form, "" when it was not read
	err     error
}

// field is one column of fetch.
type field struct {
	name, doveadm string
	want          formats.Want
	body          bool // needs the whole message
	value         func(*record) any
}

var fields = []field{
	{name: "mailbox", value: func(r *record) any { return r.mailbox }},
	{name: "mailboxguid", doveadm: "mailbox-guid", value: func(r *record) any { return guid(r.status.GUID) }},
	{name: "uidvalidity", value: func(r *record) any { return r.status.UIDValidity }},
	{name: "uid", value: func(r *record) any { return r.UID }},
	{name: "guid", want: formats.WantGUID, value: func(r *record) any { return r.GUID }},
	// Without \Recent, which says something of sessions and none of messages; mailbox status counts it.
	{name: "flags", value: func(r *record) any { return (r.Flags & formats.SystemFlags).Names() }},
	{name: "keywords", value: func(r *record) any { return sorted(r.Keywords) }},
	{name: "date", doveadm: "date.received", want: formats.WantDate, value: func(r *record) any { return date(r.InternalDate) }},
	{name: "saved", doveadm: "date.saved", want: formats.WantSaveDate, value: func(r *record) any { return date(r.SaveDate) }},
	{name: "modseq", value: func(r *record) any { return r.ModSeq }},
	{name: "size", doveadm: "size.physical", want: formats.WantSize, value: func(r *record) any { return r.Size }},
	{name: "vsize", doveadm: "size.virtual", want: formats.WantVirtualSize, value: func(r *record) any { return r.VirtualSize }},
	{name: "pop3uidl", doveadm: "pop3.uidl", want: formats.WantPOP3, value: func(r *record) any { return r.POP3UIDL }},
	{name: "pop3order", doveadm: "pop3.order", want: formats.WantPOP3, value: func(r *record) any { return r.POP3Order }},
	{name: "sha256", body: true, value: func(r *record) any { return r.sum }},
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// chooseFields gives the named fields in that order; all of them for no names.
func chooseFields(names []string) ([]field, error) {
	if len(names) == 0 {
		return fields, nil
	}
	chosen := make([]field, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(fields, func(f field) bool { return name == f.name || name == f.doveadm && name != "" })
		if i < 0 {
			return nil, usagef("no such field: %s (there are %s)", name, strings.Join(fieldNames(), " "))
		}
		chosen = append(chosen, fields[i])
	}
	return chosen, nil
}

// sorted makes the same set the same text in every format.
func sorted(keywords []string) []string {
	s := append([]string{}, keywords...)
	slices.Sort(s)
	return s
}

func guid(g formats.GUID) string {
	if g.IsZero() {
		return ""
	}
	return g.String()
}

// date is RFC 3339, nil where there is none.
func date(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format(time.RFC3339)
}

// object is the JSON object of a message with its fields in the order chosen.
func (r *record) object(chosen []field) json.Marshaler {
	var o orderedObject
	for _, f := range chosen {
		o = append(o, member{f.name, f.value(r)})
	}
	if r.err != nil {
		o = append(o, member{"err", r.err.Error()})
	}
	return o
}

type member struct {
	name  string
	value any
}

// orderedObject is a JSON object that keeps the order of its members.
type orderedObject []member

// MarshalJSON implements json.Marshaler.
func (o orderedObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(m.name) + ":")
		if err := encoder.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// text is a value in the form for people.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []string:
		return strings.Join(v, " ")
	}
	return fmt.Sprint(v)
}

// digest reads the message and computes its checksum and true sizes.
func (r *record) digest(body formats.Body) error {
	w := crlfWriter{hash: sha256.New()}
	n, err := body.WriteTo(&w)
	if err != nil {
		return err
	}
	r.Size, r.VirtualSize, r.sum = n, w.written, hex.EncodeToString(w.hash.Sum(nil))
	return nil
}

// crlfWriter hashes what is written to it with every line end as CRLF.
type crlfWriter struct {
	hash    hash.Hash
	written int64
	last    byte
}

func (w *crlfWriter) Write(p []byte) (int, error) {
	rest := p
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			w.put(rest)
			return len(p), nil
		}
		w.put(rest[:i])
		if w.last != '\r' {
			w.put([]byte("\r"))
		}
		w.put(rest[i : i+1])
		rest = rest[i+1:]
	}
}

func (w *crlfWriter) put(p []byte) {
	if len(p) == 0 {
		return
	}
	w.hash.Write(p)
	w.written += int64(len(p))
	w.last = p[len(p)-1]
}
