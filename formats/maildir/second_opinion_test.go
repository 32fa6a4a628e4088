package maildir

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"dovetail/formats"

	"github.com/emersion/go-maildir"
)

// TestAnotherLibraryReadsWhatWasAppended asks go-maildir, which knows neither lists nor keywords, for flags and bodies.
func TestAnotherLibraryReadsWhatWasAppended(t *testing.T) {
	root := filepath.Join(t.TempDir(), "m")
	s := openStore(t, Options{Root: root, Create: true})
	if err := s.Create(t.Context(), "INBOX", formats.Status{}); err != nil {
		t.Fatal(err)
	}
	list, bodies := awkward()
	update(t, openBox(t, s, "INBOX"), func(tx formats.Tx) error {
		for i := range list {
			if err := tx.Append(t.Context(), list[i], newBody(bodies[i])); err != nil {
				return err
			}
		}
		return nil
	})
	theirs := map[maildir.Flag]formats.Flags{maildir.FlagDraft: formats.Draft, maildir.FlagFlagged: formats.Flagged,
		maildir.FlagReplied: formats.Answered, maildir.FlagSeen: formats.Seen, maildir.FlagTrashed: formats.Deleted}
	var got, want []string
	found, err := maildir.Dir(root).Messages()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		var flags formats.Flags
		for _, f := range m.Flags() {
			flags |= theirs[f]
		}
		r, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(flags, string(text)))
	}
	for i := range list {
		want = append(want, fmt.Sprint(list[i].Flags, bodies[i]))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("go-maildir reads %.300q\nwant %.300q", got, want)
	}
}
