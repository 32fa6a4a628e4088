package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestTheDigestIsOfTheMessageWithCRLF(t *testing.T) {
	for _, tc := range []struct{ name, stored, want string }{
		{"LF becomes CRLF", "a\nb\n", "a\r\nb\r\n"},
		{"CRLF stays", "a\r\nb\r\n", "a\r\nb\r\n"},
		{"both in one message", "a\nb\r\n\nc", "a\r\nb\r\n\r\nc"},
		{"a lone CR stays", "a\rb\r\r\n", "a\rb\r\r\n"},
		{"nothing", "", ""},
	} {
		for cut := range len(tc.stored) + 1 { // wherever the writes are cut
			w := crlfWriter{hash: sha256.New()}
			w.Write([]byte(tc.stored[:cut]))
			w.Write([]byte(tc.stored[cut:]))
			want := sha256.Sum256([]byte(tc.want))
			if !bytes.Equal(w.hash.Sum(nil), want[:]) || w.written != int64(len(tc.want)) {
				t.Errorf("%s, cut at %d: %d bytes, want those of %q", tc.name, cut, w.written, tc.want)
			}
		}
	}
}

func TestParseUIDs(t *testing.T) {
	for in, want := range map[string]string{
		"3":          "3",
		"3,17:20":    "3,17:20",
		"20:17,3":    "3,17:20",
		"30:*":       "30:4294967295",
		"":           "error",
		"0":          "error",
		"1:":         "error",
		"4294967296": "error",
		"1;2":        "error",
	} {
		set, err := parseUIDs(in)
		got := set.String()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestFieldsAlsoHaveDoveadmsNames(t *testing.T) {
	chosen, err := chooseFields([]string{"uid", "date.received", "size.virtual"})
	if err != nil || fmt.Sprint(chosen[0].name, chosen[1].name, chosen[2].name) != "uiddatevsize" {
		t.Errorf("got %+v, %v", chosen, err)
	}
	if _, err := chooseFields([]string{""}); err == nil {
		t.Error("the empty name is no field")
	}
}
