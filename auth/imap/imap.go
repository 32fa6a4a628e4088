// Package imap is a database of passwords that lets another IMAP server check them: Dovecot's passdb imap (2.3.19,
// src/auth/passdb-imap.c). It logs in there with the name and password of the client and leaves again.
//
//	server  * OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR …] ready
//	client  1 STARTTLS              only if the options say so; then it must be offered
//	client  2 CAPABILITY            if the server has not told of itself, and after STARTTLS
//	client  3 AUTHENTICATE PLAIN    or LOGIN, where that mechanism is not offered
//	server  3 OK                    right
//	        3 NO                    wrong, with no code or [AUTHENTICATIONFAILED] or [AUTHORIZATIONFAILED] (RFC 5530)
//	        3 NO [EXPIRED]          expired
//	        3 NO [anything else]    a temporary failure, as are BAD and BYE
//
// A greeting of PREAUTH says nothing about the password and is a failure. Each check is a connection of its own.
package imap

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Options are those of one passdb.
type Options struct {
	Host, Username   *variable.Template // Username nil: the user's name
	Port             int                // 0: 993 for imaps, else 143
	TLS              string             // "", "imaps" or "starttls"
	CAFile, CADir    string             // neither: the system's
	AllowInvalidCert bool
	Timeout          time.Duration // of the whole; 0: 30 s
}

// maxConversation is how many bytes of a server are read.
const maxConversation = 64 << 10

// PassDB checks passwords. It is for many goroutines.
type PassDB struct {
	o     Options
	roots *x509.CertPool
}

// New checks the options and reads certificates.
func New(o Options) (*PassDB, error) {
	p := &PassDB{o: o}
	switch {
	case o.Host == nil:
		return nil, errors.New("Missing host parameter")
	case o.TLS != "" && o.TLS != "imaps" && o.TLS != "starttls":
		return nil, fmt.Errorf("Invalid ssl mode: %s; there are imaps and starttls", o.TLS)
	case o.Port < 0 || o.Port > 65535:
		return nil, fmt.Errorf("Invalid port: %d", o.Port)
	}
	if p.o.Port == 0 {
		p.o.Port = map[bool]int{true: 993, false: 143}[o.TLS == "imaps"]
	}
	p.o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	return p, p.readRoots()
}

func (p *PassDB) readRoots() error {
	var files []string
	if p.o.CAFile != "" {
		files = []string{p.o.CAFile}
	}
	if p.o.CADir != "" {
		entries, err := os.ReadDir(p.o.CADir)
		if err != nil {
			return fmt.Errorf("ssl_ca_dir: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(p.o.CADir, e.Name()))
			}
		}
	}
	if len(files) > 0 {
		p.roots = x509.NewCertPool()
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("certificates of authorities: %w", err)
		}
		if !p.roots.AppendCertsFromPEM(b) && name == p.o.CAFile {
			return fmt.Errorf("ssl_ca_file: %s has no certificate", name)
		}
	}
	return nil
}

// Find says that there is nothing to be found.
func (p *PassDB) Find(context.Context, *auth.Request) (auth.Fields, error) {
	return nil, auth.ErrNoFind
}

// Verify logs in at the server. The error's text is the server's, or what went wrong.
func (p *PassDB) Verify(ctx context.Context, r *auth.Request, password string) (auth.Fields, error) {
	host, err := r.Expand(p.o.Host)
	if err != nil {
		return nil, fmt.Errorf("Failed to expand host: %w", err)
	}
	user := r.User
	if p.o.Username != nil {
		if user, err = r.Expand(p.o.Username); err != nil {
			return nil, fmt.Errorf("Failed to expand username: %w", err)
		}
	}
	switch {
	case host == "" || strings.ContainsAny(host, "/\\@ \t\r\n\x00"):
		return nil, fmt.Errorf("Invalid host %q", host)
	case user == "" || password == "" || strings.ContainsRune(user+password, 0):
		return nil, auth.ErrMismatch // servers take an empty name or password for something else
	}
	err = p.login(ctx, host, user, password)
	var refused *refusal
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &refused):
		return nil, &auth.Refusal{Err: refused.kind, Text: refused.text, Level: slog.LevelInfo}
	}
	return nil, &auth.Refusal{Err: err, Text: err.Error(), Level: slog.LevelError}
}

// refusal is a server's no.
type refusal struct {
	kind error
	text string
}

func (e *refusal) Error() string { return e.text }

// session is one connection.
type session struct {
	net.Conn
	in   *textproto.Reader
	buf  *bufio.Reader
	tag  int
	caps []string // in upper case; nil: not told
}

func (s *session) over(c net.Conn) {
	s.Conn = c
	s.buf = bufio.NewReader(io.LimitReader(c, maxConversation))
	s.in = textproto.NewReader(s.buf)
	s.caps = nil
}

func (p *PassDB) login(ctx context.Context, host, user, password string) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	address := net.JoinHostPort(host, strconv.Itoa(p.o.Port))
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	// A context that ends makes reading and writing fail at once.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	s := &session{}
	s.over(conn)
	defer func() { s.Conn.Close() }()
	err = p.converse(ctx, s, host, user, password)
	var refused *refusal
	switch {
	case err == nil || errors.As(err, &refused):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", address, ctx.Err())
	}
	return fmt.Errorf("%s: %w", address, err)
}

func (p *PassDB) converse(ctx context.Context, s *session, host, user, password string) error {
	config := &tls.Config{ServerName: host, RootCAs: p.roots, InsecureSkipVerify: p.o.AllowInvalidCert} // as the options say
	if p.o.TLS == "imaps" {
		if err := s.secure(ctx, config); err != nil {
			return err
		}
	}
	if err := s.greeting(); err != nil {
		return err
	}
	if err := s.capabilities(); err != nil {
		return err
	}
	if p.o.TLS == "starttls" {
		if !s.can("STARTTLS") {
			return errors.New("Server doesn't support STARTTLS")
		}
		if _, err := s.command("STARTTLS", nil); err != nil {
			return err
		}
		// What came with the answer came unprotected.
		if s.buf.Buffered() > 0 {
			return errors.New("server sent more than the answer to STARTTLS")
		}
		if err := s.secure(ctx, config); err != nil {
			return err
		}
		if err := s.capabilities(); err != nil {
			return err
		}
	}
	if err := s.authenticate(user, password); err != nil {
		return err
	}
	fmt.Fprint(s, "z LOGOUT\r\n") // nobody waits for the answer
	return nil
}

func (s *session) secure(ctx context.Context, config *tls.Config) error {
	c := tls.Client(s.Conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	s.over(c)
	return nil
}

func (s *session) greeting() error {
	line, err := s.in.ReadLine()
	if err != nil {
		return err
	}
	status, text, _ := strings.Cut(strings.TrimPrefix(line, "* "), " ")
	if !strings.HasPrefix(line, "* ") || !strings.EqualFold(status, "OK") {
		return fmt.Errorf("greeting: %s", printable(line))
	}
	s.learn(text)
	return nil
}

// learn takes "[CAPABILITY …] text".
func (s *session) learn(text string) {
	code, _, ok := strings.Cut(strings.TrimPrefix(text, "["), "]")
	if rest, is := strings.CutPrefix(strings.ToUpper(code), "CAPABILITY "); ok && is && strings.HasPrefix(text, "[") {
		s.caps = strings.Fields(rest)
	}
}

func (s *session) capabilities() error {
	if s.caps != nil {
		return nil
	}
	_, err := s.command("CAPABILITY", nil)
	return err
}

func (s *session) can(capability string) bool {
	for _, c := range s.caps {
		if c == capability {
			return true
		}
	}
	return false
}

func (s *session) authenticate(user, password string) error {
	var status answer
	var err error
	switch plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password)); {
	case s.can("AUTH=PLAIN") && s.can("SASL-IR") && len(plain) < 4000:
		status, err = s.command("AUTHENTICATE PLAIN "+plain, nil)
	case s.can("AUTH=PLAIN"):
		status, err = s.command("AUTHENTICATE PLAIN", []string{plain})
	case s.can("LOGINDISABLED"):
		return errors.New("Server doesn't allow passwords without TLS: ssl=starttls or ssl=imaps")
	default: // as literals, which may hold everything
		status, err = s.command(fmt.Sprintf("LOGIN {%d}", len(user)), []string{fmt.Sprintf("%s {%d}", user, len(password)), password})
	}
	if err != nil && status.word == "NO" {
		return failure(status)
	}
	return err
}

// failure tells what a NO means.
func failure(a answer) error {
	kind := auth.ErrMismatch
	if strings.HasPrefix(a.text, "[") {
		code, _, _ := strings.Cut(a.text[1:], "]")
		code, _, _ = strings.Cut(strings.ToUpper(code), " ")
		switch code {
		case "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED":
		case "EXPIRED":
			kind = auth.ErrExpired
		default:
			return errors.New(printable(a.text))
		}
	}
	return &refusal{kind, printable(a.text)}
}

// answer is "tag OK text".
type answer struct{ word, text string }

// command sends one, and what it has more of when the server asks for it; an answer other than OK is an error, too.
// Neither names nor passwords are in errors.
func (s *session) command(text string, more []string) (answer, error) {
	s.tag++
	tag := strconv.Itoa(s.tag)
	if _, err := fmt.Fprintf(s, "%s %s\r\n", tag, text); err != nil {
		return answer{}, err
	}
	for {
		line, err := s.in.ReadLine()
		if err == io.EOF {
			err = errors.New("Server disconnected unexpectedly")
		}
		if err != nil {
			return answer{}, err
		}
		first, rest, _ := strings.Cut(line, " ")
		switch {
		case first == "+" && len(more) > 0:
			if _, err := fmt.Fprintf(s, "%s\r\n", more[0]); err != nil {
				return answer{}, err
			}
			more = more[1:]
		case first == "+": // the server did not like it and says why (RFC 7628 does so): give up
			if _, err := fmt.Fprint(s, "*\r\n"); err != nil {
				return answer{}, err
			}
		case first == "*":
			if err := s.untagged(rest); err != nil {
				return answer{}, err
			}
		case first == tag:
			return s.tagged(text, rest)
		default:
			return answer{}, fmt.Errorf("unexpected line: %s", printable(line))
		}
	}
}

func (s *session) untagged(text string) error {
	word, rest, _ := strings.Cut(text, " ")
	switch strings.ToUpper(word) {
	case "CAPABILITY":
		s.caps = strings.Fields(strings.ToUpper(rest))
	case "BYE":
		return fmt.Errorf("Server disconnected: %s", printable(rest))
	}
	return nil
}

func (s *session) tagged(command, text string) (answer, error) {
	word, rest, _ := strings.Cut(text, " ")
	a := answer{strings.ToUpper(word), rest}
	if a.word == "OK" {
		s.learn(rest)
		return a, nil
	}
	verb, _, _ := strings.Cut(command, " ")
	return a, fmt.Errorf("%s: %s", verb, printable(text))
}

// printable is text of a server for the log.
func printable(s string) string {
	b := []byte(s[:min(len(s), 500)])
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, b))
}
