package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestR304TheHelpSaysWhatBecomesOfEachFile(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"help", "courier"}, &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	_, table, ok := strings.Cut(out.String(), "What becomes of each file")
	if !ok {
		t.Fatalf("no table in\n%s", &out)
	}
	table, settings, _ := strings.Cut(table, "Settings of Dovecot")
	for _, file := range []string{
		"courierimapuiddb", "courierpop3dsizelist", "courierimapkeywords", "courierimapsubscribed", "courierimapacl",
		"courierimaphieracl", "maildirsize", "maildirfolder", "maildirfilter", ".mailfilter", "shared-maildirs", "shared-folders",
		"dovecot-uidlist", "dovecot-keywords", "subscriptions", "dovecot-acl", "dovecot.index", "dovecot-uidvalidity", "UTF-7", "UTF-8",
	} {
		if !strings.Contains(table, file) {
			t.Errorf("the table does not tell of %s", file)
		}
	}
	for _, setting := range []string{"prefix = INBOX.", "separator = .", "pop3_uidl_format = UID%u-%v", "auth_username_chars", "autoexpunge", "down"} {
		if !strings.Contains(settings, setting) {
			t.Errorf("nothing is said of %s", setting)
		}
	}
}
