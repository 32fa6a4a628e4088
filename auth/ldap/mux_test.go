package ldap

import (
	"bytes"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// answers are messages as a server writes them, behind their ids.
var answers = map[string]string{
	"an entry":           "\x64\x18\x04\x04cn=a\x30\x10\x30\x0e\x04\x03uid\x31\x07\x04\x01a\x04\x02bc",
	"an end":             "\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
	"an end with words":  "\x65\x0b\x0a\x01\x20\x04\x02dc\x04\x02no",
	"a reference":        "\x73\x05\x04\x03l:/",
	"a cut entry":        "\x64\x18\x04\x04cn=a\x30\x10\x30\x0e\x04\x03uid",
	"an indefinite form": "\x65\x80\x0a\x01\x00\x04\x00\x04\x00\x00\x00",
	"a long form":        "\x65\x82\x00\x07\x0a\x01\x00\x04\x00\x04\x00",
	"too long a length":  "\x65\x85\x00\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00",
	"another operation":  "\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
	"nothing":            "",
}

func TestAnswersAreReadOrRefused(t *testing.T) {
	for name, want := range map[string]struct {
		over bool
		code uint16
		err  error
	}{
		"an entry": {}, "an end": {over: true}, "an end with words": {over: true, code: ldap.LDAPResultNoSuchObject}, "a reference": {},
		"a cut entry": {over: true, err: errMalformed}, "an indefinite form": {over: true, err: errMalformed}, "a long form": {over: true},
		"too long a length": {over: true, err: errMalformed}, "another operation": {over: true, err: errMalformed}, "nothing": {over: true, err: errMalformed},
	} {
		var got ldap.SearchResult
		over, err := readAnswer([]byte(answers[name]), &got)
		code, _ := answer(err)
		if over != want.over || code != want.code || want.err != nil && !errors.Is(err, want.err) || want.err == nil && want.code == 0 && err != nil {
			t.Errorf("%s: over %v, %v; want %+v", name, over, err, want)
		}
		entry := &ldap.Entry{DN: "cn=a", Attributes: []*ldap.EntryAttribute{{Name: "uid", Values: []string{"a", "bc"}}}}
		if name == "an entry" && (len(got.Entries) != 1 || !reflect.DeepEqual(got.Entries[0], entry)) {
			t.Errorf("%s: %+v", name, got.Entries)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, text := range answers {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r ldap.SearchResult
		if over, err := readAnswer(b, &r); !over && err != nil {
			t.Fatalf("%q goes on after %v", b, err)
		}
	})
}

// Messages of the library go through as they are; ours do not, and who asked gets them.
func TestMessagesAreToldApart(t *testing.T) {
	server, client := net.Pipe()
	m := newMux(client)
	theirs := []byte("\x30\x0c\x02\x01\x07\x61\x07\x0a\x01\x00\x04\x00\x04\x00")
	go func() {
		head := make([]byte, 2)
		io.ReadFull(server, head)
		request := make([]byte, head[1])
		io.ReadFull(server, request)
		id := request[:6] // tag, length, id
		for _, text := range []string{answers["an entry"], answers["an end with words"]} {
			server.Write(theirs)
			server.Write(append(append([]byte{tagSequence, byte(6 + len(text))}, id...), text...))
		}
		server.Write(theirs)
		server.Close()
	}()
	passed := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(m)
		passed <- all
	}()
	r, err := m.search(t.Context(), time.Minute, &ldap.SearchRequest{BaseDN: "dc=x", Filter: "(uid=a)", Attributes: []string{"uid"}})
	if code, _ := answer(err); code != ldap.LDAPResultNoSuchObject || len(r.Entries) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := <-passed; !bytes.Equal(got, bytes.Repeat(theirs, 3)) {
		t.Errorf("the library got %q", got)
	}
	if _, err := m.search(t.Context(), time.Minute, &ldap.SearchRequest{Filter: "(uid=a)"}); !lost(err) {
		t.Errorf("after the end: %v", err)
	}
}

func TestWhatIsNoMessageEndsTheConnection(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 400 Bad Request\r\n", "\x30\x80\x02\x01\x01", "\x30\x01\x02\x01\x01", "\x30\x84\xff\xff\xff\xff\x02\x04\x40\x00\x00\x02", "\x30\x0c\x02\x01"} {
		server, client := net.Pipe()
		m := newMux(client)
		go func() {
			io.WriteString(server, text)
			server.Close()
		}()
		if all, err := io.ReadAll(m); err == nil || len(all) > 0 {
			t.Errorf("%q: the library got %q, %v", text, all, err)
		}
		client.Close()
	}
}
