package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory tells how much each idle connection takes: of one user who looks at the same mailbox everywhere, and of as many
// users, each at his own. It is what smaps_rollup calls Pss, summed up over all processes of a server, and above what
// there was before the first connection.
func (b *imapBench) memory() error {
	fmt.Printf("\n%-40s %10s %10s %6s\n", "KB for each idle connection", "dovetail", "Dovecot", "×")
	for _, count := range b.idle {
		n, err := strconv.Atoi(count)
		if err != nil {
			return err
		}
		one, many := func(int) string { return "bench@" }, func(i int) string { return fmt.Sprintf("user%05d@", i) }
		for _, of := range []struct {
			name   string
			user   func(i int) string
			secure bool
		}{
			{"%d, of one user, %s", one, false},
			{"%d users, %s", many, false},
			{"%d users, %s, TLS", many, true},
		} {
			for _, format := range b.formats {
				if name := fmt.Sprintf(of.name, n, format); b.only.MatchString("idle " + name) {
					fmt.Printf("%-40s %s\n", name, b.idling(name, n, func(i int) string { return of.user(i) + format }, of.secure))
				}
			}
		}
	}
	return nil
}

// idling gives the rest of a line.
func (b *imapBench) idling(name string, n int, user func(i int) string, secure bool) (line string) {
	var each []float64
	for _, s := range b.servers {
		s.stop()
		kb, err := 0.0, s.start()
		if err == nil {
			kb, err = s.idle(n, user, secure)
		}
		if err != nil {
			return "not measured: " + strings.TrimSpace(s.explain(err).Error())
		}
		each = append(each, kb)
		line += fmt.Sprintf("%10.1f ", kb)
	}
	if len(each) == 2 {
		line += fmt.Sprintf("%6.1f", each[1]/each[0])
		if each[1] < each[0] {
			b.behind = append(b.behind, "idle: "+name)
		}
	}
	return line
}

// idle opens connections that wait in IDLE, and gives what each of them takes.
func (s *imapServer) idle(n int, user func(i int) string, secure bool) (float64, error) {
	before, err := s.pss()
	if err != nil {
		return 0, err
	}
	conns := make([]*imapConn, 0, n)
	defer func() {
		for _, c := range conns {
			c.socket.Close()
		}
	}()
	for i := range n {
		c, err := s.login(user(i), secure)
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w", i, err)
		}
		conns = append(conns, c)
		if err := c.cmd("SELECT INBOX"); err != nil {
			return 0, err
		}
		if _, err := c.socket.Write([]byte("i IDLE\r\n")); err != nil {
			return 0, err
		}
		if _, err := c.until("+ "); err != nil {
			return 0, err
		}
		c.small()
	}
	time.Sleep(idleSettle)
	after, err := s.pss()
	return float64(after-before) / float64(n), err
}

// idleSettle is how long connections have been idle when their memory is looked at.
const idleSettle = 5 * time.Second

// pss is the memory of all processes of a server, in KB.
func (s *imapServer) pss() (int64, error) {
	all, sum := processes(), int64(0)
	for pid := range all {
		if !descends(all, pid, s.cmd.Process.Pid) {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
		if os.IsNotExist(err) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); f[0] == "Pss:" {
				kb, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil {
					return 0, err
				}
				sum += kb
			}
		}
	}
	return sum, nil
}

func descends(all map[int]process, pid, from int) bool {
	for pid > 1 && pid != from {
		pid = all[pid].parent
	}
	return pid == from
}
