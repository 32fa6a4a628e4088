package message

import (
	"bytes"
	"io"
	"testing"
	"unicode/utf8"
)

// FuzzParse: whatever a message is, its parts lie within each other, and every text of it is as long as was said.
func FuzzParse(f *testing.F) {
	f.Add([]byte("From: a <b@c>\nContent-Type: multipart/mixed; boundary=b\n\nx\n--b\nContent-Transfer-Encoding: base64\n\nYQ==\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\ny\n--b--\n"))
	f.Add([]byte("Content-Type: multipart/digest; boundary=\"\"\r\n\r\n--\r\n\r\na\x00\r\n----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(text)
		m, err := Parse(r, int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if size := m.Tree.Size(); size.Stored != int64(len(text)) {
			t.Fatalf("%q: %d bytes are in the tree", text, size.Stored)
		}
		for i, p := range m.Tree {
			parent := m.Tree[p.Parent]
			if i > 0 && (int(p.Parent) >= i || p.Offset < parent.Offset || p.Offset+p.Header.Stored+p.Body.Stored > parent.Offset+parent.Header.Stored+parent.Body.Stored) {
				t.Fatalf("%q: part %d %+v is not inside of %+v", text, i, p, parent)
			}
		}
		m.AppendEnvelope(nil)
		m.AppendBody(nil)
		m.AppendBodyStructure(nil)
		if s, err := m.Preview(r); err != nil || !utf8.ValidString(s) {
			t.Fatalf("%q: preview %q, %v", text, s, err)
		}
		src := NewSource(r, m.Tree)
		for _, path := range [][]uint32{nil, {1}, {2}, {1, 1}, {2, 1}} {
			for which := Whole; which <= BodyText; which++ {
				check(t, text, src, Section{Part: path, Which: which, Fields: []string{"from"}})
			}
			if x, err := src.Binary(path, Range{1, 50}); err == nil {
				written(t, text, x)
			}
		}
		for part := range m.Tree {
			if err := m.WriteText(io.Discard, r, int32(part)); err != nil {
				t.Fatal(err)
			}
			for f, err := range src.HeaderFields(int32(part)) {
				if err != nil || !utf8.Valid(f.Decoded(nil)) {
					t.Fatalf("%q: field %q is %q, %v", text, f.Name, f.Decoded(nil), err)
				}
			}
		}
	})
}

// check compares a range with the same range of the whole.
func check(t *testing.T, text []byte, src *Source, s Section) {
	t.Helper()
	whole, err := src.Section(s, All)
	if err != nil {
		t.Fatal(err)
	}
	all := written(t, text, whole)
	for _, r := range []Range{{0, 7}, {3, 20}, {9, 1}, {1 << 40, 5}} {
		x, err := src.Section(s, r)
		if err != nil {
			t.Fatal(err)
		}
		from := min(int(r.Offset), len(all))
		want := all[from:min(from+int(r.Length), len(all))]
		if got := written(t, text, x); !bytes.Equal(got, want) {
			t.Fatalf("%q: %+v from %d is %q, not %q", text, s, r.Offset, got, want)
		}
	}
}

func written(t *testing.T, text []byte, x *Text) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := x.WriteTo(&b); err != nil || n != x.Size() || n != int64(b.Len()) {
		t.Fatalf("%q: a text of %d bytes gave %d, %v", text, x.Size(), b.Len(), err)
	}
	return b.Bytes()
}

// FuzzValues: nothing in a header's value makes any reader of it panic, and UTF-8 comes out.
func FuzzValues(f *testing.F) {
	f.Add([]byte(`"a" <b@c>, d: e@f;, =?utf-8?Q?x=20?= (y)`))
	f.Add([]byte("Re: [x] [Fwd: =?iso-2022-jp?B?GyRCJUYbKEI=?=] (fwd)"))
	f.Add([]byte("Mon, 1 Jan 2024 10:11:12 +0100"))
	f.Add([]byte(`<a@b> <"c"@d> <e(f)@g>`))
	f.Fuzz(func(t *testing.T, value []byte) {
		ParseAddresses(value, 0)
		FirstAddress(value)
		ParseDate(value)
		MessageIDs(value)
		if base, _ := BaseSubject(value); !utf8.Valid(base) {
			t.Fatalf("%q: base subject %q", value, base)
		}
		if d := DecodeHeader(nil, value); !utf8.Valid(d) {
			t.Fatalf("%q: decoded %q", value, d)
		}
		h := htmlText{w: io.Discard}
		h.Write(value)
	})
}
