package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// pop3Main measures POP3: "dovetail serve" and real Dovecot run at the same time with the same configuration over the same
// mailboxes, whose messages have 10 KB each, and are asked in turns.
//
// Each row tells the processor time of the server with all its processes for each of what it does, and how many of them were
// done in a second, as the median of the rounds; "×" is how much better ours is. Rows that fetch all messages tell MB, too.
func pop3Main(args []string) {
	flags := flag.NewFlagSet("bench pop3", flag.ExitOnError)
	b := pop3Bench{stage: &stage{}}
	flags.StringVar(&b.dir, "dir", "", "folder to work in; default a temporary one")
	flags.StringVar(&b.dovetail, "dovetail", "bin/dovetail", "the program to measure")
	flags.IntVar(&b.n, "n", 20000, "messages")
	flags.IntVar(&b.rounds, "rounds", 3, "how often")
	formats := flags.String("formats", "sdbox,maildir", "formats, joined by commas")
	only := flags.String("rows", "", "only rows whose name fits this regular expression")
	flags.Parse(args) // ends the program itself
	b.formats = strings.Split(*formats, ",")
	var err error
	if b.only, err = regexp.Compile(*only); err == nil {
		err = b.run()
	}
	b.stage.close()
	if err != nil {
		log.Fatal("bench pop3: ", err)
	}
}

type pop3Bench struct {
	*stage
	dir, dovetail string
	n, rounds     int
	formats       []string
	only          *regexp.Regexp
	servers       []*pop3Server
}

// pop3Server is a program under measurement.
type pop3Server struct {
	*imapServer
	pop string // host:port
}

func (b *pop3Bench) run() error {
	if b.rounds < 1 || b.n < 100 {
		return errors.New("-rounds: at least 1; -n: at least 100")
	}
	if b.dir == "" {
		b.dir = b.TempDir()
	}
	var err error
	if b.dovetail, err = programs(b.dir, b.dovetail); err != nil {
		return err
	}
	for _, format := range b.formats {
		if err := b.mailbox(format); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	b.servers = []*pop3Server{{imapServer: &imapServer{name: "dovetail", run: []string{b.dovetail, "serve", "-c"}}}}
	why := noDovecot()
	if _, err := os.Stat("/usr/lib/dovecot/pop3"); err != nil && why == "" {
		why = err.Error() + " (apt-get install dovecot-pop3d)"
	}
	if why != "" {
		fmt.Println("Dovecot is not measured:", why)
	} else {
		b.servers = append(b.servers, &pop3Server{imapServer: &imapServer{name: "Dovecot", run: []string{"dovecot", "-F", "-c"}}})
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
	return nil
}

// mailbox makes the mail of one format.
func (b *pop3Bench) mailbox(format string) error {
	source, mail := filepath.Join(b.dir, "source"), filepath.Join(b.dir, "mail")
	if exists(filepath.Join(mail, format, "bench")) {
		return nil
	}
	for _, dir := range []string{filepath.Join(source, "cur"), filepath.Join(source, "new"), filepath.Join(source, "tmp"), filepath.Join(mail, format), filepath.Join(mail, "home", format, "bench")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for i := range b.n {
		path := filepath.Join(source, "cur", fmt.Sprintf("%d.M%dP1.bench:2,S", 1600000000+i, i))
		if err := os.WriteFile(path, bytes.ReplaceAll(bodyOf(i), []byte("\r\n"), []byte("\n")), 0o644); err != nil {
			return err
		}
	}
	if err := errors.Join(ownAll(source), ownAll(mail)); err != nil {
		return err
	}
	_, err := timed(asUser(b.dir, b.dovetail, "convert", "-q", "maildir:"+source, format+":"+filepath.Join(mail, format, "bench")), 2)
	return err
}

// pop3Conf takes a port.
const pop3Conf = `protocols = imap pop3
service pop3-login {
  service_count = 0
  client_limit = 10000
  inet_listener pop3 {
    port = %d
  }
  inet_listener pop3s {
    port = 0
  }
}
service pop3 {
  process_limit = 10000
}
`

// configure writes a server's configuration and starts it.
func (b *pop3Bench) configure(s *pop3Server) error {
	dir := filepath.Join(b.dir, strings.ToLower(s.name)+".d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var ports [2]int
	var free [2]net.Listener // both, so that they are different ones
	for i := range ports {
		var err error
		if free[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		ports[i] = free[i].Addr().(*net.TCPAddr).Port
	}
	free[0].Close()
	free[1].Close()
	s.addr, s.pop = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	uid, gid := ids()
	s.conf, s.log = filepath.Join(dir, "dovecot.conf"), filepath.Join(dir, "log")
	text := fmt.Sprintf(imapConf, dir, ports[0], filepath.Join(b.dir, "mail"), uid, gid) + fmt.Sprintf(pop3Conf, ports[1])
	if err := os.WriteFile(s.conf, []byte(text), 0o644); err != nil {
		return err
	}
	return s.start()
}

// pop3Row is one thing that is measured.
type pop3Row struct {
	name  string
	items int // what it does so many times
	mb    float64
	run   func(s *pop3Server, user string) error
}

func pop3Rows(b *pop3Bench) []pop3Row {
	const logins, lists = 400, 20
	size := float64(b.n) * bodySize / 1e6
	return []pop3Row{
		{"login, STAT, QUIT", logins, 0, logInBy(1, logins)},
		{"login, STAT, QUIT, 16 clients", logins, 0, logInBy(16, logins)},
		{"UIDL", lists * b.n, 0, inSession(lists, "UIDL")},
		{"LIST", lists * b.n, 0, inSession(lists, "LIST")},
		{"session with UIDL and LIST", 1, 0, inSession(1, "UIDL", "LIST")},
		{"RETR of all, one by one", b.n, size, fetchBy(b.n, 1, "RETR %d")},
		{"RETR of all, 50 at once", b.n, size, fetchBy(b.n, 50, "RETR %d")},
		{"TOP 0 of all, 50 at once", b.n, 0, fetchBy(b.n, 50, "TOP %d 0")},
	}
}

func (b *pop3Bench) table(format string) {
	fmt.Printf("\n%s, %d messages of %d KB%26s %30s\n", format, b.n, bodySize>>10, "CPU µs each", "done a second")
	fmt.Printf("%-34s %10s %10s %6s %10s %10s %6s %8s %8s\n", "", "dovetail", "Dovecot", "×", "dovetail", "Dovecot", "×", "MB/s", "")
	for _, row := range pop3Rows(b) {
		if !b.only.MatchString(row.name) {
			continue
		}
		line, err := b.measure(row, format)
		if err != nil {
			line = "not measured: " + strings.TrimSpace(err.Error())
		}
		fmt.Printf("%-34s %s\n", row.name, line)
	}
}

func (b *pop3Bench) measure(row pop3Row, format string) (string, error) {
	cpu, rate := make([]float64, len(b.servers)), make([]float64, len(b.servers))
	costs := make([][]cost, len(b.servers))
	for round := -1; round < b.rounds; round++ { // nobody counts the first one
		for i, s := range b.servers {
			before, began := s.cpu(), time.Now()
			if err := row.run(s, "bench@"+format); err != nil {
				return "", fmt.Errorf("%s: %w", s.name, s.explain(err))
			}
			wall := time.Since(began)
			time.Sleep(settle)
			if round >= 0 {
				costs[i] = append(costs[i], cost{cpu: s.cpu() - before, wall: wall})
			}
		}
	}
	for i := range costs {
		m := median(costs[i])
		cpu[i], rate[i] = m.cpu.Seconds()*1e6/float64(row.items), float64(row.items)/m.wall.Seconds()
	}
	if len(costs) == 1 {
		return fmt.Sprintf("%10.1f %10s %6s %10.0f", cpu[0], "", "", rate[0]), nil
	}
	line := fmt.Sprintf("%10.1f %10.1f %6.1f %10.0f %10.0f %6.1f", cpu[0], cpu[1], cpu[1]/cpu[0], rate[0], rate[1], rate[0]/rate[1])
	if row.mb > 0 {
		per := row.mb / float64(row.items)
		line += fmt.Sprintf(" %8.0f %8.0f", rate[0]*per, rate[1]*per)
	}
	return line, nil
}

// logInBy logs in and out.
func logInBy(clients, times int) func(s *pop3Server, user string) error {
	return func(s *pop3Server, user string) error {
		var group errgroup.Group
		for range clients {
			group.Go(func() error {
				for range times / clients {
					c, err := dialPOP3(s.pop, user)
					if err != nil {
						return err
					}
					if err := errors.Join(c.one("STAT"), c.close()); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	}
}

// inSession gives commands that are answered with a list.
func inSession(times int, commands ...string) func(s *pop3Server, user string) error {
	return func(s *pop3Server, user string) error {
		c, err := dialPOP3(s.pop, user)
		if err != nil {
			return err
		}
		for range times {
			if err := c.lists(slices.Values(commands)); err != nil {
				return err
			}
		}
		return c.close()
	}
}

// fetchBy asks for all messages, so many at once.
func fetchBy(n, at int, command string) func(s *pop3Server, user string) error {
	return func(s *pop3Server, user string) error {
		c, err := dialPOP3(s.pop, user)
		if err != nil {
			return err
		}
		for i := 1; i <= n; i += at {
			err := c.lists(func(yield func(string) bool) {
				for k := i; k < i+at && k <= n && yield(fmt.Sprintf(command, k)); k++ {
				}
			})
			if err != nil {
				return err
			}
		}
		return c.close()
	}
}
