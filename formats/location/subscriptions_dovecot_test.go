package location_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

// TestDovecotAndWeShareTheListOfSubscriptions lets each write what the other then reads, in both versions of the file.
func TestDovecotAndWeShareTheListOfSubscriptions(t *testing.T) {
	for i, kind := range nameKinds {
		for _, version := range []string{"fresh", "version 1"} {
			t.Run(kind.name+" "+version, func(t *testing.T) {
				j, root, ours := judged(t, i)
				file := filepath.Join(root, "subscriptions")
				if strings.HasPrefix(kind.name, "mbox") {
					file = filepath.Join(root, ".subscriptions")
				}
				if version != "fresh" {
					plant(t, file, "INBOX\n")
				}
				shareSubscriptions(t, j, openOurs(t, ours).(formats.Subscriber))
				content, err := os.ReadFile(file)
				if err != nil || strings.HasPrefix(string(content), "V\t2\n\n") != (version == "fresh") {
					t.Errorf("the file is %q, %v", content, err)
				}
				j.MustBeClean()
			})
		}
	}
}

func plant(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, filepath.Dir(file))
}

func shareSubscriptions(t *testing.T, j *dovecot.Judge, s formats.Subscriber) {
	t.Helper()
	names := []string{"INBOX", "Größe", "R&D", "Arbeit/Größe/2024", "日本語", "with space"}
	if err := formats.SetSubscriptions(t.Context(), s, names); err != nil {
		t.Fatal(err)
	}
	if got, want := j.Lsub(), slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
		t.Errorf("we wrote %q, Dovecot reads %q", want, got)
	}
	session := j.IMAP()
	session.Cmd("CREATE " + dovecot.Quote("New/Ü&x"))
	session.Cmd("SUBSCRIBE " + dovecot.Quote("New/Ü&x"))
	session.Cmd("UNSUBSCRIBE " + dovecot.Quote("Größe"))
	session.Close()
	want := append(slices.Delete(slices.Clone(names), 1, 2), "New/Ü&x")
	if got, err := s.Subscriptions(t.Context()); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("Dovecot wrote %q, we read %q, %v", want, got, err)
	}
}
