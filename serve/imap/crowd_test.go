package imap_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// TestManySessionsAtOnce has a crowd change one mailbox at the same time, each of it at random, alone or with half of it at
// a Dovecot. Whoever believes what it is told is never wrong, and when all are quiet they agree on messages, flags and
// modseqs; no message is \Recent in two sessions.
func TestManySessionsAtOnce(t *testing.T) {
	for _, format := range []string{"sdbox", "mdbox", "maildir", "mbox"} {
		for _, beside := range []bool{false, true} {
			name := format
			if beside {
				name += " beside Dovecot"
			}
			t.Run(name, func(t *testing.T) {
				if beside {
					dovecot.Need(t)
				}
				root := dovecot.TempDir(t)
				c := crowd{t: t, noCopies: beside && format == "mbox"}
				location := format + ":" + root + "/mail"
				if format == "mbox" {
					location += ":INBOX=" + root + "/inbox"
				}
				c.come(location, beside)
				c.act()
				c.agree()
			})
		}
	}
}

type crowd struct {
	t       *testing.T
	clients []*shown

	// noCopies: the clients at a Dovecot copy nothing. It dies now and then when it copies within one mbox while others change
	// it (2.3.19.1: "assertion failed: (stream->istream.v_offset >= rstream->from_offset)"), also with no other program there.
	noCopies bool
}

const crowdSize, crowdSteps = 8, 30

// come logs everybody in.
func (c *crowd) come(location string, beside bool) {
	server := start(c.t, location)
	server.login().Append("INBOX", "", "", "A: b\r\n\r\nc\r\n")
	login := func(int) *client.Session { return server.login() }
	if beside {
		judge := dovecot.New(c.t, location)
		login = func(i int) *client.Session {
			if i%2 == 1 {
				return judge.IMAP()
			}
			return server.login()
		}
	}
	for i := range crowdSize {
		one := &shown{s: login(i), qresync: i >= 6}
		if one.qresync {
			one.s.Cmd("ENABLE QRESYNC")
		} else {
			one.s.Cmd("ENABLE CONDSTORE")
		}
		one.do(c.t, "SELECT INBOX")
		c.clients = append(c.clients, one)
	}
}

// act lets all of them do something at once.
func (c *crowd) act() {
	var wait sync.WaitGroup
	for i, one := range c.clients {
		rnd := rand.New(rand.NewPCG(uint64(i), 3))
		wait.Go(func() {
			for range crowdSteps {
				n := len(one.uids)
				command := randomCommand(rnd, n)
				if c.noCopies && i%2 == 1 && strings.HasPrefix(command, "UID COPY") {
					command = "NOOP"
				}
				if status := one.do(c.t, command); strings.HasPrefix(status, "BAD") && n > 0 {
					c.t.Errorf("client %d, %s: %s", i, command, status)
				}
			}
		})
	}
	wait.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// agree compares what they believe with what there is, and with each other.
func (c *crowd) agree() {
	for range 2 { // what the last ones do now the first ones see in the next round
		for _, one := range c.clients {
			one.do(c.t, "CHECK")
		}
	}
	recent := map[string]int{}
	var first []string
	for i, one := range c.clients {
		one.check(c.t, fmt.Sprintf("client %d at the end", i))
		for k, uid := range one.uids {
			if strings.Contains(one.flags[k], `\Recent`) {
				recent[uid]++
			}
		}
		all := c.state(one)
		if i == 0 {
			first = all
		} else if !slices.Equal(all, first) {
			c.t.Errorf("client %d sees\n%s\nand client 0\n%s", i, strings.Join(all, "\n"), strings.Join(first, "\n"))
		}
	}
	for uid, times := range recent {
		if times > 1 {
			c.t.Errorf("UID %s is recent in %d sessions", uid, times)
		}
	}
}

// state is every message as a session is told of it when it asks.
func (c *crowd) state(one *shown) (all []string) {
	for _, line := range one.s.Cmd("UID FETCH 1:* (UID FLAGS MODSEQ)") {
		m := fetchLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		text := "UID " + uidItem.FindStringSubmatch(m[2])[1]
		flags := strings.Fields(flagsItem.FindStringSubmatch(m[2])[1])
		flags = slices.DeleteFunc(flags, func(f string) bool { return f == `\Recent` })
		slices.Sort(flags)
		text += " " + strings.Join(flags, " ")
		if modseq := modSeqItem.FindStringSubmatch(m[2]); modseq != nil {
			text += " " + modseq[1]
		}
		all = append(all, text)
	}
	return all
}
