package socket_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody runs a function on a thread that has the ids of another user, 20500; the thread ends with it.
func asNobody(f func()) error { return as(20500, f) }

func as(id int, f func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread dies with the goroutine
		for _, set := range []func() (uintptr, uintptr, unix.Errno){
			func() (uintptr, uintptr, unix.Errno) { return unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0) },
			func() (uintptr, uintptr, unix.Errno) {
				return unix.RawSyscall(unix.SYS_SETRESGID, uintptr(id), uintptr(id), uintptr(id))
			},
			func() (uintptr, uintptr, unix.Errno) {
				return unix.RawSyscall(unix.SYS_SETRESUID, uintptr(id), uintptr(id), uintptr(id))
			},
		} {
			if _, _, errno := set(); errno != 0 {
				done <- errno
				return
			}
		}
		f()
		done <- nil
	}()
	return <-done
}

// dialAs connects as another user.
func dialAs(t *testing.T, id int, path string) *talk {
	t.Helper()
	var c *talk
	if err := as(id, func() { c = dial(t, path) }); err != nil {
		t.Fatal(err)
	}
	if c == nil {
		t.FailNow()
	}
	c.greeting("SPID")
	c.send("VERSION\t1\t1")
	return c
}

// Who is neither root nor the owner of a userdb socket of mode 0666 nor of its group learns about himself only; with any
// other mode, everything. The log says so in Dovecot's words, which real Dovecot is asked for in the same test.
func TestR457AUserdbSocketTellsOthersOfThemselvesOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can ask as somebody else")
	}
	const asked = `USER	1	alice	service=x
USER	2	dave	service=x	session=s	rip=1.2.3.4
USER	3	nosuch	service=x
PASS	4	alice	service=x
LIST	5`
	j, ours := newJudge(t), newServer(t)
	ours.listen("test-userdb", 0o666)
	for _, x := range []struct {
		name string
		uid  int
		want []string
	}{
		{"R-518 himself", 1001, []string{"USER\t1\talice", "FAIL\t2", "NOTFOUND\t3", "FAIL\t4", "DONE\t5\tfail"}},
		{"a stranger", 20500, []string{"FAIL\t1", "FAIL\t2", "NOTFOUND\t3", "FAIL\t4", "DONE\t5\tfail"}},
		{"root", 0, []string{"USER\t1\talice", "USER\t2\tdave", "NOTFOUND\t3", "PASS\t4", "LIST\t5\talice"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			for who, dir := range map[string]string{"Dovecot": j.dir, "ours": ours.dir} {
				c := dialAs(t, x.uid, filepath.Join(dir, "test-userdb"))
				for i, line := range strings.Split(asked, "\n") {
					c.send(line)
					if got := c.next(); !strings.HasPrefix(got, x.want[i]) {
						t.Errorf("%s: %q gave %q, want %q", who, line, got, x.want[i])
					}
				}
			}
		})
	}
	for who, log := range map[string]func() string{
		"Dovecot's": func() string { return strings.ReplaceAll(j.Log(), j.dir, "DIR") },
		"our":       func() string { return strings.ReplaceAll(ours.log.String(), ours.dir, "DIR") },
	} {
		for _, want := range []string{
			"client doesn't have lookup permissions for this user: userdb uid (8) doesn't match peer uid (1001) (to bypass this check, set: service auth { unix_listener DIR/test-userdb { mode=0777 } })",
			"Auth client doesn't have permissions to do a PASS lookup: DIR/test-userdb mode=0666, but not owned by UID 20500",
			"auth-master client: Auth client doesn't have permissions to list users: DIR/test-userdb mode=0666, but not owned by UID 20500 (created ",
		} {
			mustHave(t, who, log, want)
		}
	}
	open := ours.listen("open-userdb", 0o777)
	c := dialAs(t, 20500, open)
	c.send("USER\t1\talice\tservice=x")
	if got := c.next(); !strings.HasPrefix(got, "USER\t1\talice") {
		t.Errorf("mode 0777: %q", got)
	}
}

// A stranger who opens one connection after the other keeps nobody else out, and fills no log.
func TestR456OnePeerDoesNotTakeAllConnections(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can ask as somebody else")
	}
	s := newServer(t)
	s.Connections, s.PerPeer = 6, 3
	path := s.listen("auth-userdb", 0o666)
	for range 3 {
		c := dialAs(t, 20500, path)
		c.send("USER\t1\tnosuch\tservice=x")
		c.want("NOTFOUND\t1")
	}
	for range 10 {
		var c *talk
		if err := as(20500, func() { c = dial(t, path) }); err != nil {
			t.Fatal(err)
		}
		c.want("EOF")
	}
	other := dialAs(t, 1001, path)
	other.send("USER\t1\talice\tservice=x")
	if got := other.next(); !strings.HasPrefix(got, "USER\t1\talice") {
		t.Error(got)
	}
	if n := strings.Count(s.log.String(), "uid 20500 has 3 connections to auth sockets: further ones are closed"); n != 1 {
		t.Errorf("told %d times:\n%s", n, s.log)
	}
}

// One who begins a thousand conversations on each of many connections has no more of them than on a few.
func TestOnePeerDoesNotFillTheMemoryWithRequests(t *testing.T) {
	s := newServer(t)
	s.Requests = 2
	path := s.listen("auth", 0o600)
	var all []*talk
	for range 10 {
		c, _ := sasl(t, path, 1)
		for id := range 2 {
			c.send(fmt.Sprintf("AUTH\t%d\tPLAIN\tservice=smtp", id+1))
			c.want(fmt.Sprintf("CONT\t%d\t", id+1))
		}
		all = append(all, c)
	}
	c, _ := sasl(t, path, 1)
	c.send("AUTH\t1\tPLAIN\tservice=smtp")
	c.want("FAIL\t1\tcode=temp_fail\treason=Too many authentication requests")
	all[0].send("CANCEL\t1", "CONT\t2\t"+b64("\x00alice\x00wonder"))
	if got := all[0].next(); !strings.HasPrefix(got, "OK\t2") {
		t.Error(got)
	}
	c.send("AUTH\t2\tPLAIN\tservice=smtp")
	c.want("CONT\t2\t")
}
