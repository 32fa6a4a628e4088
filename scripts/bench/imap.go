package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// imapMain measures IMAP: "dovetail serve" and real Dovecot run at the same time with the same configuration over the
// same mailboxes, and are asked in turns.
//
// Each row tells the processor time of the server with all its processes, and the time that the client waited, as the
// median of the rounds; "×" is how often ours goes into Dovecot's. What a row does many times is told for each time, too.
//
//	cold    all indexes and caches are as they were before anybody looked into the messages, and the server is started
//	        anew; with -disk nothing is in the machine's memory, either
//	warm    the same was asked before, in another session
//	TLS     over TLS 1.3, with a certificate of ECDSA
//
// A row that took longer than -patience in its first round has no others.
//
// Messages of the rows are mailgen's small ones, and those of the rows "bodies" have 10 KB each.
func imapMain(args []string) {
	flags := flag.NewFlagSet("bench imap", flag.ExitOnError)
	b := imapBench{stage: &stage{}}
	flags.StringVar(&b.dir, "dir", "", "folder to work in; default a temporary one")
	flags.StringVar(&b.dovetail, "dovetail", "bin/dovetail", "the program to measure")
	flags.IntVar(&b.n, "n", 100000, "messages")
	flags.IntVar(&b.bodies, "bodies", 10000, "messages of the mailbox with those of 10 KB")
	flags.IntVar(&b.rounds, "rounds", 3, "how often")
	flags.DurationVar(&b.patience, "patience", 20*time.Second, "a row that takes longer is measured once")
	flags.BoolVar(&b.disk, "disk", false, "empty the machine's page cache before cold rows")
	formats := flags.String("formats", "sdbox,maildir", "formats, joined by commas")
	idle := flags.String("idle", "1000,5000", "numbers of idle connections, joined by commas")
	only := flags.String("rows", "", "only rows whose name fits this regular expression")
	flags.Parse(args) // ends the program itself
	b.formats, b.idle = strings.Split(*formats, ","), strings.Split(*idle, ",")
	var err error
	if b.only, err = regexp.Compile(*only); err == nil {
		err = b.run()
	}
	b.stage.close()
	if err != nil {
		log.Fatal("bench imap: ", err)
	}
}

type imapBench struct {
	*stage
	dir, dovetail     string
	n, bodies, rounds int
	patience          time.Duration
	behind            []string // rows in which Dovecot took less processor time
	disk              bool
	formats, idle     []string
	only              *regexp.Regexp
	servers           []*imapServer
}

func (b *imapBench) run() error {
	if b.rounds < 1 || b.n < 100 || b.bodies < 1 {
		return errors.New("-rounds and -bodies: at least 1; -n: at least 100")
	}
	if b.dir == "" {
		b.dir = b.TempDir()
	}
	var err error
	if b.dovetail, err = programs(b.dir, b.dovetail); err != nil {
		return err
	}
	if err := raiseFiles(); err != nil {
		return err
	}
	for _, format := range b.formats {
		if err := b.mailboxes(format); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	b.servers = []*imapServer{{name: "dovetail", run: []string{b.dovetail, "serve", "-c"}}}
	if why := noDovecot(); why != "" {
		fmt.Println("Dovecot is not measured:", why)
	} else {
		b.servers = append(b.servers, &imapServer{name: "Dovecot", run: []string{"dovecot", "-F", "-c"}})
	}
	for _, s := range b.servers {
		b.Cleanup(s.stop)
		if err := b.configure(s); err != nil {
			return err
		}
	}
	for _, format := range b.formats {
		b.table(format)
	}
	err = b.memory()
	if len(b.behind) > 0 {
		fmt.Printf("\nDovecot took less processor time or memory in %d rows:\n\t%s\n", len(b.behind), strings.Join(b.behind, "\n\t"))
	}
	return err
}

// raiseFiles lets this program and those that it starts have as many connections as they may.
func raiseFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// table measures all rows on one format.
func (b *imapBench) table(format string) {
	fmt.Printf("\n%s, %d messages%33s %23s\n", format, b.n, "CPU ms", "wall ms")
	fmt.Printf("%-40s %10s %10s %6s %10s %10s %6s %20s\n", "", "dovetail", "Dovecot", "×", "dovetail", "Dovecot", "×", "CPU µs for each of")
	for _, row := range imapRows(b) {
		if !b.only.MatchString(row.name) {
			continue
		}
		line, err := b.row(row, format)
		if err != nil {
			line = "not measured: " + strings.TrimSpace(err.Error())
		}
		fmt.Printf("%-40s %s\n", row.name, line)
	}
}

// row measures one and gives its part of the table.
func (b *imapBench) row(row imapRow, format string) (string, error) {
	costs := make([][]cost, len(b.servers))
	first := 0
	if row.cold == warm && !row.fresh {
		first = -1 // the round that nobody counts
	}
	began := time.Now()
	for round := first; round < b.rounds; round++ {
		if round > 0 && time.Since(began) > time.Duration(len(b.servers))*b.patience {
			break
		}
		for i, s := range b.servers {
			c, err := b.once(row, s, format)
			if err != nil {
				return "", fmt.Errorf("%s: %w", s.name, s.explain(err))
			}
			if round >= 0 {
				costs[i] = append(costs[i], c)
			}
		}
	}
	ours := median(costs[0])
	each := ours.cpu.Seconds() * 1e6 / float64(row.items)
	if len(costs) == 1 {
		return fmt.Sprintf("%10.1f %10s %6s %10.1f %10s %6s %10.1f %8d", ms(ours.cpu), "", "", ms(ours.wall), "", "", each, row.items), nil
	}
	theirs := median(costs[1])
	if theirs.cpu < ours.cpu {
		b.behind = append(b.behind, format+": "+row.name)
	}
	return fmt.Sprintf("%10.1f %10.1f %6.1f %10.1f %10.1f %6.1f %10.1f %8d", ms(ours.cpu), ms(theirs.cpu), ratio(theirs.cpu, ours.cpu),
		ms(ours.wall), ms(theirs.wall), ratio(theirs.wall, ours.wall), each, row.items), nil
}

func ratio(theirs, ours time.Duration) float64 { return theirs.Seconds() / max(ours.Seconds(), 1e-6) }

// median takes each number for itself.
func median(all []cost) (m cost) {
	slices.SortFunc(all, func(a, b cost) int { return int(a.wall - b.wall) })
	m.wall = all[len(all)/2].wall
	slices.SortFunc(all, func(a, b cost) int { return int(a.cpu - b.cpu) })
	m.cpu = all[len(all)/2].cpu
	return m
}

// settle is how long a server may go on working for a command that it has answered.
const settle = 30 * time.Millisecond

// once measures a row on one server, in a session of its own.
func (b *imapBench) once(row imapRow, s *imapServer, format string) (c cost, err error) {
	if row.cold != warm {
		s.stop()
		if err := b.forget(format, row.cold); err != nil {
			return c, err
		}
		if err := s.start(); err != nil {
			return c, err
		}
	}
	t := &imapTest{b: b, s: s, format: format, user: "bench@" + format, secure: row.tls}
	if t.imapConn, err = t.login(); err != nil {
		return c, err
	}
	defer t.close()
	if row.mailbox != "" {
		if err := t.cmd("SELECT " + row.mailbox); err != nil {
			return c, err
		}
	}
	if row.after != nil {
		defer func() { err = errors.Join(err, row.after(t)) }()
	}
	if row.before != nil {
		if err := row.before(t); err != nil {
			return c, err
		}
	}
	cpu, began := s.cpu(), time.Now()
	if err := row.run(t); err != nil {
		return c, err
	}
	c.wall = time.Since(began)
	time.Sleep(settle)
	c.cpu = s.cpu() - cpu
	return c, nil
}

// imapTest is one session of a row.
type imapTest struct {
	*imapConn
	b            *imapBench
	s            *imapServer
	format, user string
	secure       bool // over TLS
}

// login makes another session of the same user.
func (t *imapTest) login() (*imapConn, error) { return t.s.login(t.user, t.secure) }

func (b *imapBench) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir, "mail"}, parts...)...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
