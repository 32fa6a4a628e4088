package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// imaptestProfile takes the port of LMTP: half of the users keep their mail on the server, the others delete what they have
// fetched, and new mail comes all the time.
const imaptestProfile = `lmtp_port = %d
lmtp_max_parallel_count = 10
total_user_count = 10
rampup_time = 0s
user aggressive {
  username_format = test%%n
  count = 100%%
  mail_inbox_delivery_interval = 1s
  mail_session_length = 3s
}
client pop3 {
  count = 50%%
  connection_max_count = 1
  protocol = pop3
  pop3_keep_mails = no
  login_interval = 1s
}
client pop3 {
  count = 50%%
  connection_max_count = 1
  protocol = pop3
  pop3_keep_mails = yes
  login_interval = 1s
}
`

// imaptest, Dovecot's tester, plays users who fetch their mail by POP3 while LMTP delivers more. How it is built is told beside
// the tests of IMAP's groups (serve/imap); IMAPTEST says where it is.
func TestServePOP3UnderImaptest(t *testing.T) {
	program := os.Getenv("IMAPTEST")
	if program == "" {
		var err error
		if program, err = exec.LookPath("imaptest"); err != nil {
			t.Skip("imaptest is not here: IMAPTEST is not set and the PATH does not have it")
		}
	}
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			s := &popServer{mailServer: prepareServer(t, kind)}
			lmtp, port := handOver(t)
			s.configurePOP3(kind, "protocols = imap pop3 lmtp", fmt.Sprintf("service lmtp {\n  inet_listener lmtp {\n    port = %d\n  }\n}", port))
			s.Args[2] = strings.Replace(s.Args[2], "LISTEN_FDS=4", "LISTEN_FDS=5", 1)
			s.ExtraFiles = append(s.ExtraFiles, lmtp)
			s.start()
			home := written(t, map[string]string{"profile.conf": fmt.Sprintf(imaptestProfile, port), "mbox": strings.ReplaceAll(mboxOf(clientMail[:4]), "\r\n", "\n")})
			_, pop, _ := net.SplitHostPort(s.pop)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, "host=127.0.0.1", "port="+pop, "user=test%d", "pass=secret", "profile=profile.conf", "mbox=mbox", "secs=5")
			cmd.Dir, cmd.Env = home, append(os.Environ(), "LD_LIBRARY_PATH=/usr/lib/dovecot:/usr/lib/dovecot/modules")
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "Error") || !strings.Contains(string(out), "Totals:") {
				t.Errorf("%v\n%s", err, out)
			}
			if log := s.log.String(); strings.Contains(log, "Error: ") || strings.Contains(log, "Panic") || !strings.Contains(log, " retr=1/") {
				t.Errorf("the server's log:\n%s", log)
			}
			for i := range 3 {
				user := fmt.Sprintf("test%d", i+1)
				if _, err := os.Stat(filepath.Join(s.dir, "home", user)); err == nil {
					own := *s.mailServer
					own.t = t
					own.judge(kind, user)
				}
			}
		})
	}
}

// mboxOf puts messages into one file.
func mboxOf(messages []string) string {
	var b strings.Builder
	for _, m := range messages {
		b.WriteString("From ann@example.org Mon Jan  1 10:00:00 2024\n" + strings.ReplaceAll(m, "\nFrom ", "\n>From ") + "\n")
	}
	return b.String()
}
