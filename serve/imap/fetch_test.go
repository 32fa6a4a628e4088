package imap_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// realMail gives the messages of samples/messages.
func realMail(t testing.TB) (names, texts []string) {
	t.Helper()
	root := "../../samples/messages"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		text, err := os.ReadFile(path)
		if len(text) > 0 {
			names, texts = append(names, strings.TrimPrefix(path, root+"/")), append(texts, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, texts
}

// Real mail that was appended to both is fetched from both with the same answers, also when they come from what was kept
// of the first time.
func TestRealMailIsFetchedAsFromDovecot(t *testing.T) {
	names, texts := realMail(t)
	judge := dovecot.New(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	theirs := judge.IMAP()
	ours := server.login()
	for _, text := range texts {
		for _, s := range []*client.Session{ours, theirs} {
			s.Cmd(fmt.Sprintf("APPEND INBOX \"01-Feb-2003 04:05:06 +0100\" {%d+}\r\n%s", len(text), text))
		}
	}
	ours.Cmd("SELECT INBOX")
	for _, items := range []string{
		"ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE INTERNALDATE UID", "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]",
		"BODY.PEEK[HEADER.FIELDS (Subject FROM to Date Message-ID References)]", "BODY.PEEK[HEADER.FIELDS (X-Mailer List-Post Subject)]",
		"BODY.PEEK[HEADER.FIELDS.NOT (Received)]", "BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] BODY.PEEK[2.MIME] BODY.PEEK[1.1]",
		"BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.1] BODY.PEEK[2.HEADER.FIELDS (Subject)]",
		"BODY.PEEK[]<100.200> BODY.PEEK[TEXT]<7.300>", "ENVELOPE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Subject)]",
	} {
		theirs.Cmd("SELECT INBOX") // what it has cached in this session it may tell in other words
		want := theirs.Cmd("FETCH 1:* (" + items + ")")
		for _, round := range []string{"first", "second"} {
			got := ours.Cmd("FETCH 1:* (" + items + ")")
			wrong := 0
			for i := range max(len(got), len(want)) {
				a, b := line(got, i), line(want, i)
				if a == b || items == "BODYSTRUCTURE" && strings.EqualFold(a, b) {
					continue // of plain text of 7 bits, Dovecot remembers only that it is that, and not how it was spelt
				}
				if wrong++; wrong <= 3 {
					t.Errorf("%s, the %s time, of %s:\n got %.600q\nwant %.600q", items, round, line(names, i), a, b)
				}
			}
			if wrong > 3 {
				t.Errorf("%s, the %s time: %d answers differ", items, round, wrong)
			}
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// What is asked of a message that has vanished, another session having expunged it, is answered with nothing, as Dovecot
// does (seen with 2.3.19).
func TestAMessageThatHasVanishedIsAnsweredWithNothing(t *testing.T) {
	server := start(t, "sdbox:"+dovecot.TempDir(t)+"/mail")
	first, second := server.login(), server.login()
	first.Cmd("APPEND INBOX {11+}\r\nSubject: a\n")
	first.Cmd("APPEND INBOX {11+}\r\nSubject: b\n")
	first.Cmd("SELECT INBOX")
	second.Cmd("SELECT INBOX")
	second.Cmd(`STORE 1 +FLAGS (\Deleted)`)
	second.Cmd("EXPUNGE")
	items := "(FLAGS INTERNALDATE X-GUID PREVIEW BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (x-a)] BODY.PEEK[1]<2.3> BINARY.SIZE[1])"
	lines, status := first.Try("FETCH 1:2 " + items)
	if len(lines) != 2 || !strings.HasPrefix(status, "OK [EXPUNGEISSUED] Some messages were already expunged") {
		t.Fatalf("%q %s", lines, status)
	}
	want := `INTERNALDATE "01-Jan-1970 00:00:00 +0000" X-GUID "" PREVIEW NIL BODY ("text" "plain" NIL NIL NIL "7bit" 0 0) ` +
		`BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL) BODY[] NIL BODY[HEADER.FIELDS (X-A)] NIL BODY[1]<2> NIL BINARY.SIZE[1] 0)`
	if !strings.HasPrefix(lines[0], "* 1 FETCH (FLAGS (") || !strings.HasSuffix(lines[0], want) {
		t.Errorf("got %s, want %s", lines[0], want)
	}
	if !strings.Contains(lines[1], "Subject: b") {
		t.Errorf("the other message is %q", lines[1])
	}
}

// A long message whose size is kept wrongly cannot be sent as long as was announced, so that the session ends; the next one
// gets it whole. A short one is sent whole at once.
func TestAWrongSizeIsFoundOut(t *testing.T) {
	for name, body := range map[string]string{"short": "body\r\n", "long": strings.Repeat("a long body\r\n", 4000)} {
		t.Run(name, func(t *testing.T) {
			root := dovecot.TempDir(t) + "/mail"
			server := start(t, "sdbox:"+root)
			mail := "Subject: a\r\n\r\n" + body
			server.login().Append("INBOX", "", "", mail)
			lengthen(t, filepath.Join(root, "mailboxes/INBOX/dbox-Mails/u.1"), len(mail))
			conn, err := net.Dial("tcp", server.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, "a LOGIN tester x\r\nb SELECT INBOX\r\nc FETCH 1 (UID BODY.PEEK[])\r\nd LOGOUT\r\n")
			said, err := io.ReadAll(conn)
			want := fmt.Sprintf("* 1 FETCH (UID 1 BODY[] {%d}\r\n%s", len(mail)+1, mail)
			if name == "short" {
				want = fmt.Sprintf("\r\n* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\nc OK ", len(mail), mail)
			}
			if err != nil || !strings.Contains(string(said), want) || name == "long" && !strings.HasSuffix(string(said), want) {
				t.Fatalf("%q, %v", said[max(0, len(said)-500):], err)
			}
			again := server.login()
			again.Cmd("SELECT INBOX")
			lines := again.Cmd("FETCH 1 BODY.PEEK[]")
			if want := fmt.Sprintf("* 1 FETCH (BODY[] {%d}\r\n%s)", len(mail), mail); len(lines) != 1 || lines[0] != want {
				t.Errorf("%.500q", lines)
			}
		})
	}
}

// lengthen makes the size that is kept of a message in an sdbox one too large.
func lengthen(t *testing.T, path string, size int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(b), fmt.Sprintf("\nV%x\n", size), fmt.Sprintf("\nV%x\n", size+1), 1)
	if changed == string(b) {
		t.Fatalf("no size in %.300q", b)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}
