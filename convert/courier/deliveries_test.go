package courier_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dovetail/convert/courier"
	"dovetail/formats/formatstest/couriersite"
	"dovetail/formats/formatstest/dovecot"
)

// deliver brings mail into a Maildir until ctx ends, and moves what it brought from new/ to cur/ as a client would. It gives
// the number of messages.
func deliver(ctx context.Context, root string, uid, gid int) (n int, err error) {
	for ; ctx.Err() == nil && n < 20000; n++ {
		name := fmt.Sprintf("%d.live%d.host", 2000000000+n, n)
		tmp := filepath.Join(root, "tmp", name)
		if err := os.WriteFile(tmp, fmt.Appendf(nil, "Subject: live %d\n\nx\n", n), 0o600); err != nil {
			return n, err
		}
		if os.Getuid() == 0 {
			if err := os.Chown(tmp, uid, gid); err != nil {
				return n, err
			}
		}
		if err := os.Rename(tmp, filepath.Join(root, "new", name)); err != nil {
			return n, err
		}
		if n%3 == 0 {
			if err := os.Rename(filepath.Join(root, "new", name), filepath.Join(root, "cur", name+":2,S")); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Mail is delivered and moved while conversions run: nothing is lost, no UID is given twice, and what had a UID keeps it.
func TestDeliveriesWhileConverting(t *testing.T) {
	dovecot.Need(t)
	s := couriersite.Unpack(t)
	user := "alice@example.com"
	root := s.Maildir(user)
	uid, gid := couriersite.IDs()
	ctx, stop := context.WithCancel(t.Context())
	type delivered struct {
		n   int
		err error
	}
	result := make(chan delivered)
	go func() {
		n, err := deliver(ctx, root, uid, gid)
		result <- delivered{n, err}
	}()
	for range 15 {
		if _, err := runUser(t, root, courier.Options{IgnoreRunning: true}); err != nil {
			t.Errorf("while mail is delivered: %v", err)
		}
		noUIDTwice(t, filepath.Join(root, "dovecot-uidlist"))
	}
	stop()
	mail := <-result
	if mail.err != nil {
		t.Fatal(mail.err)
	}
	t.Logf("%d messages were delivered", mail.n)
	d := s.Serve("")
	if r := s.Check(d, user); len(r.Loss) != 2 || r.Loss["msg_extra"] != mail.n || r.Loss["pop3_count"] != mail.n {
		t.Errorf("lost %v, want nothing but %d more messages\n%v", r.Loss, mail.n, r.Detail[:min(len(r.Detail), 10)])
	}
	d.Stop()
	d.MustBeClean()
}

// noUIDTwice reads Dovecot's list as it stands.
func noUIDTwice(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last, names := uint64(0), map[string]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")[1:] {
		fields, name, ok := strings.Cut(line, ":")
		number, _, _ := strings.Cut(fields, " ")
		uid, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || uid <= last || names[name] {
			t.Fatalf("%s line %d: %q behind UID %d", path, i+2, line, last)
		}
		last, names[name] = uid, true
	}
}
