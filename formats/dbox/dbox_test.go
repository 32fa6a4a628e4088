package dbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"dovetail/formats"
)

// golden is a file as Dovecot 2.3 and 2.4 read it without a complaint.
const golden = "2 M1e C6553f101\n" +
	"\x01\x02N          000000000000000f\n" +
	"Subject: v\n\nhi\n" +
	"\n\x01\x03\n" +
	"R5f5e1000\nV12\nGa0a1a2a3a4a5a6a7a8a9aaabacadaeaf\n\n"

func write(t testing.TB, created uint64, body string, m Metadata) []byte {
	t.Helper()
	b := AppendFileHeader(nil, created)
	b = AppendMessageHeader(b, int64(len(body)))
	b, err := m.Append(append(b, body...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(b []byte) (FileHeader, Message, error) {
	r := bytes.NewReader(b)
	h, err := ReadFileHeader(r)
	if err != nil {
		return h, Message{}, err
	}
	m, err := h.ReadMessage(r, int64(h.Size), int64(len(b)))
	return h, m, err
}

func TestTheGoldenFileIsWrittenByteForByte(t *testing.T) {
	m := NoMetadata()
	m.Received, m.VirtualSize, m.GUID = 1600000000, 18, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	got := write(t, 1700000001, "Subject: v\n\nhi\n", m)
	if string(got) != golden {
		t.Errorf("wrote\n%q, want\n%q", got, golden)
	}
}

func TestTheGoldenFileIsRead(t *testing.T) {
	h, m, err := read([]byte(golden))
	if err != nil {
		t.Fatal(err)
	}
	want := Message{Offset: 16, Body: 46, StoredSize: 15, End: int64(len(golden)), Metadata: Metadata{
		Plain: Absent, Received: 1600000000, VirtualSize: 18, GUID: "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v, want %+v", m, want)
	}
	if want := (FileHeader{Version: 2, MessageHeader: 30, Created: 1700000001, Size: 16}); h != want {
		t.Errorf("got %+v, want %+v", h, want)
	}
}

func TestEveryKeyIsWrittenInDovecotsOrderAndUnknownOnesKept(t *testing.T) {
	m := Metadata{Plain: 31, Received: -86400, VirtualSize: 33, POP3UIDL: "uidl 1", POP3Order: 7, GUID: "free text",
		Mailbox: "INBOX", Attachments: "1 2 - a", Other: []string{"Yfuture", "Rsecond", "Qx"}}
	got, err := m.Append(nil)
	want := "\n\x01\x03\nZ1f\nRfffffffffffeae80\nV21\nPuidl 1\nO7\nGfree text\nBINBOX\nX1 2 - a\nYfuture\nRsecond\nQx\n\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	again := NoMetadata()
	if n, err := again.readFrom(bytes.NewReader(got), 0); err != nil || n != len(got) || !reflect.DeepEqual(again, m) {
		t.Errorf("read again %+v, %d bytes, %v, want %+v", again, n, err, m)
	}
}

func TestLongMetadataIsReadWhole(t *testing.T) {
	m := NoMetadata()
	m.Attachments = strings.Repeat("1 2 - a/b ", 5000) + "1 2 - z"
	_, got, err := read(write(t, 1, "x", m))
	if err != nil || got.Attachments != m.Attachments {
		t.Errorf("%d bytes came back, want %d: %v", len(got.Attachments), len(m.Attachments), err)
	}
}

func TestAValueWithALineEndIsRefused(t *testing.T) {
	m := NoMetadata()
	m.POP3UIDL = "a\nGforged"
	if b, err := m.Append(nil); err == nil {
		t.Errorf("wrote %q", b)
	}
}

func TestOldVersionsAreRead(t *testing.T) {
	_, m, err := read([]byte("1 A0000000000000010 M1e C4a\n\x01\x02N          0000000000000002\nhi\n\x01\x03\nR1\nS2\n   \n"))
	if err != nil || m.Received != 1 || !reflect.DeepEqual(m.Other, []string{"S2"}) || m.StoredSize != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestDamageIsReportedWithItsByte(t *testing.T) {
	cut := func(n int) string { return golden[:n] }
	put := func(at int, s string) string { return golden[:at] + s + golden[at+len(s):] }
	for _, c := range []struct {
		name, file string
		offset     int64
		want       string
	}{
		{"an empty file", "", 0, "no file header line"},
		{"another version", put(0, "3"), 0, "dbox version"},
		{"no header size", "2 C1\n", 0, "message headers of 0 bytes"},
		{"a header size beyond reason", "2 Mffffff C1\n", 0, "message headers of 16777215 bytes"},
		{"a header size that is no number", "2 Mxy C1\n", 0, "file header field"},
		{"a file that ends in the message header", cut(30), 30, "file ends"},
		{"no magic before the message", put(16, "x"), 16, "magic missing"},
		{"no line end after the size", put(45, "x"), 45, "no line end"},
		{"a size that is no number", put(30, "zz"), 29, "size"},
		{"a size of 4 GiB", put(36, "f"), 29, "in a file that has"},
		{"a size that is too small", put(44, "e"), 60, "magic missing"},
		{"a file that ends in the message", cut(50), 29, "message of 15 bytes in a file that has 4 left"},
		{"a file that ends in the metadata", cut(len(golden) - 1), int64(len(golden)) - 1, "file ends before"},
	} {
		_, _, err := read([]byte(c.file))
		var at *OffsetError
		if !errors.As(err, &at) || !errors.Is(err, formats.ErrCorrupt) || at.Offset != c.offset || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q at byte %d", c.name, err, c.want, c.offset)
		}
	}
}

func TestTheMessageIsKnownWhenOnlyItsMetadataIsDamaged(t *testing.T) {
	_, m, err := read([]byte(golden[:61]))
	if err == nil || m.Body != 46 || m.StoredSize != 15 {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestAttachmentsAreParsedOrRefused(t *testing.T) {
	got, err := ParseAttachments("10 5 - aa/bb/x 20 8 B76 c 40 9 CB72 d")
	want := []Attachment{{Offset: 10, Size: 5, Path: "aa/bb/x"}, {Offset: 20, Size: 8, Base64: 76, Path: "c"},
		{Offset: 40, Size: 9, Base64: 72, CRLF: true, Path: "d"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", "1 2 -", "x 2 - a", "1 -2 - a", "1 2 B0 a", "1 2 B3 a", "1 2 Q a", "1 2 - ", "1 2 - /etc/passwd",
		"1 2 - ../a", "1 2 - a/../../b", "1 2 - a//b", "10 5 - a 12 1 - b"} {
		if got, err := ParseAttachments(bad); !errors.Is(err, formats.ErrCorrupt) {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
}

func TestInlineRebuildsTheMessage(t *testing.T) {
	files := map[string]string{"raw": "RAW", "b": "Hello, World"}
	open := func(name string) (io.ReadCloser, error) {
		s, ok := files[name]
		if !ok {
			return nil, os.ErrNotExist
		}
		return io.NopCloser(strings.NewReader(s)), nil
	}
	for _, c := range []struct{ name, stored, refs, want string }{
		{"as it is", "ab\ncd\n", "3 3 - raw", "ab\nRAWcd\n"},
		{"base64 with LF", "ab\n\ncd\n", "3 17 B8 b", "ab\nSGVsbG8s\nIFdvcmxk\ncd\n"},
		{"base64 with CRLF", "ab\n\ncd\n", "3 18 CB8 b", "ab\nSGVsbG8s\r\nIFdvcmxk\ncd\n"},
		{"a last line that is full", "x", "1 16 B16 b", "xSGVsbG8sIFdvcmxk"},
		{"two parts", "[-]", "1 3 - raw 5 3 - raw", "[RAW-RAW]"},
		{"a part with another size", "x", "1 4 - raw", "gave 3 bytes, not 4"},
		{"a part that is missing", "x", "1 4 - gone", "not exist"},
		{"a message that ends too early", "x", "5 3 - raw", "before the attachment at byte 5"},
		{"a message with another size", "xyz", "1 3 - raw", "not 7"},
	} {
		parts, err := ParseAttachments(c.refs)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		size := int64(len(c.want))
		if strings.HasPrefix(c.want, "not") {
			size = 7
		}
		var got bytes.Buffer
		if err = Inline(&got, strings.NewReader(c.stored), parts, size, open); err != nil {
			got.Reset()
			got.WriteString(err.Error())
		}
		if err == nil && got.String() != c.want || !strings.Contains(got.String(), c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got.String(), c.want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("1 A10 M1e C4a\n\x01\x02N          0000000000000002\nhi\n\x01\x03\nR1\nS2\n   \n"))
	f.Add([]byte("2 M1e C1\n\x01\x02N          0000000000000000\n\n\x01\x03\nZ1f\nPu\nO7\nBINBOX\nX1 2 - a\nYq\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, m, err := read(b)
		if err != nil {
			if !errors.Is(err, formats.ErrCorrupt) {
				t.Fatalf("%q: %v is not corrupt", b, err)
			}
			return
		}
		body := string(b[m.Body : m.Body+m.StoredSize])
		out := write(t, 1, body, m.Metadata)
		_, again, err := read(out)
		if err != nil || !reflect.DeepEqual(again.Metadata, m.Metadata) || again.End != int64(len(out)) {
			t.Fatalf("%q gave %+v, written and read again %+v, %v", b, m.Metadata, again.Metadata, err)
		}
	})
}

func FuzzAttachments(f *testing.F) {
	f.Add("10 5 - aa/bb/x 20 8 B76 c 40 9 CB72 d", "stored")
	f.Fuzz(func(t *testing.T, refs, stored string) {
		parts, err := ParseAttachments(refs)
		if err != nil || len(parts) > 8 {
			return
		}
		open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("0123456789")), nil }
		Inline(io.Discard, strings.NewReader(stored), parts, 100, open)
	})
}
