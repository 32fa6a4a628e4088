package formatstest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"testing"

	"dovetail/formats"
)

// testBodies carries odd contents, each with a plain message before and behind it.
func testBodies(t *testing.T, b *bench) {
	b.create("Box", like())
	odd := oddBodies()
	odd["empty"] = []byte{}
	var mails []Mail
	names := slices.Sorted(maps.Keys(odd))
	for i, name := range names {
		plain, m := Sample(2*i+1), Sample(2*i+2)
		m.Content = odd[name]
		mails = append(mails, plain, m)
	}
	mails = append(mails, Sample(2*len(names)+1))
	b.add("Box", mails...)
	b.reopen()
	got := list(t, b.box("Box"), formats.WantAll)
	if len(got) != len(mails) {
		t.Fatalf("%d messages, want %d", len(got), len(mails))
	}
	for i, m := range got {
		name := "plain"
		if i%2 == 1 {
			name = names[i/2]
		}
		sameMessage(t, name, b.limits, m, mails[i])
		sameBody(t, name, b.limits, b.box("Box"), m, mails[i].Content)
	}
}

// sameBody reads a body in every way there is.
func sameBody(t testing.TB, when string, limits formats.Limits, box formats.Mailbox, m formats.Message, content []byte) {
	t.Helper()
	want := stored(limits, content)
	listed := m
	body, err := box.Body(t.Context(), &m)
	if err != nil {
		t.Errorf("%s: uid %d: body: %v", when, m.UID, err)
		return
	}
	defer body.Close()
	var whole bytes.Buffer
	n, err := body.WriteTo(&whole)
	if err != nil || n != int64(whole.Len()) || body.Size() != n {
		t.Errorf("%s: uid %d: WriteTo gave %d bytes and says %d, %v; Size says %d", when, m.UID, whole.Len(), n, err, body.Size())
	}
	if !bytes.Equal(whole.Bytes(), want) {
		t.Errorf("%s: uid %d: got %s, want %s", when, m.UID, short(whole.Bytes()), short(want))
	}
	if m.Size != body.Size() || m.GUID != listed.GUID || !m.InternalDate.Equal(listed.InternalDate) || m.POP3UIDL != listed.POP3UIDL || m.POP3Order != listed.POP3Order {
		t.Errorf("%s: uid %d: Body filled in %+v, the listing %+v", when, m.UID, m.Detail, listed.Detail)
	}
	readParts(t, when, body, want)
}

// readParts reads at the edges and over them.
func readParts(t testing.TB, when string, body formats.Body, want []byte) {
	t.Helper()
	size := int64(len(want))
	for _, off := range []int64{0, size / 2, max(size-3, 0), size, size + 10} {
		p := make([]byte, 7)
		n, err := body.ReadAt(p, off)
		part := want[min(off, size):min(off+7, size)]
		if !bytes.Equal(p[:n], part) || n < len(p) && !errors.Is(err, io.EOF) || n == len(p) && err != nil && err != io.EOF {
			t.Errorf("%s: ReadAt(%d) = %q, %v; want %q", when, off, p[:n], err, part)
		}
	}
}

func short(b []byte) string {
	if len(b) > 300 {
		return strconv.Quote(string(b[:150])) + "…" + strconv.Quote(string(b[len(b)-150:]))
	}
	return strconv.Quote(string(b))
}
