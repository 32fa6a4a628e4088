package imap_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// shown is what a client believes of its mailbox, from untagged responses alone.
type shown struct {
	s       *client.Session
	qresync bool
	uids    []string // by sequence number, "" not known yet
	flags   []string
}

var (
	expungeLine  = regexp.MustCompile(`^\* (\d+) EXPUNGE$`)
	existsLine   = regexp.MustCompile(`^\* (\d+) EXISTS$`)
	vanishedLine = regexp.MustCompile(`^\* VANISHED ([\d:,]+)$`)
	fetchLine    = regexp.MustCompile(`^\* (\d+) FETCH \((.*)\)$`)
	uidItem      = regexp.MustCompile(`UID (\d+)`)
	flagsItem    = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
)

// take applies untagged responses. numbers: the command counts on its sequence numbers, so nothing may vanish in it.
func (c *shown) take(t *testing.T, command string, lines []string, numbers bool) {
	t.Helper()
	for _, line := range lines {
		switch {
		case expungeLine.MatchString(line):
			n, _ := strconv.Atoi(expungeLine.FindStringSubmatch(line)[1])
			if numbers || c.qresync || n < 1 || n > len(c.uids) {
				t.Fatalf("%s: %q with %d messages", command, line, len(c.uids))
			}
			c.uids, c.flags = slices.Delete(c.uids, n-1, n), slices.Delete(c.flags, n-1, n)
		case vanishedLine.MatchString(line):
			if numbers || !c.qresync {
				t.Fatalf("%s: %q", command, line)
			}
			c.vanished(t, vanishedLine.FindStringSubmatch(line)[1])
		case existsLine.MatchString(line):
			n, _ := strconv.Atoi(existsLine.FindStringSubmatch(line)[1])
			if n < len(c.uids) {
				t.Fatalf("%s: %q with %d messages", command, line, len(c.uids))
			}
			for len(c.uids) < n {
				c.uids, c.flags = append(c.uids, ""), append(c.flags, "")
			}
		case fetchLine.MatchString(line):
			m := fetchLine.FindStringSubmatch(line)
			n, _ := strconv.Atoi(m[1])
			if n < 1 || n > len(c.uids) {
				t.Fatalf("%s: %q with %d messages", command, line, len(c.uids))
			}
			if u := uidItem.FindStringSubmatch(m[2]); u != nil {
				if c.uids[n-1] != "" && c.uids[n-1] != u[1] {
					t.Fatalf("%s: %q, but message %d has UID %s", command, line, n, c.uids[n-1])
				}
				c.uids[n-1] = u[1]
			}
			if f := flagsItem.FindStringSubmatch(m[2]); f != nil {
				c.flags[n-1] = f[1]
			}
		}
	}
}

func (c *shown) vanished(t *testing.T, set string) {
	t.Helper()
	for part := range strings.SplitSeq(set, ",") {
		first, last, ok := strings.Cut(part, ":")
		if !ok {
			last = first
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for uid := from; uid <= to; uid++ {
			i := slices.Index(c.uids, strconv.Itoa(uid))
			if i < 0 {
				i = c.unknown(uid)
			}
			if i < 0 {
				t.Fatalf("UID %d vanished, but was not there: %v", uid, c.uids)
			}
			c.uids, c.flags = slices.Delete(c.uids, i, i+1), slices.Delete(c.flags, i, i+1)
		}
	}
}

// unknown is the place of a new message that the client has not asked for yet and that may have that UID, -1 for none.
func (c *shown) unknown(uid int) int {
	place := -1
	for i, known := range c.uids {
		n, _ := strconv.Atoi(known)
		switch {
		case n > uid:
			return place
		case n > 0:
			place = -1
		case place < 0:
			place = i
		}
	}
	return place
}

var silentStore = regexp.MustCompile(`^(UID )?STORE (\d+):(\d+),(\d+) \S+\.SILENT`)

// forget what the client changes itself without being told the outcome.
func (c *shown) forget(command string) {
	m := silentStore.FindStringSubmatch(command)
	if m == nil {
		return
	}
	first, _ := strconv.Atoi(m[2])
	last, _ := strconv.Atoi(m[3])
	single, _ := strconv.Atoi(m[4])
	for i := range c.uids {
		n := i + 1
		if m[1] != "" {
			n, _ = strconv.Atoi(c.uids[i])
		}
		if n == 0 || n == single || min(first, last) <= n && n <= max(first, last) {
			c.flags[i] = ""
		}
	}
}

// do runs a command and applies what comes of it.
func (c *shown) do(t *testing.T, command string) string {
	t.Helper()
	c.forget(command)
	lines, status := c.s.Try(command)
	word, _, _ := strings.Cut(command, " ")
	c.take(t, command, lines, word == "FETCH" || word == "STORE" || word == "SEARCH")
	// A client of QRESYNC has to know the UIDs of what is new before it vanishes.
	if c.qresync && slices.Contains(c.uids, "") && word != "FETCH" {
		c.do(t, fmt.Sprintf("FETCH 1:%d (UID FLAGS)", len(c.uids)))
	}
	return status
}

// check compares with a fresh look.
func (c *shown) check(t *testing.T, when string) {
	t.Helper()
	c.do(t, "NOOP")
	known, flags := slices.Clone(c.uids), slices.Clone(c.flags)
	if len(c.uids) > 0 {
		c.do(t, "FETCH 1:* (UID FLAGS)")
	}
	if len(c.uids) != len(known) {
		t.Fatalf("%s: the client knew of %d messages, there are %d", when, len(known), len(c.uids))
	}
	for i := range known {
		if known[i] != "" && known[i] != c.uids[i] || flags[i] != "" && flags[i] != c.flags[i] {
			t.Fatalf("%s: message %d was known as UID %s (%s), and is UID %s (%s)", when, i+1, known[i], flags[i], c.uids[i], c.flags[i])
		}
	}
}

// randomCommand is one of those that clients use.
func randomCommand(rnd *rand.Rand, n int) string {
	set := func() string {
		first, second := 1+rnd.IntN(max(n, 1)), 1+rnd.IntN(max(n, 1))
		return fmt.Sprintf("%d:%d,%d", first, second, 1+rnd.IntN(max(n, 1)))
	}
	flag := []string{`\Seen`, `\Flagged`, `\Deleted`, `\Answered`, "k1", "k2"}[rnd.IntN(6)]
	op := []string{"+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT", "FLAGS.SILENT"}[rnd.IntN(6)]
	switch rnd.IntN(12) {
	case 0, 1:
		return "APPEND INBOX (" + flag + ") {9+}\r\nA: b\r\n\r\nc"
	case 2:
		return "EXPUNGE"
	case 3:
		return "UID EXPUNGE " + set()
	case 4, 5:
		return "STORE " + set() + " " + op + " (" + flag + ")"
	case 6:
		return "UID STORE " + set() + " " + op + " (" + flag + ")"
	case 7:
		return "UID FETCH " + set() + " FLAGS"
	case 8:
		return "FETCH " + set() + " (UID FLAGS)"
	case 9:
		return "SEARCH " + strings.ToUpper(strings.TrimPrefix(`\Seen`, `\`))
	case 10:
		return "UID COPY " + set() + " INBOX"
	}
	return "NOOP"
}

// TestClientsThatBelieveWhatTheyAreToldKnowTheMailbox has several sessions do anything at random; whoever applies
// untagged responses must never be wrong (RFC 3501 section 7, RFC 7162 section 3.2.10).
func TestClientsThatBelieveWhatTheyAreToldKnowTheMailbox(t *testing.T) {
	for _, format := range []string{"sdbox", "mdbox", "maildir"} {
		t.Run(format, func(t *testing.T) {
			server := start(t, format+":"+dovecot.TempDir(t)+"/mail")
			rnd := rand.New(rand.NewPCG(7, 11))
			var clients []*shown
			for i := range 4 {
				c := &shown{s: server.login(), qresync: i == 3}
				if i == 2 {
					c.s.Cmd("ENABLE CONDSTORE")
				}
				if c.qresync {
					c.s.Cmd("ENABLE QRESYNC")
				}
				clients = append(clients, c)
				c.do(t, "SELECT INBOX")
			}
			for step := range 250 {
				c := clients[rnd.IntN(len(clients))]
				n := len(c.uids)
				command := randomCommand(rnd, n)
				status := c.do(t, command)
				if strings.HasPrefix(status, "BAD") && n > 0 {
					t.Fatalf("%s: %s", command, status)
				}
				if rnd.IntN(10) == 0 {
					clients[rnd.IntN(len(clients))].check(t, fmt.Sprintf("step %d, after %s", step, command))
				}
			}
			for _, c := range clients {
				c.check(t, "at the end")
			}
			for _, c := range clients[1:] {
				if !slices.Equal(c.uids, clients[0].uids) {
					t.Errorf("clients disagree: %v and %v", c.uids, clients[0].uids)
				}
			}
		})
	}
}
