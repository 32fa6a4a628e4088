package main

import (
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/location"
	"dovetail/serve/authconf"
)

// TestTheTableOfFormatsIsTrue compares "dovetail help formats" with what the formats say of themselves.
func TestTheTableOfFormatsIsTrue(t *testing.T) {
	var table string
	for _, topic := range topics {
		if topic.name == "formats" {
			table = topic.text
		}
	}
	for column, driver := range []string{"mbox", "maildir", "courier", "sdbox"} {
		store, err := location.Open(t.Context(), location.Location{Driver: driver, Root: t.TempDir()}, location.Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		for row, cannot := range cannotHold(store.Limits()) {
			_, line, ok := strings.Cut(table, "\n  "+row+"  ")
			if !ok {
				t.Fatalf("no line %q in the table", row)
			}
			if got := strings.Fields(line)[column]; (got == "no") != cannot {
				t.Errorf("%s in %s: the table says %q", row, driver, got)
			}
		}
	}
}

func cannotHold(l formats.Limits) map[string]bool {
	return map[string]bool{
		"mailbox GUIDs": l.NoMailboxGUID, "message GUIDs": l.NoGUID, "POP3 UIDL and order": l.NoPOP3,
		"modseqs":    l.NoModSeq,
		"save dates": l.NoSaveDate, "mailboxes in others": l.NoChildren,
	}
}

// TestTheTableOfDatabasesIsTrue compares "dovetail help authentication" with what there is.
func TestTheTableOfDatabasesIsTrue(t *testing.T) {
	var told [2][]string
	for _, topic := range topics {
		if topic.name != "authentication" {
			continue
		}
		for line := range strings.Lines(topic.text) {
			w := strings.Fields(line)
			for kind := range told {
				if len(w) > 3 && (w[1] == "yes" || w[1] == "no") && w[1+kind] == "yes" {
					told[kind] = append(told[kind], w[0])
				}
			}
		}
	}
	for kind, name := range []string{"passdb", "userdb"} {
		slices.Sort(told[kind])
		if want := authconf.Drivers(name); !slices.Equal(told[kind], want) {
			t.Errorf("%s: the table has %q, there are %q", name, told[kind], want)
		}
	}
}
