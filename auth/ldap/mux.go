package ldap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// mux is a connection that the library and our searches share. A login's search takes the library several goroutines
// and a tree of packets both ways, which together cost more than all the rest of the login; here it is a text that is
// written and one that comes back. Everything else is the library's: messages are told apart by their ids.
//
// It is read by the library, and nothing comes when the library has stopped to.
type mux struct {
	net.Conn
	in   *bufio.Reader
	left int // bytes of a message of the library that are not read yet

	writing sync.Mutex // its holder has the deadline of writes

	mu      sync.Mutex // guards what follows
	last    int32
	waiting map[int32]*asked
	ended   error // why no more answers come
}

// asked is a search that is not answered yet.
type asked struct {
	result ldap.SearchResult
	done   chan error // has room for one
}

// Our messages have ids above firstID; the library's begin with 1.
const firstID = 1 << 30

func newMux(c net.Conn) *mux {
	return &mux{Conn: c, in: bufio.NewReader(c), last: firstID, waiting: map[int32]*asked{}}
}

// search gives what the library's Search does. When ctx is over, or there is no answer for so long, nobody waits for
// one any more; the latter is errHanging.
func (m *mux) search(ctx context.Context, answering time.Duration, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	filter, err := ldap.CompileFilter(r.Filter)
	if err != nil {
		return nil, err
	}
	a := &asked{done: make(chan error, 1)}
	m.mu.Lock()
	if m.last++; m.last == math.MaxInt32 {
		m.last = firstID + 1
	}
	id := m.last
	err = m.ended
	m.waiting[id] = a
	m.mu.Unlock()
	if err == nil {
		err = m.send(appendSearch(nil, id, r, filter.Bytes()), answering)
	}
	if err != nil {
		m.forget(id)
		return nil, err
	}
	late := time.NewTimer(answering)
	defer late.Stop()
	select {
	case err := <-a.done:
		return &a.result, err
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = errHanging
	}
	m.forget(id)
	return nil, err
}

// send waits no longer than that for a server that reads nothing; the connection is of no use after an error.
func (m *mux) send(text []byte, most time.Duration) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.SetWriteDeadline(time.Now().Add(most))
	defer m.SetWriteDeadline(time.Time{}) // what the library writes has none
	_, err := m.Write(text)
	return err
}

func (m *mux) forget(id int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, id)
}

// Read is for the library, which gets its own messages.
func (m *mux) Read(b []byte) (int, error) {
	for m.left == 0 {
		if err := m.next(); err != nil {
			m.fail(err)
			return 0, err
		}
	}
	n, err := m.in.Read(b[:min(len(b), m.left)])
	m.left -= n
	if err != nil {
		m.fail(err)
	}
	return n, err
}

// fail ends all searches.
func (m *mux) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = err
	for id, a := range m.waiting {
		a.done <- err
		delete(m.waiting, id)
	}
}

// maxMessage is how long an answer to us may be.
const maxMessage = 64 << 20

// next looks at the next message, which is the library's or is taken.
func (m *mux) next() error {
	// A sequence, its length, an integer, its length: RFC 4511 section 4.1.1.
	head, err := m.in.Peek(2)
	if err != nil {
		return err
	}
	size := 2
	if head[1] > 0x80 {
		size += int(head[1] & 0x7f)
	}
	if head, err = m.in.Peek(size + 2); err != nil {
		return unexpected(err)
	}
	length, ok := lengthOf(head[1:size])
	idLength := int(head[size+1])
	if !ok || head[0] != tagSequence || head[size] != tagInteger || idLength > 4 || length < 2+idLength {
		return fmt.Errorf("%w: % x", errMalformed, head)
	}
	if head, err = m.in.Peek(size + 2 + idLength); err != nil {
		return unexpected(err)
	}
	if id := integer(head[size+2:]); id <= firstID || id > math.MaxInt32 {
		m.left = size + length
		return nil
	}
	if length > maxMessage {
		return fmt.Errorf("%w: %d bytes", errMalformed, length)
	}
	id := int32(integer(head[size+2:]))
	text := make([]byte, size+length)
	if _, err := io.ReadFull(m.in, text); err != nil {
		return unexpected(err)
	}
	return m.take(id, text[size+2+idLength:])
}

// unexpected is an end in the middle of a message.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take gives an answer to who waits for it, if there still is somebody.
func (m *mux) take(id int32, text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.waiting[id]
	if a == nil {
		return nil
	}
	over, err := readAnswer(text, &a.result)
	if over {
		delete(m.waiting, id)
		a.done <- err
		return nil
	}
	return err
}
