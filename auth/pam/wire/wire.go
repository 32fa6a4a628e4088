// Package wire is what dovetail and dovetail-pam say to each other.
//
// dovetail has no C library and PAM is one, so another process asks it: the helper dovetail-pam, on whose standard input
// and output this is spoken. Both ways there are frames of fields, numbers in network order:
//
//	frame   length of the rest, 4 bytes; fields
//	field   length, 4 bytes; bytes
//
// The helper says hello, once: "dovetail-pam", the version of all this, and what keeps it from working or nothing. Then
// there is one answer to each question, and never a question before the answer to the last one. A helper ends
// when its input does.
//
//	question   setcred ("yes" or ""), session (same), service, user, remote host, remote user, terminal, password
//	answer     stage, status, text of the status, user, missing file; then style and text of each thing that PAM said
//
// A password is only ever here: not in arguments, not in the environment.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Version is that of the frames. Both programs are built together; a helper with another version is an old one.
const Version = "1"

// Program is how the helper is called, as a file and in its hello.
const Program = "dovetail-pam"

// MaxFrame is how many bytes a frame may have; it bounds names and passwords. PAM's own limit for what is answered to
// a prompt is 512 (PAM_MAX_RESP_SIZE in Linux-PAM's _pam_types.h), which modules may or may not enforce.
const MaxFrame = 64 << 10

// ErrTooLong is a frame that is longer than MaxFrame.
var ErrTooLong = errors.New("longer than 65536 bytes")

// Question is one login. No string may have a NUL.
type Question struct {
	SetCred, Session             bool // also pam_setcred; also pam_open_session and pam_close_session
	Service, User                string
	RemoteHost, RemoteUser, Term string // the items PAM_RHOST, PAM_RUSER and PAM_TTY; "": not set
	Password                     []byte
}

// Stage is the function of PAM that a login came to, without "pam_".
type Stage string

// Stages, in their order. Done is no function: all has succeeded.
const (
	Start        Stage = "start"
	Authenticate Stage = "authenticate"
	SetCred      Stage = "setcred"
	Account      Stage = "acct_mgmt"
	OpenSession  Stage = "open_session"
	CloseSession Stage = "close_session"
	GetItem      Stage = "get_item"
	End          Stage = "end"
	Done         Stage = ""
)

// Status is what a function of PAM gave; the numbers are those of Linux-PAM's _pam_types.h.
type Status int32

// Statuses that mean something of their own here.
const (
	Success         Status = 0
	OpenError       Status = 1
	SymbolError     Status = 2
	BufferError     Status = 5
	AuthError       Status = 7
	InfoUnavailable Status = 9
	UserUnknown     Status = 10
	NewTokenNeeded  Status = 12
	AccountExpired  Status = 13
	ModuleUnknown   Status = 28
)

// Style is the kind of a thing that PAM says.
type Style int32

// Styles, by Linux-PAM's _pam_types.h.
const (
	PromptHidden  Style = 1 // answered with the password
	PromptVisible Style = 2 // answered with the user's name
	ErrorMessage  Style = 3
	Info          Style = 4
)

// Word is a thing that PAM has said to the user.
type Word struct {
	Style Style
	Text  string
}

// Answer is how a login went.
type Answer struct {
	Stage   Stage // where it ended
	Status  Status
	Text    string // pam_strerror's words for Status
	User    string // the item PAM_USER in the end, if all succeeded
	Missing string // the file of the service, if it is not there and authentication failed
	Words   []Word
}

// AppendFrame adds a frame to b.
func AppendFrame(b []byte, fields ...[]byte) ([]byte, error) {
	size := 0
	for _, f := range fields {
		size += 4 + len(f)
	}
	if size > MaxFrame {
		return b, ErrTooLong
	}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b, nil
}

// ReadFrame reads a frame. Its fields share one piece of memory, which is theirs alone; io.EOF is an end before it.
func ReadFrame(r io.Reader) ([][]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > MaxFrame {
		return nil, ErrTooLong
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	var fields [][]byte
	for len(rest) > 0 {
		if len(rest) < 4 || uint32(len(rest)-4) < binary.BigEndian.Uint32(rest) {
			return nil, errors.New("a field goes beyond its frame")
		}
		end := 4 + binary.BigEndian.Uint32(rest)
		fields = append(fields, rest[4:end:end])
		rest = rest[end:]
	}
	return fields, nil
}

// Hello is the first frame of a helper; trouble is nil if it can work.
func Hello(trouble error) []byte {
	text := ""
	if trouble != nil {
		text = trouble.Error()
	}
	b, _ := AppendFrame(nil, []byte(Program), []byte(Version), []byte(text)) // short
	return b
}

// ReadHello reads it; the error is also what keeps the helper from working.
func ReadHello(r io.Reader) error {
	fields, err := ReadFrame(r)
	if err != nil {
		return err
	}
	switch {
	case len(fields) != 3 || string(fields[0]) != Program:
		return errors.New("this is not " + Program)
	case string(fields[1]) != Version:
		return fmt.Errorf("speaks version %.20q, not %s: install the one that came with this dovetail", fields[1], Version)
	case len(fields[2]) > 0:
		return errors.New(string(fields[2]))
	}
	return nil
}

// Append adds the frame of a question to b, which should have room for all of it: what grows is copied, and the
// password with it.
func (q *Question) Append(b []byte) ([]byte, error) {
	return AppendFrame(b, yes(q.SetCred), yes(q.Session), []byte(q.Service), []byte(q.User),
		[]byte(q.RemoteHost), []byte(q.RemoteUser), []byte(q.Term), q.Password)
}

// ReadQuestion reads one; the password lies in memory of its own, for the caller to clear.
func ReadQuestion(r io.Reader) (*Question, error) {
	fields, err := ReadFrame(r)
	if err != nil {
		return nil, err
	}
	if len(fields) != 8 {
		return nil, fmt.Errorf("a question of %d fields", len(fields))
	}
	return &Question{
		SetCred: string(fields[0]) == "yes", Session: string(fields[1]) == "yes",
		Service: string(fields[2]), User: string(fields[3]),
		RemoteHost: string(fields[4]), RemoteUser: string(fields[5]), Term: string(fields[6]),
		Password: fields[7],
	}, nil
}

func yes(is bool) []byte {
	if is {
		return []byte("yes")
	}
	return nil
}

// Append adds the frame of an answer to b. What PAM said is left out from where it gets too long.
func (a *Answer) Append(b []byte) ([]byte, error) {
	fields := [][]byte{[]byte(a.Stage), strconv.AppendInt(nil, int64(a.Status), 10), []byte(a.Text), []byte(a.User), []byte(a.Missing)}
	for room := MaxFrame / 2; len(a.Words) > 0 && room > len(a.Words[0].Text)+16; a.Words = a.Words[1:] {
		w := a.Words[0]
		room -= len(w.Text) + 16
		fields = append(fields, strconv.AppendInt(nil, int64(w.Style), 10), []byte(w.Text))
	}
	return AppendFrame(b, fields...)
}

// ReadAnswer reads one.
func ReadAnswer(r io.Reader) (*Answer, error) {
	fields, err := ReadFrame(r)
	if err != nil {
		return nil, err
	}
	if len(fields) < 5 || len(fields)%2 == 0 {
		return nil, fmt.Errorf("an answer of %d fields", len(fields))
	}
	status, err := strconv.ParseInt(string(fields[1]), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("status %.20q is no number", fields[1])
	}
	a := &Answer{Stage: Stage(fields[0]), Status: Status(status), Text: string(fields[2]), User: string(fields[3]), Missing: string(fields[4])}
	for words := fields[5:]; len(words) > 0; words = words[2:] {
		style, err := strconv.ParseInt(string(words[0]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("style %.20q is no number", words[0])
		}
		a.Words = append(a.Words, Word{Style(style), string(words[1])})
	}
	if (a.Stage == Done) != (a.Status == Success) {
		return nil, fmt.Errorf("stage %q with status %d", a.Stage, a.Status)
	}
	return a, nil
}
