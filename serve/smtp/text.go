package smtp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"dovetail/formats/disk"
)

// Text is a message on its way: what came of it so far.
type Text struct {
	disk.Spool
	Limit   int64 // the most bytes that it may have; 0: any number
	TooBig  bool  // it has more; they are passed over
	Chunked bool  // a part of it came as a chunk
	Failed  error // of a part: the rest is passed over
}

// excess is how much more than the limit a client may say before it is not listened to any more (Dovecot 2.3.19,
// src/lib-smtp/smtp-server-private.h).
const excess = 1 << 20

// errExcess is about a client that goes on and on.
var errExcess = errors.New("Command data size exceeds absolute limit")

// errClient says that the client, not the disk, is why a message is not whole.
type errClient struct{ error }

// Take adds bytes. An error of the disk, and what is too much, lets the client say the rest, which is passed over; the
// error that is returned is the client's.
func (t *Text) Take(src io.Reader) error {
	if t.Failed == nil && !t.TooBig {
		part := src
		if t.Limit > 0 {
			part = io.LimitReader(src, t.Limit-t.Size()+1)
		}
		_, t.Failed = io.Copy(&t.Spool, fromClient{part})
		t.TooBig = t.Limit > 0 && t.Size() > t.Limit
	}
	client, isClient := errors.AsType[errClient](t.Failed)
	switch {
	case isClient:
		return client.error
	case t.TooBig:
		n, err := io.Copy(io.Discard, io.LimitReader(src, excess+1))
		if n > excess {
			return errExcess
		}
		return err
	case t.Failed != nil:
		_, err := io.Copy(io.Discard, src)
		return err
	}
	return nil
}

// fromClient marks errors of reading.
type fromClient struct{ io.Reader }

func (f fromClient) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = errClient{err}
	}
	return n, err
}

// TakeData lets the client say a whole message behind DATA; false when there is none, which is answered.
func (s *Session) TakeData(t *Text) bool {
	s.Reply(354, "", "OK")
	if s.Out.Flush() != nil {
		s.Leave("Connection closed")
		return false
	}
	s.State = "DATA"
	if err := t.Take(s.In.Data()); err != nil {
		s.Lost(err)
		return false
	}
	if t.TooBig {
		s.tooBig()
	}
	return !t.TooBig
}

func (s *Session) tooBig() { s.Reply(552, "5.2.3", "Message size exceeds administrative limit") }

// TakeChunk is BDAT (RFC 3030). What the client has announced is read whatever the answer is. ready says no where there
// can be no message now; else text gives where to put it. It is true behind the last chunk of a message, which is still to
// be answered.
func (s *Session) TakeChunk(args string, ready func() bool, text func() *Text) (whole bool) {
	words := strings.Fields(args)
	var size int64
	err := errors.New("no size")
	if len(words) > 0 {
		size, err = strconv.ParseInt(words[0], 10, 63)
	}
	if err != nil || size < 0 {
		// Where the next command begins is not known: a size that is wrong may be announced by bytes that come.
		s.Reply(501, "5.5.4", "Invalid chunk size parameter")
		if len(words) > 0 && strings.Trim(words[0], "0123456789") == "" {
			s.Leave("Invalid BDAT")
		}
		return false
	}
	last := len(words) == 2 && strings.EqualFold(words[1], "LAST")
	chunk := s.In.Chunk(size)
	switch {
	case len(words) > 2:
		s.Invalid()
	case len(words) > 1 && !last:
		s.Reply(501, "5.5.4", "Invalid end marker parameter")
	case ready():
		t := text()
		t.Chunked, s.State = true, "DATA"
		if err := t.Take(chunk); err != nil {
			s.Lost(err)
			return false
		}
		if t.TooBig {
			s.tooBig()
			s.Refused = true
			return false
		}
		if !last {
			s.Reply(250, "2.0.0", fmt.Sprintf("Added %d octets", size))
		}
		return last
	}
	s.Refused = true
	if err = s.Out.Flush(); err == nil {
		_, err = io.Copy(io.Discard, chunk)
	}
	if err != nil {
		s.Lost(err)
	}
	return false
}
