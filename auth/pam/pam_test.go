package pam

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"dovetail/auth"
	"dovetail/auth/pam/wire"
	"dovetail/formats/conf/variable"
)

// The test's program is a helper of a kind when it is called so.
func TestMain(m *testing.M) {
	if base := filepath.Base(os.Args[0]); strings.HasPrefix(base, wire.Program) {
		os.Exit(actor())
	}
	os.Exit(m.Run())
}

// actor is a helper without PAM. What it does is said by the name of the service.
func actor() int {
	os.Stdout.Write(wire.Hello(nil))
	for {
		q, err := wire.ReadQuestion(os.Stdin)
		if err != nil {
			return 0
		}
		a := &wire.Answer{User: q.User}
		switch q.Service {
		case "crash":
			fmt.Fprintln(os.Stderr, "module fell over")
			return 139
		case "killed":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "garbage":
			os.Stdout.WriteString("what?\n")
			io.Copy(io.Discard, os.Stdin)
		case "pid":
			a.User = fmt.Sprint(os.Getpid())
		case "hang":
			f, _ := os.OpenFile(q.User, os.O_WRONLY, 0) // a pipe: tells that it has begun
			f.Close()
			io.Copy(io.Discard, os.Stdin)
		}
		b, _ := a.Append(nil)
		os.Stdout.Write(b)
	}
}

// acting gives a database whose helper is an actor.
func acting(t *testing.T, o Options) *PassDB {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Helper = self // called by the helper's name
	o.Service = template(t, "%s")
	db, err := NewPassDB(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func template(t testing.TB, text string) *variable.Template {
	t.Helper()
	parsed, err := variable.Parse23(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func ask(db *PassDB, service, user string) (string, error) {
	f, err := db.Verify(context.Background(), &auth.Request{Service: service, User: user}, "x")
	return f.Value("user"), err
}

func pid(t *testing.T, db *PassDB) string {
	t.Helper()
	who, err := ask(db, "pid", "u")
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestAHelperIsUsedAgainUntilItsTurnsAreOver(t *testing.T) {
	db := acting(t, Options{MaxRequests: 3})
	var pids []string
	for range 7 {
		pids = append(pids, pid(t, db))
	}
	if pids[0] != pids[2] || pids[2] == pids[3] || pids[3] != pids[5] || pids[5] == pids[6] {
		t.Errorf("helpers %v, want three logins of each", pids)
	}
}

func TestAHelperThatEndsIsATemporaryFailure(t *testing.T) {
	for service, want := range map[string]string{
		"crash":   `ended without an answer: exit status 139: "module fell over"`,
		"killed":  "ended without an answer",
		"garbage": "longer than 65536 bytes",
	} {
		db := acting(t, Options{})
		first := pid(t, db)
		_, err := ask(db, service, "u")
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s", service, err, want)
		}
		for _, no := range []error{auth.ErrMismatch, auth.ErrUnknown, auth.ErrExpired, auth.ErrDisabled} {
			if errors.Is(err, no) {
				t.Errorf("%s: %v is %v", service, err, no)
			}
		}
		if again := pid(t, db); again == first {
			t.Errorf("%s: helper %s goes on", service, again)
		}
	}
}

func TestAnIdleHelperThatIsGoneIsReplaced(t *testing.T) {
	db := acting(t, Options{})
	first := pid(t, db)
	h := db.pool.idle[0].helper
	h.kill()
	<-h.gone
	if second := pid(t, db); second == first {
		t.Errorf("helper %s is dead", second)
	}
}

func TestAnIdleHelperIsDismissed(t *testing.T) {
	db := acting(t, Options{})
	pid(t, db)
	r := db.pool.idle[0]
	db.pool.dismiss(r)
	<-r.gone
	if len(db.pool.idle) != 0 || r.state != nil {
		t.Errorf("%d idle, ended by %v", len(db.pool.idle), r.state)
	}
	db.pool.dismiss(r) // by a clock that was late
}

// hang makes a helper wait, and gives what ends the wait and what it ended with.
func hang(t *testing.T, db *PassDB) (end context.CancelFunc, ended chan error) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "begun")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() {
		_, err := db.Verify(ctx, &auth.Request{Service: "hang", User: fifo}, "x")
		ended <- err
	}()
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, f)
	f.Close()
	return cancel, ended
}

func TestALoginIsGivenUp(t *testing.T) {
	db := acting(t, Options{Workers: 1})
	end, ended := hang(t, db)
	// The only helper is busy, so others wait for it no longer than they want.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Verify(ctx, &auth.Request{Service: "pid", User: "u"}, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a helper ends with %v", err)
	}
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	pid(t, db) // by another helper
}

func TestCloseEndsWhatGoesOn(t *testing.T) {
	db := acting(t, Options{})
	pid(t, db)
	idle := db.pool.idle[0].helper
	_, ended := hang(t, db)
	db.Close()
	if err := <-ended; err == nil {
		t.Error("a login outlives its database")
	}
	<-idle.gone
	if _, err := ask(db, "pid", "u"); !errors.Is(err, errClosed) {
		t.Errorf("a closed database says %v", err)
	}
}

func TestManyLogins(t *testing.T) {
	db := acting(t, Options{Workers: 3, MaxRequests: 5})
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if _, err := ask(db, "pid", "u"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(db.pool.idle); n > 3 {
		t.Errorf("%d helpers", n)
	}
}

// What C would cut short, or takes for a path, does not reach it.
func TestRefusedQuestions(t *testing.T) {
	for _, tc := range []struct {
		name, service, user, password string
		want                          error // nil: a failure of the database
		text                          string
	}{
		{"NUL in the password", "imap", "ann", "secret\x00x", auth.ErrMismatch, "password has a NUL, which PAM cannot be given"},
		{"NUL in the name", "imap", "ann\x00x", "secret", auth.ErrUnknown, "user name has control characters"},
		{"newline in the name", "imap", "ann\nroot", "secret", auth.ErrUnknown, "user name has control characters"},
		{"no name", "imap", "", "secret", auth.ErrUnknown, "empty user name"},
		{"a megabyte of password", "imap", "ann", strings.Repeat("x", 1<<20), auth.ErrMismatch, "user name and password are too long for PAM"},
		{"a path as service", "../../etc/passwd", "ann", "secret", nil, `service "../../etc/passwd" is not the name of a file in /etc/pam.d`},
		{"a folder as service", "..", "ann", "secret", nil, `service ".." is not the name of a file in /etc/pam.d`},
		{"no service", "", "ann", "secret", nil, `service "" is not the name of a file in /etc/pam.d`},
		{"NUL in the service", "a\x00b", "ann", "secret", nil, `service "a\x00b" is not the name of a file in /etc/pam.d`},
	} {
		db, err := NewPassDB(Options{Helper: "/nonexistent", Service: template(t, "%s")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Verify(context.Background(), &auth.Request{Service: tc.service, User: tc.user}, tc.password)
		if err == nil || err.Error() != tc.text || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestAMissingHelper(t *testing.T) {
	if _, err := NewPassDB(Options{}); err == nil || !strings.Contains(err.Error(), "install dovetail-pam beside ") {
		t.Errorf("nothing is there, but: %v", err)
	}
	db, err := NewPassDB(Options{Helper: "/nonexistent/dovetail-pam"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(db, "imap", "ann"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nonexistent/dovetail-pam") {
		t.Errorf("%v", err)
	}
	db.pool.program = "/bin/true"
	if _, err := ask(db, "imap", "ann"); err == nil || !strings.Contains(err.Error(), "/bin/true: ended without an answer") {
		t.Errorf("%v", err)
	}
	if _, err := db.Find(context.Background(), &auth.Request{User: "ann"}); !errors.Is(err, auth.ErrNoFind) {
		t.Errorf("Find: %v", err)
	}
}

func TestHellos(t *testing.T) {
	other, _ := wire.AppendFrame(nil, []byte(wire.Program), []byte("99"), nil)
	for want, hello := range map[string][]byte{
		"":                          wire.Hello(nil),
		"libpam.so.0: no such file": wire.Hello(errors.New("libpam.so.0: no such file")),
		`speaks version "99", not 1: install the one that came with this dovetail`: other,
		"EOF":                     nil,
		"longer than 65536 bytes": []byte("HTTP/1.1 400 Bad Request"),
	} {
		got := ""
		if err := wire.ReadHello(bytes.NewReader(hello)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", hello, got, want)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, a := range []wire.Answer{
		{User: "ann"},
		{Stage: wire.Authenticate, Status: wire.AuthError, Text: "no", Missing: "/etc/pam.d/x", Words: []wire.Word{{Style: wire.Info, Text: "hello"}}},
	} {
		b, err := a.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := wire.ReadAnswer(bytes.NewReader(b))
		if err != nil {
			return
		}
		written, err := a.Append(nil)
		if err != nil {
			return // said more than goes into a frame
		}
		again, err := wire.ReadAnswer(bytes.NewReader(written))
		if err != nil || len(again.Words) == len(a.Words) && !reflect.DeepEqual(a, again) {
			t.Fatalf("%+v, written and read again %+v, %v", a, again, err)
		}
	})
}

func FuzzReadQuestion(f *testing.F) {
	q := wire.Question{SetCred: true, Service: "imap", User: "ann", RemoteHost: "::1", Password: []byte("x")}
	b, err := q.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := wire.ReadQuestion(bytes.NewReader(b))
		if err != nil {
			return
		}
		written, err := q.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := wire.ReadQuestion(bytes.NewReader(written))
		if err != nil || !reflect.DeepEqual(q, again) {
			t.Fatalf("%+v, written and read again %+v, %v", q, again, err)
		}
	})
}
