package main

import (
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

// lmtpMain measures LMTP: "dovetail serve" and real Dovecot run at the same time with the same configuration, each with
// mail of its own on one disk, and are given messages in turns. Both keep mail_fsync as it is: a delivery is counted when
// its 250 has come.
//
// Each row tells deliveries a second and the processor time of the server for each message, with all its processes, as
// the median of the rounds.
func lmtpMain(args []string) {
	flags := flag.NewFlagSet("bench lmtp", flag.ExitOnError)
	b := lmtpBench{stage: &stage{}}
	flags.StringVar(&b.dir, "dir", "", "folder to work in, on a real disk; default a temporary one")
	flags.StringVar(&b.dovetail, "dovetail", "bin/dovetail", "the program to measure")
	flags.IntVar(&b.n, "n", 500, "deliveries of a round")
	flags.IntVar(&b.size, "size", 4096, "bytes of a message")
	flags.IntVar(&b.rounds, "rounds", 5, "how often")
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
		log.Fatal("bench lmtp: ", err)
	}
}

type lmtpBench struct {
	*stage
	dir, dovetail   string
	n, size, rounds int
	formats         []string
	only            *regexp.Regexp
	servers         []*lmtpServer
	message         []byte
	round           int
}

// lmtpServer is a program under measurement.
type lmtpServer struct {
	*imapServer
	socket string
	mail   string // the folder of the mail
}

func (b *lmtpBench) run() error {
	if b.rounds < 1 || b.n < 50 || b.size < 100 {
		return errors.New("-rounds: at least 1; -n: at least 50; -size: at least 100")
	}
	if b.dir == "" {
		b.dir = b.TempDir()
	}
	var err error
	if b.dovetail, err = programs(b.dir, b.dovetail); err != nil {
		return err
	}
	b.message = lmtpMessage(b.size)
	b.servers = []*lmtpServer{{imapServer: &imapServer{name: "dovetail", run: []string{b.dovetail, "serve", "-c"}}}}
	why := noDovecot()
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil && why == "" {
		why = err.Error() + " (apt-get install dovecot-lmtpd)"
	}
	if why != "" {
		fmt.Println("Dovecot is not measured:", why)
	} else {
		b.servers = append(b.servers, &lmtpServer{imapServer: &imapServer{name: "Dovecot", run: []string{"dovecot", "-F", "-c"}}})
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

// lmtpMessage is a message as it is sent, with its end.
func lmtpMessage(size int) []byte {
	text := "From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: measured\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n" +
		"Message-ID: <measured@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
	line := strings.Repeat("measured ", 8) + "\r\n"
	return []byte(text + strings.Repeat(line, max(1, (size-len(text))/len(line))) + ".\r\n")
}

// lmtpConf has the processes of Dovecot stay for further clients. Takes what imapConf takes, and the socket.
const lmtpConf = `protocols = imap lmtp
service lmtp {
  process_min_avail = 4
  service_count = 0
  unix_listener %[1]s {
    mode = 0666
  }
}
`

// configure writes a server's configuration and starts it.
func (b *lmtpBench) configure(s *lmtpServer) error {
	dir := filepath.Join(b.dir, strings.ToLower(s.name)+".d")
	s.mail = filepath.Join(dir, "mail")
	if err := os.MkdirAll(s.mail, 0o755); err != nil {
		return err
	}
	if err := own(s.mail); err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.addr = free.Addr().String()
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	uid, gid := ids()
	s.conf, s.log, s.socket = filepath.Join(dir, "dovecot.conf"), filepath.Join(dir, "log"), filepath.Join(dir, "in")
	text := fmt.Sprintf(imapConf, dir, port, s.mail, uid, gid) + fmt.Sprintf(lmtpConf, s.socket)
	if err := os.WriteFile(s.conf, []byte(text), 0o644); err != nil {
		return err
	}
	return s.start()
}

// lmtpRow is one way of sending.
type lmtpRow struct {
	name       string
	senders    int
	boxes      int // different users
	recipients int // of a message
}

func lmtpRows() []lmtpRow {
	var rows []lmtpRow
	for _, n := range []int{1, 10, 50} {
		rows = append(rows, lmtpRow{fmt.Sprintf("%d senders, one mailbox", n), n, 1, 1})
		if n > 1 {
			rows = append(rows, lmtpRow{fmt.Sprintf("%d senders, %[1]d mailboxes", n), n, n, 1})
		}
	}
	return append(rows, lmtpRow{"1 sender, 50 recipients each", 1, 50, 50})
}

func (b *lmtpBench) table(format string) {
	fmt.Printf("\n%s, %d bytes%35s %30s\n", format, b.size, "deliveries/s", "CPU µs each")
	fmt.Printf("%-34s %10s %10s %6s %10s %10s %6s\n", "", "dovetail", "Dovecot", "×", "dovetail", "Dovecot", "×")
	for _, row := range lmtpRows() {
		if !b.only.MatchString(row.name) {
			continue
		}
		line, err := b.measure(row, format)
		if err != nil {
			line = "not measured: " + strings.TrimSpace(err.Error())
		}
		fmt.Printf("%-34s %s\n", row.name, line)
	}
	if b.only.MatchString("IDLE") {
		b.wake(format)
	}
}

func (b *lmtpBench) measure(row lmtpRow, format string) (string, error) {
	rate, cpu := make([][]float64, len(b.servers)), make([][]float64, len(b.servers))
	for round := -1; round < b.rounds; round++ { // nobody counts the first one
		for i, s := range b.servers {
			b.round++
			c, err := b.once(row, s, format)
			if err != nil {
				return "", fmt.Errorf("%s: %w", s.name, s.explain(err))
			}
			if round >= 0 {
				n := float64(b.n / row.senders / row.recipients * row.senders * row.recipients)
				rate[i], cpu[i] = append(rate[i], n/c.wall.Seconds()), append(cpu[i], c.cpu.Seconds()*1e6/n)
			}
		}
	}
	middle := func(list []float64) float64 { slices.Sort(list); return list[len(list)/2] }
	if len(b.servers) == 1 {
		return fmt.Sprintf("%10.0f %10s %6s %10.0f", middle(rate[0]), "", "", middle(cpu[0])), nil
	}
	a, z, p, q := middle(rate[0]), middle(rate[1]), middle(cpu[0]), middle(cpu[1])
	return fmt.Sprintf("%10.0f %10.0f %6.1f %10.0f %10.0f %6.1f", a, z, a/z, p, q, q/p), nil
}

// once sends b.n messages to users who have got none so far but one that makes their mailbox.
func (b *lmtpBench) once(row lmtpRow, s *lmtpServer, format string) (c cost, err error) {
	user := func(i int) string { return fmt.Sprintf("r%du%d@%s", b.round, i%row.boxes, format) }
	conns := make([]*lmtpConn, row.senders)
	for i := range conns {
		if conns[i], err = dialLMTP(s.socket); err != nil {
			return c, err
		}
		defer conns[i].Close()
	}
	for i := range row.boxes {
		if err := conns[0].send(b.message, user(i)); err != nil {
			return c, err
		}
	}
	cpu, began := s.cpu(), time.Now()
	var group errgroup.Group
	for i, conn := range conns {
		to := []string{user(i)}
		for k := 1; k < row.recipients; k++ {
			to = append(to, user(k))
		}
		group.Go(func() error {
			for range b.n / row.senders / row.recipients {
				if err := conn.send(b.message, to...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return c, err
	}
	c.wall = time.Since(began)
	time.Sleep(settle)
	c.cpu = s.cpu() - cpu
	return c, nil
}
