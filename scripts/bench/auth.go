package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"dovetail/auth/authtest"
	"dovetail/auth/scheme"
	"dovetail/auth/socket"
)

// authMain measures logins over the auth service's socket, of "dovetail auth serve" and of real Dovecot's auth with the
// same configuration: both run at the same time and are asked in turns. Each row is a database, the scheme of its
// passwords and a mechanism.
//
// Logins a second depend on what else the machine does, clients among it; "per core" is logins for each second of processor
// time of the service itself: dovetail with its helpers, and Dovecot's processes auth and auth-worker. It is the median
// of the rounds.
//
// Seen beside 2.3.19.1 of Debian 12, rows are at Dovecot's or above, but for these:
//   - PostgreSQL, 0.5 to 0.7: pgx wakes and waits in Go's scheduler for each answer, which takes as long as all of
//     Dovecot's login; with GOMAXPROCS=1 it is 0.8. Answers that are kept are not concerned.
//   - BLF-CRYPT, 0.9: blowfish of golang.org/x/crypto is plain Go. A password whose answer is kept is not hashed again,
//     so that it is 2 there; the same goes for the next.
//   - ARGON2ID, 0.7 to 0.8: that of golang.org/x/crypto is written for SSE4, libsodium's for AVX2 and AVX-512.
//   - LDAP with a search, 0.9 to 1.0.
//   - CRAM-MD5, DIGEST-MD5 and SCRAM-SHA-256, 0.8 to 1.0: their second step costs another turn of reading, waking a
//     goroutine and writing.
func authMain(args []string) {
	flags := flag.NewFlagSet("bench auth", flag.ExitOnError)
	b := authBench{stage: &stage{}}
	flags.StringVar(&b.dir, "dir", "", "folder to work in; default a temporary one")
	flags.StringVar(&b.dovetail, "dovetail", "bin/dovetail", "the program to measure")
	flags.DurationVar(&b.time, "time", 150*time.Millisecond, "how long each service is asked in a round")
	flags.IntVar(&b.rounds, "rounds", 3, "how often")
	flags.IntVar(&b.clients, "clients", 16, "connections, each with one login under way")
	only := flags.String("rows", "", "only rows whose name fits this regular expression")
	flags.Parse(args) // ends the program itself
	var err error
	if b.only, err = regexp.Compile(*only); err == nil {
		err = b.run()
	}
	b.stage.close()
	if err != nil {
		log.Fatal("bench auth: ", err)
	}
}

type authBench struct {
	*stage
	dir, dovetail   string
	only            *regexp.Regexp
	time            time.Duration
	rounds, clients int
	servers         servers
}

// authUsers is how many accounts a database has.
const authUsers = 1000

const authPassword = "correct-horse"

// authRow is one line of the table.
type authRow struct {
	database, scheme, mechanism string
	cached                      bool
}

func (r authRow) String() string {
	s := r.database + ", {" + r.scheme + "}"
	if r.mechanism != "PLAIN" {
		s += " " + r.mechanism
	}
	if r.cached {
		s += ", cached"
	}
	return s
}

// authRows are all databases with a scheme that costs nothing, then all schemes and mechanisms with a database that
// costs little, and with one whose answers are kept.
func authRows() (rows []authRow) {
	both := func(database, scheme, mechanism string) {
		rows = append(rows, authRow{database, scheme, mechanism, false}, authRow{database, scheme, mechanism, true})
	}
	rows = append(rows, authRow{"static", "PLAIN", "PLAIN", false}, authRow{"passwd-file", "PLAIN", "PLAIN", false}) // never kept
	both("passwd", "MD5-CRYPT", "PLAIN")
	for _, database := range []string{"pam", "ldap, compare", "ldap, search + bind", "ldap, bind", "mariadb", "postgresql", "sqlite", "vpopmail vpasswd.cdb"} {
		both(database, "PLAIN", "PLAIN")
	}
	for _, of := range []struct {
		database string
		cached   bool
	}{{"passwd-file", false}, {"sqlite", true}} {
		for _, scheme := range []string{"SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "BLF-CRYPT", "SSHA256", "PBKDF2", "ARGON2ID"} {
			rows = append(rows, authRow{of.database, scheme, "PLAIN", of.cached})
		}
		for _, mechanism := range []string{"SCRAM-SHA-256", "CRAM-MD5", "DIGEST-MD5"} {
			rows = append(rows, authRow{of.database, mechanism, mechanism, of.cached})
		}
	}
	return rows
}

const authConf = `protocols = none
ssl = no
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
auth_mechanisms = %[4]s
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

func (b *authBench) run() error {
	if b.dir == "" {
		b.dir = b.TempDir()
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	var err error
	if b.dovetail, err = filepath.Abs(b.dovetail); err != nil {
		return err
	}
	if _, err := os.Stat(b.dovetail); err != nil {
		return fmt.Errorf("%w (make build first)", err)
	}
	if b.rounds < 1 {
		return errors.New("-rounds: at least one")
	}
	if why := b.dovecot(); why != "" {
		fmt.Println("Dovecot is not measured:", why)
	}
	fmt.Printf("%-48s %19s   %19s   %s\n", "", "dovetail", "Dovecot", "per core:")
	fmt.Printf("%-48s %9s %9s   %9s %9s   %s\n", "database, {scheme} mechanism", "logins/s", "per core", "logins/s", "per core", "× Dovecot")
	for i, row := range authRows() {
		if !b.only.MatchString(row.String()) {
			continue
		}
		line, err := b.row(row, filepath.Join(b.dir, fmt.Sprint(i)))
		if err != nil {
			line = "not measured: " + strings.TrimSpace(err.Error())
		}
		fmt.Printf("%-48s %s\n", row, line)
	}
	return nil
}

// dovecot tells why there is none to compare with.
func (b *authBench) dovecot() string {
	if _, err := exec.LookPath("dovecot"); err != nil {
		return err.Error() + " (apt-get install dovecot-core)"
	}
	if os.Getuid() != 0 {
		return "its daemon wants to be started by root"
	}
	return ""
}

// row measures one and gives its part of the table.
func (b *authBench) row(row authRow, dir string) (line string, err error) {
	db := databases[row.database]
	programs := []*service{{name: b.dovetail, args: []string{"auth", "serve", "-c"}}}
	if !db.ours && b.dovecot() == "" {
		programs = append(programs, &service{name: "dovecot", args: []string{"-F", "-c"}, children: "auth"})
	}
	defer func() {
		for _, p := range programs {
			p.stop()
		}
	}()
	for i, p := range programs {
		if err := b.start(p, row, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for round := range 1 + b.rounds {
		for _, p := range programs {
			if err := p.round(row.mechanism, b.time, round > 0); err != nil {
				return "", fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	wall, core := programs[0].rate()
	line = fmt.Sprintf("%9.0f %9.0f", wall, core)
	if len(programs) > 1 {
		theirs, theirCore := programs[1].rate()
		line += fmt.Sprintf("   %9.0f %9.0f   %9.2f", theirs, theirCore, core/theirCore)
	}
	return line, nil
}

// service is a program under measurement.
type service struct {
	name     string
	args     []string
	children string // which processes do the work, if not all
	log      string
	cmd      *exec.Cmd
	clients  []*socket.Logins
	walls    []float64 // logins a second, of each round
	cores    []float64 // logins for each second of processor time
}

// start writes a configuration and its accounts and starts the program with it.
func (b *authBench) start(s *service, row authRow, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	db, settings, passdb := databases[row.database], "", ""
	if row.cached {
		settings = "auth_cache_size = 10M\n"
	}
	hash, err := stored(row.scheme)
	if err != nil {
		return err
	}
	name := s.name
	err = b.play(func() {
		if db.machine && b.servers.machine == nil {
			b.servers.machine = authtest.NewMachine(b.stage)
		}
		passdb = db.make(&place{b.stage, dir, hash, &b.servers})
		if db.machine {
			path, err := exec.LookPath(name)
			if err != nil {
				b.Fatal(err)
			}
			name = b.servers.machine.Program(path)
		}
	})
	if err != nil {
		return err
	}
	conf := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, authConf, dir, settings, passdb, strings.ToLower(row.mechanism)), 0o644); err != nil {
		return err
	}
	s.log = filepath.Join(dir, "log")
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(name, append(s.args, conf)...)
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	if s.clients, err = connect(filepath.Join(dir, "auth"), b.clients); err != nil {
		return s.explain(err)
	}
	return nil
}

// stored makes what accounts have as their password.
func stored(name string) (func(user string) string, error) {
	if name == "PLAIN" {
		return func(string) string { return "{PLAIN}" + authPassword }, nil
	}
	hash, err := scheme.Make(name, "nobody", authPassword, scheme.MakeOptions{})
	if name != "DIGEST-MD5" || err != nil {
		return func(string) string { return hash }, err
	}
	return func(user string) string {
		hash, _ := scheme.Make(name, user, authPassword, scheme.MakeOptions{}) // as above
		return hash
	}, nil
}

func (s *service) round(mechanism string, d time.Duration, counts bool) error {
	before, start := processorTime(s.cmd.Process.Pid, s.children), time.Now()
	n, err := logins(s.clients, mechanism, d)
	if err != nil {
		return s.explain(err)
	}
	wall, cpu := time.Since(start), processorTime(s.cmd.Process.Pid, s.children)-before
	if counts {
		s.walls = append(s.walls, float64(n)/wall.Seconds())
		s.cores = append(s.cores, float64(n)/cpu.Seconds())
	}
	return nil
}

func (s *service) rate() (wall, core float64) {
	slices.Sort(s.walls)
	slices.Sort(s.cores)
	return s.walls[len(s.walls)/2], s.cores[len(s.cores)/2]
}

func (s *service) explain(err error) error {
	text, _ := os.ReadFile(s.log)
	return fmt.Errorf("%w\n%s", err, text)
}

func (s *service) stop() {
	for _, c := range s.clients {
		c.Close()
	}
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait() // it ends as it was told
	}
}
