package scheme

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// cheap are the lowest costs that Make and Dovecot both take.
func cheap(name string) MakeOptions {
	switch name {
	case "ARGON2", "ARGON2I", "ARGON2ID":
		return MakeOptions{Memory: 64, Rounds: 1}
	}
	return MakeOptions{Rounds: 1}
}

const owner = "joe@example.com" // the user of what Make is asked for

// doveadmPW runs the real program.
func doveadmPW(t *testing.T, args ...string) (string, error) {
	cmd := exec.Command("doveadm", append([]string{"-c", "/dev/null", "pw"}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

// atOnce calls f for 0..n-1, some at a time.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, 4)
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			f(i)
			<-gate
		})
	}
	wg.Wait()
}

// Every scheme in turn, 1,000 passwords in all, each verified by "doveadm pw -t" and by us; another is not right.
func TestDoveadmVerifiesOurs(t *testing.T) {
	dovecot.Need(t)
	r := rand.New(rand.NewPCG(3, 4))
	var names, passwords []string
	for _, name := range Names() {
		if name != "ARGON2" { // of 2.4
			names = append(names, name)
		}
	}
	for range 1000 {
		passwords = append(passwords, randomPassword(r, 60)+[]string{"", "", ":", "\t", "\r\n", "\x01"}[r.IntN(6)])
	}
	atOnce(len(passwords), func(i int) {
		name, password := names[i%len(names)], passwords[i]
		stored, err := Make(name, owner, password, cheap(name))
		if err != nil {
			t.Errorf("%s of %q: %v", name, password, err)
			return
		}
		if out, err := doveadmPW(t, "-u", owner, "-s", "PLAIN", "-t", stored, "-p", password); err != nil || out != stored+" (verified)" {
			t.Errorf("doveadm pw -t %q of %q: %s, %v", stored, password, out, err)
		}
		if ok, err := Verify(stored, "", owner, password, true); !ok || err != nil {
			t.Errorf("%q of %q: %v", stored, password, err)
		}
		if ok, _ := Verify(stored, "", owner, "y"+password, true); ok {
			t.Errorf("%q takes another password than %q", stored, password)
		}
	})
}

// What "doveadm pw" makes is verified here.
func TestWeVerifyDoveadms(t *testing.T) {
	dovecot.Need(t)
	out, err := doveadmPW(t, "-l")
	if err != nil {
		t.Fatal(out)
	}
	names := strings.Fields(out)
	ours := strings.Join(Names(), " ")
	passwords := []string{"secret", "pässwörd:1", "a b", strings.Repeat("x", 77)}
	atOnce(len(names)*len(passwords), func(i int) {
		name, password := names[i/len(passwords)], passwords[i%len(passwords)]
		suffixes := []string{""}
		if password == "secret" {
			suffixes = []string{"", ".b64", ".hex"}
		}
		for _, suffix := range suffixes {
			stored, err := doveadmPW(t, "-u", owner, "-s", name+suffix, "-p", password)
			if err != nil {
				t.Errorf("%s: %s", name, stored)
			}
			if name == "PLAIN-TRUNC" {
				continue // Dovecot forgets the length, and does not verify it either
			}
			if ok, err := Verify(stored, "", owner, password, true); !ok || err != nil {
				t.Errorf("%q of %q: %v", stored, password, err)
			}
			if ok, _ := Verify(stored, "", owner, "y"+password, true); ok {
				t.Errorf("%q takes another password than %q", stored, password)
			}
		}
		if !strings.Contains(ours, name) {
			t.Errorf("%s is not ours", name)
		}
	})
}

// Every one of 1,000 passwords in every scheme that we make is taken by Dovecot's own auth service, from a passwd-file
// by way of its socket: the code of "doveadm pw -t" without 32,000 processes.
func TestDovecotTakesAllOurs(t *testing.T) {
	dovecot.Need(t)
	if testing.Short() {
		t.Skip("32,000 passwords are not short")
	}
	dir, err := os.MkdirTemp("", "schemes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // Dovecot reads it as another user
		t.Fatal(err)
	}
	list := filepath.Join(dir, "users")
	accounts := makeAccounts(t, list, 1000)
	d := dovecot.Serve(t, list)
	greeted(t, d.IMAPAddr)
	checkAccounts(t, filepath.Join(filepath.Dir(d.Config()), "run/auth-client"), accounts, d.Log)
}

// greeted waits for a greeting: then all sockets are there.
func greeted(t *testing.T, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
}

type account struct{ user, password string }

func makeAccounts(t *testing.T, list string, n int) []account {
	r := rand.New(rand.NewPCG(5, 6))
	var names []string
	for _, name := range Names() {
		if name != "ARGON2" {
			names = append(names, name)
		}
	}
	passwords := make([]string, n)
	for i := range passwords {
		passwords[i] = randomPassword(r, 100)
	}
	passwords[0], passwords[1] = strings.Repeat("long ", 100), " "
	accounts, lines := make([]account, n*len(names)), make([]string, n*len(names))
	atOnce(n, func(i int) {
		for j, name := range names {
			a := account{fmt.Sprintf("u%d.%s@x", i, strings.ToLower(name)), passwords[i]}
			stored, err := Make(name, a.user, a.password, cheap(name))
			if err != nil {
				t.Errorf("%s of %q: %v", name, a.password, err)
			}
			if ok, err := Verify(stored, "", a.user, a.password, true); !ok {
				t.Errorf("%s of %q: %v", stored, a.password, err)
			}
			accounts[i*len(names)+j] = a
			if strings.HasPrefix(name, "PLAIN") || strings.HasPrefix(name, "CLEAR") {
				_, value, _ := strings.Cut(stored, "}") // a list has no place for ":"
				if !strings.HasPrefix(name, "PLAIN-M") {
					stored = "{" + name + ".b64}" + base64.StdEncoding.EncodeToString([]byte(value))
				}
			}
			lines[i*len(names)+j] = a.user + ":" + stored + ":1000:1000::/nonexistent::\n"
		}
	})
	if err := os.WriteFile(list, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return accounts
}

// checkAccounts speaks Dovecot's client protocol: 100 requests at a time.
func checkAccounts(t *testing.T, socket string, accounts []account, log func() string) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "VERSION\t1\t2\nCPID\t%d\n", os.Getpid())
	in := bufio.NewScanner(c)
	for in.Scan() && in.Text() != "DONE" {
	}
	gate := make(chan struct{}, 100)
	go func() {
		for i, a := range accounts {
			gate <- struct{}{}
			response := base64.StdEncoding.EncodeToString([]byte("\x00" + a.user + "\x00" + a.password))
			fmt.Fprintf(c, "AUTH\t%d\tPLAIN\tservice=smtp\tsecured\tresp=%s\n", i+1, response)
		}
	}()
	for range accounts {
		if !in.Scan() {
			t.Fatalf("Dovecot hung up: %v\n%s", in.Err(), log())
		}
		<-gate
		f := strings.Split(in.Text(), "\t")
		if f[0] != "OK" {
			var i int
			fmt.Sscan(f[1], &i)
			t.Fatalf("%q is not taken: %s\n%s", accounts[i-1], in.Text(), log())
		}
	}
}
