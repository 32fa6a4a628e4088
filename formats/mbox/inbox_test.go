package mbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAnInboxSetToAFileOfTheTreeIsListedOnce(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"mine", "other"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), Options{Root: root, Inbox: filepath.Join(root, "mine")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	infos, err := s.Mailboxes(t.Context())
	if err != nil || len(infos) != 2 || infos[0].Name != "INBOX" || infos[1].Name != "other" {
		t.Errorf("got %+v, %v; want INBOX and other", infos, err)
	}
}
