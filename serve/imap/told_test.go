package imap_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// outsider is somebody who changes a mailbox behind the server's back.
type outsider struct {
	t     *testing.T
	kind  string
	root  string
	judge *dovecot.Judge
	n     int
}

func (o *outsider) mail() string {
	o.n++
	return fmt.Sprintf("From: a@example.org\nSubject: %d\nMessage-ID: <%d@example.org>\n\nx\n", o.n, o.n)
}

// bySave is doveadm, a process of its own.
func (o *outsider) bySave() {
	cmd := o.judge.Command("save", "-m", "INBOX")
	cmd.Stdin = strings.NewReader(o.mail())
	if err := cmd.Run(); err != nil {
		o.t.Fatalf("doveadm save: %v\n%s", err, o.judge.Log())
	}
}

// byLDA is how Dovecot delivers.
func (o *outsider) byLDA() {
	const lda = "/usr/lib/dovecot/dovecot-lda"
	if _, err := exec.LookPath(lda); err != nil {
		o.bySave()
		return
	}
	cmd := o.judge.Command()
	cmd.Path, cmd.Args = lda, []string{lda, "-c", o.judge.Config(), "-f", "a@example.org"}
	cmd.Stdin = strings.NewReader(o.mail())
	if err := cmd.Run(); err != nil {
		o.t.Fatalf("dovecot-lda: %v\n%s", err, o.judge.Log())
	}
}

// byScript does what an MTA or a script does with files that have no index to be kept in step with.
func (o *outsider) byScript() {
	switch o.kind {
	case "maildir":
		temp := filepath.Join(o.root, "tmp", fmt.Sprintf("1700000000.%d.mta", o.n))
		if err := os.WriteFile(temp, []byte(o.mail()), 0o600); err != nil {
			o.t.Fatal(err)
		}
		dovecot.Own(o.t, temp)
		if err := os.Rename(temp, filepath.Join(o.root, "new", filepath.Base(temp))); err != nil {
			o.t.Fatal(err)
		}
	case "mbox":
		f, err := os.OpenFile(o.root+"-inbox", os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			o.t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("From a@example.org Mon Jan  1 00:00:00 2024\n" + o.mail() + "\n"); err != nil {
			o.t.Fatal(err)
		}
	default:
		o.bySave()
	}
}

// TestIdleTellsWhatOthersDid has nothing but the kernel's word that anything happened: the clock of the server does not
// strike before the test is over.
func TestIdleTellsWhatOthersDid(t *testing.T) {
	dovecot.Need(t)
	for _, kind := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		t.Run(kind, func(t *testing.T) {
			root := dovecot.TempDir(t) + "/mail"
			where := dovecot.Location(kind, root)
			o := &outsider{t: t, kind: kind, root: root, judge: dovecot.New(t, where)}
			theirs := o.judge.IMAP()
			theirs.Append("INBOX", "", "", "Subject: first\r\n\r\nx\r\n")
			theirs.Cmd("CREATE Other")
			server := start(t, where)
			idling, notified := server.login(), server.login()
			idling.Select("INBOX")
			notified.Cmd("NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))")
			idling.Idle()
			for i, deliver := range []func(){o.bySave, o.byLDA, o.byScript, o.byLDA} {
				deliver()
				n := i + 2
				idling.Wait(fmt.Sprintf(`^\* %d EXISTS$`, n))
				notified.Wait(fmt.Sprintf(`^\* STATUS INBOX \(MESSAGES %d `, n))
			}
			theirs.Select("INBOX")
			theirs.Cmd(`STORE 2 +FLAGS (\Seen work)`)
			theirs.Cmd("CHECK")
			idling.Wait(`^\* 2 FETCH .*\\Seen .*work`)
			notified.Wait(`^\* STATUS INBOX \(UNSEEN `)
			theirs.Cmd(`STORE 1 +FLAGS (\Deleted)`)
			theirs.Cmd("EXPUNGE")
			theirs.Cmd("CHECK")
			idling.Wait(`^\* 1 EXPUNGE$`)
			notified.Wait(`^\* STATUS INBOX \(MESSAGES 4 `)
			theirs.Append("Other", "", "", "Subject: other\r\n\r\nx\r\n")
			notified.Wait(`^\* STATUS Other \(MESSAGES 1 `)
			theirs.Close()
			idling.Done()
			if got := strings.Join(idling.Cmd("UID FETCH 1:* (UID)"), "\n"); strings.Count(got, "FETCH") != 4 {
				t.Errorf("in the end there is %q", got)
			}
			o.judge.MustBeClean()
		})
	}
}
