package authconf

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/formats/formatstest/dovecot"
)

// Another server's users log in here, with the settings of either dialect.
func TestTheUsersOfAnotherServer(t *testing.T) {
	other := newSite(t, "", map[string]string{"users": "ann@example.org:{PLAIN}s3cret:65534:65534::/nonexistent\n"})
	d := dovecot.Serve(t, other.dir+"/users", "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}")
	host, port, err := net.SplitHostPort(d.IMAPAddr)
	if err != nil {
		t.Fatal(err)
	}
	for dialect, text := range map[string]string{
		"2.3": fmt.Sprintf("auth_failure_delay = 0\npassdb {\n  driver = imap\n  args = host=%s port=%s username=%%n@example.org\n}\n", host, port),
		"2.4": fmt.Sprintf("dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\nauth_failure_delay = 0\nimapc_port = %s\n"+
			"passdb imap {\n  imapc_host = %s\n  imapc_user = %%{user | username}@example.org\n}\n", port, host),
	} {
		s := newSite(t, text, nil)
		service := s.must()
		if reply := service.Login(context.Background(), auth.Request{Service: "imap"}, "ann@here", "s3cret"); !reply.OK {
			t.Errorf("%s: %+v\n%s", dialect, reply, s.log.String())
		}
		if reply := service.Login(context.Background(), auth.Request{Service: "imap"}, "ann", "wrong"); reply.OK || reply.Code != auth.CodeNone {
			t.Errorf("%s, wrong password: %+v", dialect, reply)
		}
	}
	d.Stop()
	s := newSite(t, fmt.Sprintf("passdb {\n  driver = imap\n  args = host=%s port=%s\n}\n", host, port), nil)
	if reply := s.must().Login(context.Background(), auth.Request{Service: "imap"}, "ann", "s3cret"); reply.OK || reply.Code != auth.CodeTempFail {
		t.Errorf("a server that is down: %+v", reply)
	}
	if strings.Contains(s.log.String(), "s3cret") {
		t.Errorf("the log has a password: %s", s.log.String())
	}
}

func TestWordsOfIMAPThatAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"":                                      "Missing host parameter",
		"host=x port=0":                         "Invalid port: 0",
		"host=x ssl=yes":                        "Invalid ssl mode: yes",
		"host=x hostname=y":                     "Unknown parameter: hostname",
		"host=x ssl_ca_file=/n":                 "certificates of authorities",
		"host=x ssl=imaps allow_invalid_cert=1": "Invalid allow_invalid_cert value: 1",
	} {
		s := newSite(t, "passdb {\n  driver = imap\n  args = "+args+"\n}\n", nil)
		if _, err := s.build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}
