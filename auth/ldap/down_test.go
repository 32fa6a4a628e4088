package ldap

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/auth/authtest"
)

// sockets counts those that this process has open.
func sockets(t *testing.T) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Skip("no /proc to count connections in")
	}
	n := 0
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func TestTheServerStopsAndStartsDuringAThousandLogins(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	before := sockets(t)
	o := options(t, open(t, asService(s.URI)))
	o.Bind = true
	p := passdb(t, o)
	const logins = 1000
	var right, down atomic.Int32
	login := func() bool {
		_, err := p.Verify(t.Context(), request("alice"), "apass")
		switch {
		case err == nil:
			right.Add(1)
		case errors.Is(err, auth.ErrMismatch), errors.Is(err, auth.ErrUnknown):
			t.Errorf("taken for a wrong password or name: %v", err)
		default:
			down.Add(1)
		}
		return err == nil
	}
	some := make(chan struct{})
	var first sync.Once
	var all sync.WaitGroup
	for range logins {
		all.Go(func() {
			login()
			if right.Load() > logins/10 {
				first.Do(func() { close(some) })
			}
		})
	}
	<-some
	s.Stop()
	all.Wait()
	if login() || down.Load() == 0 {
		t.Error("a login that works without a server")
	}
	t.Logf("%d logins, %d temporary failures", right.Load(), down.Load())
	s.Start()
	for range logins {
		all.Go(func() {
			for !login() && !t.Failed() {
				<-time.After(time.Millisecond) // it may only be asked again after a pause
			}
		})
	}
	all.Wait()
	if n := sockets(t) - before; n > binders+1 {
		t.Errorf("%d connections; %d would do", n, binders+1)
	}
	o.Directory.Close()
	if n := sockets(t); n != before {
		t.Errorf("%d sockets are left, %d were there", n, before)
	}
}

func TestR190TheSecondServerIsAskedWhenTheFirstIsDown(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	second := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	for name, uris := range map[string][]string{
		"nobody listens there":  {"ldap://127.0.0.1:1", s.URI},
		"no such name":          {"ldap://no.such.host.invalid", s.URI},
		"no such socket":        {"ldapi://%2Fno%2Fsuch", s.LDAPI},
		"it does not speak TLS": {strings.Replace(second.URI, "ldap:", "ldaps:", 1), s.URI},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, open(t, asService(uris...)))
			o.Bind = true
			if _, err := passdb(t, o).Verify(t.Context(), request("alice"), "apass"); err != nil {
				t.Error(err)
			}
		})
	}
	o := options(t, open(t, asService(s.URI, second.URI)))
	o.Bind = true
	p := passdb(t, o)
	for _, stop := range []func(){func() {}, s.Stop} {
		stop()
		if _, err := p.Verify(t.Context(), request("alice"), "apass"); err != nil {
			t.Error(err)
		}
	}
	second.Stop()
	_, err := p.Verify(t.Context(), request("alice"), "apass")
	if got := verdict(err); !strings.HasPrefix(got, "temporary: Can't connect to server: "+s.URI) || !strings.Contains(got, "; Can't connect to server: "+second.URI) {
		t.Errorf("without any server: %s", got)
	}
}

func TestAServerThatIsSilentHoldsNobodyLongerThanHisContext(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	d := open(t, asService(s.URI))
	o := options(t, d)
	o.Bind = true
	p := passdb(t, o)
	if _, err := p.Verify(t.Context(), request("alice"), "apass"); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	for _, direct := range []string{"", "cn=%{user},ou=People,dc=example,dc=com"} {
		o.BindDN = template(t, direct)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := passdb(t, o).Verify(ctx, request("alice"), "apass"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	s.Thaw()
	if _, err := p.Verify(t.Context(), request("alice"), "apass"); err != nil {
		t.Errorf("when it speaks again: %v", err)
	}
}

func TestAnAnswerThatDoesNotComeEndsTheConnection(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	d := open(t, asService(s.URI))
	u := userdb(t, options(t, d))
	if _, err := u.Find(t.Context(), request("alice")); err != nil {
		t.Fatal(err)
	}
	d.answering, d.connecting = 50*time.Millisecond, 50*time.Millisecond
	o := options(t, d)
	o.Bind, o.BindDN = true, template(t, "cn=%{user},ou=People,dc=example,dc=com")
	p := passdb(t, o)
	if _, err := p.Verify(t.Context(), request("alice"), "apass"); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	if _, err := u.Find(t.Context(), request("alice")); verdict(err) != "temporary: LDAP connection appears to be hanging" {
		t.Errorf("a search in a silent server: %v", err)
	}
	if _, err := p.Verify(t.Context(), request("alice"), "apass"); verdict(err) != "temporary: LDAP connection appears to be hanging" {
		t.Errorf("a bind to a silent server: %v", err)
	}
	s.Thaw()
	d.mu.Lock()
	d.answering, d.connecting, d.until = answerTimeout, connectTimeout, time.Time{}
	d.mu.Unlock()
	if _, err := u.Find(t.Context(), request("alice")); err != nil {
		t.Errorf("when it speaks again: %v", err)
	}
}

func TestAConnectionThatTheServerClosesIsMadeAgain(t *testing.T) {
	s := authtest.StartSlapd(t, authtest.SlapdOptions{LDIF: people()})
	o := options(t, open(t, asService(s.URI)))
	o.Bind = true
	p := passdb(t, o)
	for range 3 {
		if _, err := p.Verify(t.Context(), request("alice"), "apass"); err != nil {
			t.Error(err)
		}
		s.Stop()
		s.Start()
	}
}
