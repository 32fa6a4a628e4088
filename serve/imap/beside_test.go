package imap_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

var (
	highest  = regexp.MustCompile(`HIGHESTMODSEQ (\d+)`)
	validity = regexp.MustCompile(`UIDVALIDITY (\d+)`)
)

// TestWhoComesBackIsToldTheSameByDovecot has the same mailbox changed by Dovecot and by us, one after the other, with a
// server of ours that starts anew each time, and asks both what has happened since any moment before (QRESYNC, RFC 7162).
func TestWhoComesBackIsToldTheSameByDovecot(t *testing.T) {
	mail := "sdbox:" + dovecot.TempDir(t) + "/mail"
	judge := dovecot.New(t, mail)
	rnd := rand.New(rand.NewPCG(5, 6))
	begin := judge.IMAP()
	begin.Cmd("ENABLE QRESYNC")
	for i := range 12 {
		begin.Append("INBOX", "", "", fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
	}
	first := strings.Join(begin.Cmd("SELECT INBOX"), "\n")
	begin.Close()
	valid := validity.FindStringSubmatch(first)[1]
	moments := []string{highest.FindStringSubmatch(first)[1]}
	for round := range 6 {
		who := judge.IMAP()
		server := start(t, mail)
		if round%2 == 0 {
			who.Close()
			who = server.login()
		}
		who.Cmd("ENABLE QRESYNC")
		who.Select("INBOX")
		for range 3 {
			uid := 1 + rnd.IntN(14+round)
			switch rnd.IntN(4) {
			case 0:
				who.Cmd(fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Deleted)`, uid))
				who.Cmd("EXPUNGE")
			case 1:
				who.Cmd(fmt.Sprintf(`UID STORE %d,%d FLAGS (\Seen k%d)`, uid, uid+2, rnd.IntN(3)))
			case 2:
				who.Append("INBOX", `\Flagged`, "", "Subject: new\r\n\r\nx\r\n")
			case 3:
				who.Cmd(fmt.Sprintf(`UID STORE %d -FLAGS (\Seen)`, uid))
			}
		}
		who.Cmd("NOOP")
		lines := strings.Join(who.Cmd("STATUS INBOX (HIGHESTMODSEQ)"), "\n")
		moments = append(moments, highest.FindStringSubmatch(lines)[1])
		who.Close()
		for _, since := range moments {
			for _, known := range []string{"", " 1:5", " 3,7:20"} {
				command := fmt.Sprintf("SELECT INBOX (QRESYNC (%s %s%s))", valid, since, known)
				theirs, ours := judge.IMAP(), server.login()
				theirs.Cmd("ENABLE QRESYNC")
				ours.Cmd("ENABLE QRESYNC")
				want, got := comparable(theirs.Cmd(command)), comparable(ours.Cmd(command))
				if !slices.Equal(got, want) {
					t.Errorf("round %d, %s: we say\n%s\nDovecot says\n%s", round, command, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				theirs.Close()
				ours.Close()
			}
		}
	}
	judge.MustBeClean()
}

// comparable leaves out what one server claims from the other.
func comparable(lines []string) (list []string) {
	for _, line := range lines {
		if strings.HasSuffix(line, " RECENT") {
			continue
		}
		list = append(list, strings.ReplaceAll(strings.ReplaceAll(line, ` \Recent`, ""), `\Recent`, ""))
	}
	return list
}
