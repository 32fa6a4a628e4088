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
	Chunked bool  // a part of it came by BDAT
	Failed  error // of a part: the rest is passed over
}

// errClient says that the client, not the disk, is why a message is not whole.
type errClient struct{ error }

// Take adds bytes. An error of the disk lets the client say the rest, which is passed over; the error that is returned is
// the client's.
func (t *Text) Take(src io.Reader) error {
	if t.Failed == nil {
		_, t.Failed = io.Copy(&t.Spool, fromClient{src})
	}
	client, isClient := errors.AsType[errClient](t.Failed)
	if isClient {
		return client.error
	}
	if t.Failed != nil {
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

// TakeData lets the client say a whole message behind DATA; false when it did not.
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
	return true
}

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
	case len(words) > 1 && !last:
		s.Reply(501, "5.5.4", "Invalid end marker parameter")
	case ready():
		t := text()
		t.Chunked, s.State = true, "DATA"
		if err := t.Take(chunk); err != nil {
			s.Lost(err)
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
