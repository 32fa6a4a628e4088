package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dovetail/auth"
	"dovetail/auth/socket"
)

// authMain measures logins a second over the auth service's socket, of "dovetail auth serve" and of real Dovecot's auth
// with the same configuration, one behind the other. Each row is a database and a scheme of its passwords. Per core means
// logins for each second of processor time of the service itself: the clients share the machine with it.
func authMain(args []string) {
	flags := flag.NewFlagSet("bench auth", flag.ExitOnError)
	b := authBench{}
	flags.StringVar(&b.dir, "dir", "", "folder to work in; default a temporary one")
	flags.StringVar(&b.dovetail, "dovetail", "bin/dovetail", "the program to measure")
	flags.DurationVar(&b.time, "time", 2*time.Second, "how long each row is measured")
	flags.IntVar(&b.clients, "clients", 16, "logins under way at once")
	only := flags.String("rows", "", "only rows whose name contains this")
	flags.Parse(args) // ends the program itself
	if err := b.run(*only); err != nil {
		log.Fatal("bench auth: ", err)
	}
}

type authBench struct {
	dir, dovetail string
	time          time.Duration
	clients       int
}

// authUsers is how many accounts a list has.
const authUsers = 1000

const authPassword = "correct-horse"

// authRow is a database. make writes what it needs into a folder and gives the passdb for dovecot.conf; hash is the
// stored password.
type authRow struct {
	name, scheme string
	make         func(dir, hash string) (conf string, err error)
	settings     string
}

var authRows = []authRow{
	{"static", "PLAIN", staticPassDB, ""},
	{"passwd-file", "PLAIN", passwdFilePassDB, ""},
	{"passwd-file", "SHA512-CRYPT", passwdFilePassDB, ""},
	{"passwd-file", "BLF-CRYPT", passwdFilePassDB, ""},
	{"passwd-file", "ARGON2ID", passwdFilePassDB, ""},
	{"sqlite", "PLAIN", sqlitePassDB, ""},
	{"sqlite, cached", "PLAIN", sqlitePassDB, "auth_cache_size = 10M\n"},
	{"sqlite, cached", "SHA512-CRYPT", sqlitePassDB, "auth_cache_size = 10M\n"},
}

func staticPassDB(_, hash string) (string, error) {
	return "driver = static\nargs = password=" + hash + "\n", nil
}

func passwdFilePassDB(dir, hash string) (string, error) {
	var list strings.Builder
	for i := range authUsers {
		fmt.Fprintf(&list, "user%04d:%s:1000:1000::/home/user%04d::\n", i, hash, i)
	}
	path := filepath.Join(dir, "users")
	return "driver = passwd-file\nargs = " + path + "\n", os.WriteFile(path, []byte(list.String()), 0o644)
}

func sqlitePassDB(dir, hash string) (string, error) {
	var list strings.Builder
	list.WriteString("create table users (name text primary key, password text); begin;\n")
	for i := range authUsers {
		fmt.Fprintf(&list, "insert into users values ('user%04d', '%s');\n", i, hash)
	}
	list.WriteString("commit;\n")
	db, ext := filepath.Join(dir, "users.sqlite"), filepath.Join(dir, "sql.conf.ext")
	os.Remove(db)
	cmd := exec.Command("sqlite3", db)
	cmd.Stdin = strings.NewReader(list.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	text := "driver = sqlite\nconnect = " + db + "\ndefault_pass_scheme = PLAIN\npassword_query = SELECT name AS user, password FROM users WHERE name = '%u'\n"
	return "driver = sql\nargs = " + ext + "\n", os.WriteFile(ext, []byte(text), 0o644)
}

const authConf = `protocols = none
ssl = no
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
auth_mechanisms = plain
auth_worker_max_count = 4
%[2]spassdb {
%[3]s}
userdb {
  driver = static
  args = uid=1000 gid=1000 home=/home/%%u
}
service auth {
  unix_listener %[1]s/auth {
    mode = 0666
  }
}
`

func (b *authBench) run(only string) error {
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b.dir = dir
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	var err error
	if b.dovetail, err = filepath.Abs(b.dovetail); err != nil {
		return err
	}
	fmt.Printf("%-34s %23s   %23s   %s\n", "", "dovetail", "Dovecot", "per core:")
	fmt.Printf("%-34s %11s %11s   %11s %11s   %s\n", "database and scheme", "logins/s", "per core", "logins/s", "per core", "× Dovecot")
	for i, row := range authRows {
		name := row.name + ", {" + row.scheme + "}"
		if !strings.Contains(name, only) {
			continue
		}
		if err := b.row(row, name, filepath.Join(b.dir, strconv.Itoa(i))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (b *authBench) row(row authRow, name, dir string) error {
	out, err := exec.Command("doveadm", "pw", "-s", row.scheme, "-p", authPassword).Output()
	if err != nil {
		return fmt.Errorf("doveadm pw: %w", err)
	}
	var rates [2]rate
	for i, program := range [][]string{{b.dovetail, "auth", "serve", "-c"}, {"dovecot", "-F", "-c"}} {
		own := filepath.Join(dir, strconv.Itoa(i))
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		passdb, err := row.make(own, strings.TrimSpace(string(out)))
		if err != nil {
			return err
		}
		conf := filepath.Join(own, "dovecot.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, authConf, own, row.settings, passdb), 0o644); err != nil {
			return err
		}
		if rates[i], err = b.measure(append(program, conf), filepath.Join(own, "auth")); err != nil {
			text, _ := os.ReadFile(filepath.Join(own, "log"))
			return fmt.Errorf("%s: %w\n%s", program[0], err, text)
		}
	}
	fmt.Printf("%-34s %11.0f %11.0f   %11.0f %11.0f   %9.2f\n", name, rates[0].wall, rates[0].core, rates[1].wall, rates[1].core, rates[0].core/rates[1].core)
	return nil
}

// rate is logins for each second: of the clock, and of the service's processor time.
type rate struct{ wall, core float64 }

func (b *authBench) measure(program []string, path string) (rate, error) {
	cmd := exec.Command(program[0], program[1:]...)
	if err := cmd.Start(); err != nil {
		return rate{}, err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait() // it ends as it was told
	}()
	clients, err := b.connect(path)
	if err != nil {
		return rate{}, err
	}
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	if _, err := b.logins(clients, b.time/10); err != nil { // processes are started, files read
		return rate{}, err
	}
	before, start := authCPU(cmd.Process.Pid), time.Now()
	n, err := b.logins(clients, b.time)
	if err != nil {
		return rate{}, err
	}
	wall, cpu := time.Since(start), authCPU(cmd.Process.Pid)-before
	return rate{float64(n) / wall.Seconds(), float64(n) / max(cpu.Seconds(), 0.01)}, nil
}

// connect waits until the service listens.
func (b *authBench) connect(path string) (clients []*socket.Logins, err error) {
	const tries = 100
	for range tries {
		var c *socket.Logins
		if c, err = socket.DialLogins(context.Background(), path); err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if clients = append(clients, c); len(clients) == b.clients {
			return clients, nil
		}
	}
	return nil, err
}

// logins logs in as one user after the other for some time, and tells how often.
func (b *authBench) logins(clients []*socket.Logins, d time.Duration) (int64, error) {
	ctx := context.Background()
	var n atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, len(clients))
	end := time.Now().Add(d)
	for _, c := range clients {
		group.Go(func() {
			for time.Now().Before(end) {
				user := fmt.Sprintf("user%04d", n.Add(1)%authUsers)
				r, _, err := c.Login(ctx, auth.Request{Service: "smtp"}, "PLAIN", []byte("\x00"+user+"\x00"+authPassword), nil)
				if err == nil && !r.OK {
					err = errors.New("the right password is refused")
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return n.Load(), nil
	}
}

// authCPU is the processor time of a service: the process itself, or the auth processes that are its children.
func authCPU(pid int) time.Duration {
	var sum time.Duration
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …, utime and stime as the 14th and 15th, in hundredths of a second (proc(5)).
		open, shut := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
		f := strings.Fields(string(text[shut+1:]))
		self := strings.HasPrefix(string(text), strconv.Itoa(pid)+" ")
		if name := string(text[open+1 : shut]); !self && (f[1] != strconv.Itoa(pid) || name != "auth") {
			continue
		}
		for _, field := range f[11:13] {
			ticks, _ := strconv.ParseInt(field, 10, 64)
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}
