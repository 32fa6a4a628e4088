package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"time"
)

// wakes is how often it is measured how soon a session that idles is told of a delivery.
const wakes = 20

// wake prints the time from the end of a message to the EXISTS in a session that idles, median and longest.
func (b *lmtpBench) wake(format string) {
	line := "from DATA's end to EXISTS in IDLE, ms:"
	for _, s := range b.servers {
		list, err := b.wakeOf(s, format)
		if err != nil {
			line += fmt.Sprintf(" %s: not measured: %v", s.name, err)
			continue
		}
		slices.Sort(list)
		line += fmt.Sprintf(" %s median %.1f longest %.1f;", s.name, ms(list[len(list)/2]), ms(list[len(list)-1]))
	}
	fmt.Println(strings.TrimSuffix(line, ";"))
}

func (b *lmtpBench) wakeOf(s *lmtpServer, format string) (list []time.Duration, err error) {
	user := "idle@" + format
	in, err := dialLMTP(s.socket)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if err := in.send(b.message, user); err != nil {
		return nil, err
	}
	c, err := s.login(user, false)
	if err != nil {
		return nil, err
	}
	defer c.socket.Close() // it would not log out from within IDLE
	if err := c.cmd("SELECT INBOX"); err != nil {
		return nil, err
	}
	c.socket.SetDeadline(time.Now().Add(lmtpWait))
	if _, err := c.socket.Write([]byte("z IDLE\r\n")); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(c.socket)
	until := func(want string) error {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return nil
			}
		}
		return fmt.Errorf("no %q: %v", want, lines.Err())
	}
	if err := until("+ "); err != nil {
		return nil, err
	}
	for range wakes {
		time.Sleep(settle) // Dovecot tells of changes that come close together at once
		began := time.Now()
		if err := in.send(b.message, user); err != nil {
			return nil, err
		}
		if err := until(" EXISTS"); err != nil {
			return nil, err
		}
		list = append(list, time.Since(began))
	}
	return list, nil
}
