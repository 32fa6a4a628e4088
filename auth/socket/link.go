package socket

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"dovetail/auth/sasl"
)

// link is a client's connection to an auth service. Requests of many goroutines are under way on it at once; a reply
// finds its request by the number.
type link struct {
	net  net.Conn
	in   *lines
	gone chan struct{} // closed when nothing more will be read; then err is why
	err  error

	// What the server said in its greeting.
	pid, cookie string
	mechanisms  []sasl.Info

	writing sync.Mutex // one line at a time

	mu      sync.Mutex // guards what follows
	last    uint32
	waiting map[uint32]chan []string
}

// errServer is an answer that is not of the protocol.
var errServer = errors.New("the auth service does not speak its protocol")

// maxReply is how long a line of a server may be. Dovecot has no limit for them; fields of a user are some hundred bytes.
const maxReply = 1 << 20

// dial connects and exchanges greetings. hello is what this side says; until is the word that ends the other's.
func dial(ctx context.Context, address, hello, until string) (*link, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l := &link{net: nc, in: newLines(nc, maxReply), gone: make(chan struct{}), waiting: map[uint32]chan []string{}}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	if err = l.send([]byte(hello)); err == nil {
		err = l.greeting(until)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("auth service at %s: %w", address, err)
	}
	go l.read()
	return l, nil
}

func (l *link) send(line []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	_, err := l.net.Write(append(line, '\n'))
	return err
}

// greeting reads up to the line that ends it.
func (l *link) greeting(until string) error {
	for first := true; ; first = false {
		line, err := l.in.next()
		if err != nil {
			return fmt.Errorf("greeting: %w", err)
		}
		w := words(line)
		switch {
		case len(w) == 0 || first != (w[0] == "VERSION"):
			return errServer
		case first && (len(w) < 2 || w[1] != "1"):
			return fmt.Errorf("%w: its version is %s", errServer, sanitize(strings.Join(w[1:], ".")))
		case w[0] == "MECH" && len(w) > 1:
			l.mechanisms = append(l.mechanisms, mechanismOf(w[1:]))
		case w[0] == "SPID" && len(w) > 1:
			l.pid = w[1]
		case w[0] == "COOKIE" && len(w) > 1:
			if l.cookie = w[1]; !isCookie(l.cookie) {
				return errServer
			}
		case w[0] == "CUID" && until == "SPID":
			return errors.New("this is a socket for SASL; a userdb or master socket is needed")
		}
		if w[0] == until {
			return nil
		}
	}
}

func isCookie(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == 16
}

// mechanismOf is the reverse of appendMechanism.
func mechanismOf(w []string) sasl.Info {
	m := sasl.Info{Name: w[0]}
	flags := map[string]*bool{
		"private": &m.Private, "anonymous": &m.Anonymous, "plaintext": &m.Plaintext, "dictionary": &m.Dictionary,
		"active": &m.Active, "forward-secrecy": &m.ForwardSecrecy, "mutual-auth": &m.MutualAuth,
	}
	for _, word := range w[1:] {
		if flag := flags[word]; flag != nil {
			*flag = true
		}
	}
	return m
}

// read hands out replies until the connection ends, which is when net is closed at the latest.
func (l *link) read() {
	defer close(l.gone)
	defer l.net.Close()
	for {
		line, err := l.in.next()
		if err != nil {
			l.err = err
			return
		}
		w := words(line)
		if len(w) < 2 {
			l.err = errServer
			return
		}
		id, ok := number(w[1])
		l.mu.Lock()
		to := l.waiting[id]
		l.mu.Unlock()
		if !ok {
			l.err = errServer
			return
		}
		if to != nil { // else it was cancelled
			to <- append(w[:1:1], w[2:]...)
		}
	}
}

// open gives a request its number and the channel of its replies, which read waits for; done ends it.
func (l *link) open() (id uint32, replies chan []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id == 0 || l.waiting[id] != nil {
		l.last++
		id = l.last
	}
	replies = make(chan []string, 1)
	l.waiting[id] = replies
	return id, replies
}

// done forgets a request. A reply that is on its way is let pass.
func (l *link) done(id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.waiting[id]:
	default:
	}
	delete(l.waiting, id)
}

// next waits for a reply: its verb and what follows the id.
func (l *link) next(ctx context.Context, replies chan []string) ([]string, error) {
	select {
	case w := <-replies:
		return w, nil
	default:
	}
	select {
	case w := <-replies:
		return w, nil
	case <-l.gone:
		select {
		case w := <-replies: // it came before the end
			return w, nil
		default:
			return nil, fmt.Errorf("auth service: %w", l.err)
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// over tells whether the connection has ended.
func (l *link) over() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

func (l *link) close() {
	l.net.Close()
	<-l.gone
}
