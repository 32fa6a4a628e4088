package main

import (
	"fmt"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"
)

const (
	imapLogins = 400 // of the rows of logins
	selects    = 500
)

// together does something with several sessions at once.
func (t *imapTest) together(clients int, do func(i int, c *imapConn) error) error {
	conns := make([]*imapConn, clients)
	for i := range conns {
		var err error
		if conns[i], err = t.login(); err != nil {
			return err
		}
		defer conns[i].close()
	}
	var group errgroup.Group
	for i, c := range conns {
		group.Go(func() error { return do(i, c) })
	}
	return group.Wait()
}

// logInOften logs in and out.
func logInOften(clients int) func(t *imapTest) error {
	return func(t *imapTest) error {
		var group errgroup.Group
		for range clients {
			group.Go(func() error {
				for range imapLogins / clients {
					c, err := t.login()
					if err != nil {
						return err
					}
					c.close()
				}
				return nil
			})
		}
		return group.Wait()
	}
}

func selectOften(t *imapTest) error {
	for range selects {
		if err := t.cmd("SELECT INBOX"); err != nil {
			return err
		}
	}
	return nil
}

// appends is how many messages a row saves in all.
const appends = 500

// appendRow has several sessions save messages of 10 KB at the same time, into one mailbox or each into its own.
func appendRow(clients int, apart bool) imapRow {
	name, boxes := fmt.Sprintf("APPEND, %d sessions", clients), 1
	if apart {
		name, boxes = name+", each its own mailbox", clients
	}
	names := boxNames(boxes)
	message := bodyOf(1)
	return imapRow{name: name, fresh: true, items: appends,
		before: func(t *imapTest) error { return eachOf(t, "CREATE", names) },
		run: func(t *imapTest) error {
			return t.together(clients, func(i int, c *imapConn) error {
				for range appends / clients {
					if err := c.append(names[i%boxes], message); err != nil {
						return err
					}
				}
				return nil
			})
		},
		after: func(t *imapTest) error { return eachOf(t, "DELETE", names) }}
}

// mixedEach is how many commands each session of the mixed load gives.
const mixedEach = 1000

// mixedRow has sessions give the commands of people who read mail, drawn with the same dice for both servers.
func mixedRow(b *imapBench, clients int) imapRow {
	message := bodyOf(2)[:3000]
	return imapRow{name: fmt.Sprintf("mixed load, %d sessions", clients), items: clients * mixedEach,
		before: func(t *imapTest) error { return eachOf(t, "CREATE", boxNames(1)) },
		run: func(t *imapTest) error {
			return t.together(clients, func(i int, c *imapConn) error {
				dice := rand.New(rand.NewPCG(1, uint64(i)))
				if err := c.cmd("SELECT INBOX"); err != nil {
					return err
				}
				for range mixedEach {
					if err := mixedCommand(c, dice, b.n, message); err != nil {
						return err
					}
				}
				return nil
			})
		},
		after: func(t *imapTest) error { return eachOf(t, "DELETE", boxNames(1)) }}
}

// mixedCommand gives one command. What it looks at is mostly among the last messages.
func mixedCommand(c *imapConn, dice *rand.Rand, n int, message []byte) error {
	at := n - dice.IntN(min(n, 1000))
	few := max(at-20, 1)
	switch k := dice.IntN(100); {
	case k < 25:
		return c.cmd(fmt.Sprintf("UID FETCH %d (UID FLAGS BODY.PEEK[])", at))
	case k < 40:
		return c.cmd(fmt.Sprintf("FETCH %d:%d (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", few, at))
	case k < 50:
		return c.cmd(fmt.Sprintf("FETCH %d:%d (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])", few, at))
	case k < 58:
		return c.cmd(fmt.Sprintf("UID FETCH %d BODYSTRUCTURE", at))
	case k < 63:
		return c.cmd(fmt.Sprintf("UID FETCH %d (BODY.PEEK[HEADER] BODY.PEEK[1])", at))
	case k < 75:
		return c.cmd(fmt.Sprintf(`UID STORE %d %cFLAGS (\Flagged)`, at, "+-"[dice.IntN(2)]))
	case k < 80:
		return c.cmd("UID SEARCH UNSEEN")
	case k < 82:
		return c.cmd(fmt.Sprintf("UID SEARCH UID %d:%d SUBJECT meeting", few, at))
	case k < 90:
		return c.cmd("NOOP")
	case k < 94:
		return c.cmd("STATUS Bodies (MESSAGES UNSEEN UIDNEXT)")
	case k < 96:
		return c.cmd("LIST \"\" *")
	case k < 98:
		return c.append("Box00", message)
	case k < 99:
		return c.cmd(fmt.Sprintf("UID COPY %d Box00", at))
	}
	return c.cmd("SELECT INBOX")
}
