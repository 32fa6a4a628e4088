package lmtp_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/serve/config"
	"dovetail/serve/lmtp"
	"dovetail/serve/namespace"
	"dovetail/serve/servetest"
	"dovetail/sync/watch"
)

func TestTenThousandRecipients(t *testing.T) {
	path, mail := site(t)
	address, _ := start(t, path)
	c := dial(t, "tcp", address)
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	c.Reply()
	c.Say("LHLO x\r\n")
	const most = 10000
	var commands strings.Builder
	commands.WriteString("MAIL FROM:<a@b>\r\n")
	for i := range most + 1 {
		fmt.Fprintf(&commands, "RCPT TO:<ann+%d>\r\n", i)
	}
	go io.WriteString(c, commands.String()+"DATA\r\n")
	for i := range most + 3 {
		want := "250 "
		switch i {
		case most + 1:
			want = "452 4.5.3 "
		case most + 2:
			want = "354 "
		}
		if got := c.Reply(); !strings.HasPrefix(got, want) {
			t.Fatalf("reply %d: %s", i, got)
		}
	}
	io.WriteString(c, "Subject: to many\r\n\r\nx\r\n.\r\n")
	for i := range most {
		if got := c.Reply(); !strings.HasPrefix(got, fmt.Sprintf("250 2.0.0 <ann+%d> ", i)) {
			t.Fatalf("recipient %d: %s", i, got)
		}
	}
	names, _ := filepath.Glob(mail + "/ann/new/*")
	if len(names) != most {
		t.Errorf("%d messages", len(names))
	}
}

// NULs, bytes above 127 and lines without end are kept as they came.
func TestBytesThatAreNoTextAreKept(t *testing.T) {
	path, mail := site(t)
	address, _ := start(t, path)
	c := dial(t, "tcp", address)
	text := "Subject: \x00\xff\r\n\r\n\x00\x01" + strings.Repeat("\xfe", 1<<20) + "\rx\x00"
	c.begin("ann")
	if got := c.Say(text + "\r\n.\r\n"); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	names, _ := filepath.Glob(mail + "/ann/new/*")
	if len(names) != 1 {
		t.Fatalf("%q", names)
	}
	if is, err := os.ReadFile(names[0]); err != nil || !strings.HasSuffix(string(is), strings.ReplaceAll(text, "\r\n", "\n")+"\n") {
		t.Errorf("%d bytes, %v", len(is), err)
	}
}

// Clients that say nothing, or a byte at a time, keep nobody else waiting.
func TestSlowAndSilentClientsAreNobodyElsesBusiness(t *testing.T) {
	path, _ := site(t)
	address, _ := start(t, path)
	for i := range 50 {
		c := dial(t, "tcp", address)
		if i%2 == 0 {
			c.begin("ann")
			io.WriteString(c, "Subject: half a li")
		}
	}
	slow := dial(t, "tcp", address)
	slow.Reply()
	for _, b := range "LHLO slow\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\nSubject: slow\r\n\r\n.\r\n" {
		io.WriteString(slow, string(b))
	}
	for range 4 {
		slow.Reply()
	}
	if got := slow.Reply(); !strings.HasPrefix(got, "250 2.0.0 <ann> ") {
		t.Error(got)
	}
}

// A session that idles is told of a delivery by it, not by a clock.
func TestADeliveryWakesWhoWaits(t *testing.T) {
	for _, format := range []string{"maildir", "sdbox"} {
		t.Run(format, func(t *testing.T) {
			path, _ := site(t)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), "= maildir:", "= "+format+":", 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			p := servetest.Prepare(t, path)
			in := &lmtp.Protocol{Hub: watch.NewHub(time.Hour), Stores: &namespace.Stores{}, Log: p.Logger}
			in.Hub.Hold = in.Stores.Hold
			l := servetest.Listen(t)
			in.Server = p.Server("lmtp", in, l)
			servetest.Run(t, in.Server, in.Hub.Close)
			deliver := func() {
				c := dial(t, "tcp", l.Addr().String())
				c.begin("ann")
				if got := c.Say("Subject: x\r\n\r\nx\r\n.\r\n"); !strings.HasPrefix(got, "250") {
					t.Fatal(got)
				}
			}
			deliver()
			user, err := namespace.Open(namespace.Options{View: p.Config.For(filter()), Account: account(t, p, "ann"), Stores: in.Stores})
			if err != nil {
				t.Fatal(err)
			}
			defer user.Close()
			store, err := user.Spaces[0].Store(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			box, err := in.Hub.Open(t.Context(), store, "INBOX")
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			changed := box.Changed()
			deliver()
			select {
			case <-changed:
			default:
				t.Error("nobody was woken before the client had its answer")
			}
			if n := box.Snapshot().Len(); n != 2 {
				t.Errorf("%d messages are shown", n)
			}
		})
	}
}

// filter is that of deliveries.
func filter() config.Filter { return config.Filter{Protocol: "lmtp"} }

// account is what the user database says.
func account(t *testing.T, p *servetest.Prepared, name string) *auth.User {
	t.Helper()
	u, err := p.Auth.User(t.Context(), auth.Request{Service: "lmtp"}, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
