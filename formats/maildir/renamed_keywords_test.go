package maildir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/maildir"
)

// TestKeywordsThatAnotherProgramRenamedAreShownAsDovecotDoes: the list of names is the file's word against the index's.
func TestKeywordsThatAnotherProgramRenamedAreShownAsDovecotDoes(t *testing.T) {
	for _, c := range []struct {
		name, list string
		keywords   []string // of three messages that had $A, $B, and $A and $C; nil: see lost
		lost       bool     // Dovecot forgets the names, we keep them beside
	}{
		{"renamed", "0 $X\n1 $B\n2 $C\n", []string{"$X", "$B", "$C $X"}, false},
		{"in another order", "0 $B\n1 $A\n2 $C\n", []string{"$B", "$A", "$B $C"}, false},
		{"lines in another order", "2 $C\n1 $B\n0 $A\n", []string{"$A", "$B", "$A $C"}, false},
		{"one is gone", "0 $A\n2 $C\n", []string{"$A", "$B unknown-1", "$A $C"}, true},
		{"empty", "", []string{"$A unknown-0", "$B unknown-1", "$A $C unknown-0 unknown-2"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(dovecot.TempDir(t), "mail")
			j := dovecot.New(t, "maildir:"+root)
			session := j.IMAP()
			for _, keywords := range []string{"$A", "$B", "$A $C"} {
				session.Append("INBOX", keywords, "", "Subject: x\r\n\r\nx\r\n")
			}
			session.Close()
			list := root + "/dovecot-keywords"
			if err := os.WriteFile(list+".new", []byte(c.list), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(list+".new", list); err != nil {
				t.Fatal(err)
			}
			dovecot.Own(t, root)
			s, err := maildir.Open(t.Context(), maildir.Options{Root: root, FS: dovecot.FS()})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for look := range 2 { // the index knows by the second one
				if got := keywordsIn(t, s); !slices.Equal(got, c.keywords) {
					t.Errorf("look %d: %q, want %q", look, got, c.keywords)
				}
			}
			if c.lost {
				return
			}
			var theirs []string
			for _, m := range j.Fetch("INBOX") {
				theirs = append(theirs, strings.Join(slices.Sorted(slices.Values(m.Keywords)), " "))
			}
			if !slices.Equal(theirs, c.keywords) {
				t.Errorf("Dovecot shows %q, want %q", theirs, c.keywords)
			}
			j.MustBeClean()
		})
	}
}

func keywordsIn(t *testing.T, s formats.Store) (list []string) {
	t.Helper()
	b, err := s.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for m, err := range b.Messages(t.Context(), formats.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprint(strings.Join(slices.Sorted(slices.Values(m.Keywords)), " ")))
	}
	return list
}
