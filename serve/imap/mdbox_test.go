package imap_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// TestFilesOfAnMdboxGrowAsConfigured: small messages share files up to mdbox_rotate_size.
func TestFilesOfAnMdboxGrowAsConfigured(t *testing.T) {
	mail := dovecot.TempDir(t) + "/mail"
	server := start(t, "mdbox:"+mail, "mdbox_rotate_size = 2k")
	c := server.login()
	for range 8 {
		c.Append("INBOX", "", "", "Subject: x\r\n\r\n"+strings.Repeat("y", 500)+"\r\n")
	}
	c.Close()
	files, err := filepath.Glob(mail + "/storage/m.*")
	if err != nil || len(files) < 3 || len(files) > 4 {
		t.Errorf("8 messages of 650 bytes are in %q, %v", files, err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 2<<10 {
			t.Errorf("%s has %d bytes, %v", f, st.Size(), err)
		}
	}
}
