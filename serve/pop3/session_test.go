package pop3_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// certificate makes one, and gives the settings that name it.
func certificate(t *testing.T) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := dovecot.TempDir(t)
	settings := []string{"ssl = yes"}
	for name, block := range map[string]*pem.Block{"ssl_cert": {Type: "CERTIFICATE", Bytes: cert}, "ssl_key": {Type: "PRIVATE KEY", Bytes: secret}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
		settings = append(settings, name+" = <"+path)
	}
	return settings
}

// wire is a client that may say anything.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader

	over bool // nothing more has come
}

// dial connects, and says something before it has heard the greeting.
func dial(t *testing.T, address, said string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	w := &wire{Conn: c, t: t, r: bufio.NewReader(c)}
	w.say(said)
	if greeting := w.hear(); !strings.HasPrefix(greeting, "+OK") {
		t.Fatalf("greeting %q", greeting)
	}
	return w
}

func (w *wire) say(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		w.t.Fatal(err)
	}
}

// hear gives the next line; "" when the connection is over.
func (w *wire) hear() string {
	line, err := w.r.ReadString('\n')
	w.over = err != nil
	return strings.TrimRight(line, "\r\n")
}

// rest gives all lines up to the end of the connection.
func (w *wire) rest() (lines []string) {
	for line := w.hear(); !w.over; line = w.hear() {
		lines = append(lines, line)
	}
	return lines
}

// A session that has the mailbox for itself keeps others out: those of the same server and those of Dovecot, which keeps out
// ours.
func TestLockedSessions(t *testing.T) {
	dovecot.Need(t)
	const inUse = "-ERR [IN-USE] Mailbox is locked by another POP3 session."
	for _, format := range []string{"maildir", "sdbox"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel() // it waits for locks
			dir, _ := twins(t, format, nil)
			path := configuration(t, format, dir, "pop3_lock_session = yes")
			theirs := dovecot.ServeConf(t, path).POPAddr
			ours, log := start(t, path)
			for _, c := range []struct{ name, has, wants string }{{"ours and ours", ours, ours}, {"ours and Dovecot", ours, theirs}, {"Dovecot and ours", theirs, ours}} {
				first := login(t, c.has, log.String)
				late := dial(t, c.wants, "USER tester\r\nPASS secret\r\n").rest()
				if got := late[len(late)-1]; got != inUse {
					t.Errorf("%s: %q", c.name, got)
				}
				first.Quit()
				again := login(t, c.wants, log.String)
				again.Quit()
			}
		})
	}
}
