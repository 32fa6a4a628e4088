package submission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"dovetail/serve/smtp"
)

// extensions are those of the relay that make a difference for its clients.
type extensions struct{ eightBit, binary, dsn, vrfy, auth, size bool }

// named are those that submission_backend_capabilities can have; some make no difference.
var named = map[string]func(*extensions){
	"8BITMIME": func(e *extensions) { e.eightBit = true }, "BINARYMIME": func(e *extensions) { e.binary = true }, "DSN": func(e *extensions) { e.dsn = true },
	"VRFY": func(e *extensions) { e.vrfy = true }, "AUTH": func(e *extensions) { e.auth = true }, "CHUNKING": nil, "STARTTLS": nil, "PIPELINING": nil, "SIZE": nil,
	"ENHANCEDSTATUSCODES": nil, "BURL": nil, "ETRN": nil, "XCLIENT": nil,
}

func namedExtensions(words []string) (e extensions, unknown []string) {
	for _, word := range words {
		set, known := named[strings.ToUpper(word)]
		switch {
		case !known:
			unknown = append(unknown, word)
		case set != nil:
			set(&e)
		}
	}
	return e, unknown
}

// relay is the connection to the MTA that gets the mail. It is for one goroutine, but for interrupt.
type relay struct {
	client     *gosmtp.Client
	link       *link
	extensions extensions
	most       uint64 // largest message; 0: it does not say
	used       bool   // something was asked already
	last       time.Time
	stop       func() bool
}

// refusedError is about a relay that does not want us.
type refusedError struct {
	what  string
	reply reply
}

func (e *refusedError) Error() string { return e.what + ": " + e.reply.String() }

// dial connects to submission_relay_host and goes as far as MAIL.
func (s *session) dial(ctx context.Context) (*relay, error) {
	address := net.JoinHostPort(s.o.RelayHost, strconv.Itoa(int(s.o.RelayPort)))
	within, cancel := context.WithTimeout(ctx, s.o.RelayConnectTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(within, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &link{Conn: conn, wait: s.o.RelayCommandTimeout}
	r := &relay{link: l, last: time.Now(), stop: context.AfterFunc(ctx, func() { conn.Close() })}
	if err := s.introduce(within, r); err != nil {
		r.link.Close()
		r.stop()
		return nil, fmt.Errorf("conn %s: %w", address, err)
	}
	return r, nil
}

// introduce says who we are: with TLS, for whom we come, and with a password, as the configuration has it.
func (s *session) introduce(ctx context.Context, r *relay) error {
	if s.o.RelaySSL == "smtps" {
		if err := s.secure(ctx, r.link); err != nil {
			return err
		}
	}
	if err := s.hail(r); err != nil {
		return err
	}
	if s.o.RelaySSL == "starttls" {
		if ok, _ := r.client.Extension("STARTTLS"); !ok {
			return errors.New("STARTTLS is required, and the relay has none")
		}
		if err := r.link.must("STARTTLS", 220); err != nil {
			return err
		}
		if err := s.secure(ctx, r.link); err != nil {
			return err
		}
		r.link.first = anyGreeting
		if err := s.hail(r); err != nil {
			return err
		}
	}
	if ok, words := r.client.Extension("XCLIENT"); ok && s.o.RelayTrusted {
		if err := r.link.must("XCLIENT"+s.about(words), 220); err != nil {
			return err
		}
		r.link.first = anyGreeting
		if err := s.hail(r); err != nil {
			return err
		}
	}
	return s.authenticateAt(r)
}

// anyGreeting stands for the one with which a server has begun anew: STARTTLS has none, and that of XCLIENT was its answer.
const anyGreeting = "220 ready\r\n"

// hail is the greeting and EHLO.
func (s *session) hail(r *relay) error {
	r.client = gosmtp.NewClient(r.link)
	r.client.CommandTimeout, r.client.SubmissionTimeout = s.o.RelayCommandTimeout, s.o.RelayCommandTimeout
	reply, err := r.link.answer(r.client.Hello(s.Host))
	if err == nil && !reply.positive() {
		err = &refusedError{"EHLO", reply}
	}
	if err != nil {
		return err
	}
	has := func(name string) bool { ok, _ := r.client.Extension(name); return ok }
	r.extensions = extensions{eightBit: has("8BITMIME"), binary: has("BINARYMIME") && has("CHUNKING"), dsn: has("DSN"), vrfy: has("VRFY"), auth: has("AUTH"), size: has("SIZE")}
	if _, size := r.client.Extension("SIZE"); size != "" {
		r.most, _ = strconv.ParseUint(size, 10, 63)
	}
	return nil
}

// secure is the handshake of TLS.
func (s *session) secure(ctx context.Context, l *link) error {
	config, err := s.relayTLS()
	if err != nil {
		return err
	}
	c := tls.Client(l.Conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	l.Conn = c
	return nil
}

// about are the attributes of XCLIENT that the relay takes.
func (s *session) about(words string) (attributes string) {
	for word := range strings.FieldsSeq(strings.ToUpper(words)) {
		value := ""
		switch word {
		case "ADDR":
			if a := s.C.Remote.Addr(); a.Is6() {
				value = "IPV6:" + a.String()
			} else if a.IsValid() {
				value = a.String()
			}
		case "PORT":
			value = strconv.Itoa(int(s.C.Remote.Port()))
		case "PROTO":
			value = "ESMTP"
		case "HELO":
			value = s.Name
		case "LOGIN":
			value = s.name
		}
		if value != "" {
			attributes += " " + word + "=" + smtp.EncodeXtext(value)
		}
	}
	return attributes
}

// authenticateAt logs in at the relay by PLAIN (submission_relay_user and what belongs to it).
func (s *session) authenticateAt(r *relay) error {
	who, as := s.o.RelayUser, ""
	if s.o.RelayMasterUser != "" {
		who, as = s.o.RelayMasterUser, s.o.RelayUser
	}
	if who == "" {
		return nil
	}
	if !r.extensions.auth {
		return errors.New("Authentication not supported")
	}
	reply, err := r.link.answer(r.client.Auth(sasl.NewPlainClient(as, who, s.o.RelayPassword)))
	if err == nil && !reply.positive() {
		err = &refusedError{"Authentication failed", reply}
	}
	return err
}

// answer gives the relay's answer to a command; err is that of go-smtp, for which a refusal is one.
func (r *relay) answer(err error) (reply, error) {
	r.used, r.last = true, time.Now()
	return r.link.answer(err)
}

func (r *relay) idle() time.Duration { return time.Since(r.last) }

// command is one that go-smtp's client would say otherwise: it adds parameters to MAIL, and knows fewer of RCPT.
func (r *relay) command(line string) (reply, error) {
	r.used, r.last = true, time.Now()
	return r.link.command(line)
}

// mail says MAIL with the parameters that the relay understands; user is who sends, which it may want to know (RFC 4954
// section 5).
func (r *relay) mail(from smtp.Path, p smtp.MailParams, user string) (reply, error) {
	line, e := "MAIL FROM:<"+from.String()+">", r.extensions
	if _, err := smtp.ParseAddress(user, smtp.Options{ASCII: true}); err == nil && e.auth {
		line += " AUTH=" + smtp.EncodeXtext(user)
	}
	if p.Body == "BINARYMIME" && e.binary || p.Body != "" && p.Body != "BINARYMIME" && e.eightBit {
		line += " BODY=" + p.Body
	}
	if p.EnvID != "" && e.dsn {
		line += " ENVID=" + smtp.EncodeXtext(p.EnvID)
	}
	if p.Ret != "" && e.dsn {
		line += " RET=" + p.Ret
	}
	if p.Size > 0 && e.size {
		line += " SIZE=" + strconv.FormatUint(p.Size+added, 10)
	}
	return r.command(line)
}

func (r *relay) recipient(to smtp.Path, p smtp.RcptParams) (reply, error) {
	line := "RCPT TO:<" + to.String() + ">"
	if len(p.Notify) > 0 && r.extensions.dsn {
		line += " NOTIFY=" + strings.Join(p.Notify, ",")
	}
	if p.OriginalType != "" && r.extensions.dsn {
		line += " ORCPT=" + p.OriginalType + ";" + smtp.EncodeXtext(p.OriginalRecipient)
	}
	return r.command(line)
}

// data sends a message. Its bare line feeds become line ends, bare CRs blanks: so nobody behind us finds a second message
// in it.
func (r *relay) data(message io.Reader) (reply, error) {
	w, err := r.client.Data()
	if err != nil {
		return r.answer(err)
	}
	if _, err = io.CopyBuffer(w, &strayless{src: message}, make([]byte, 32<<10)); err == nil {
		_, err = w.CloseWithResponse()
	}
	return r.answer(err)
}

// binary sends a message that may have any bytes (RFC 3030).
func (r *relay) binary(message io.Reader, size int64) (reply, error) {
	if _, err := fmt.Fprintf(r.link, "BDAT %d LAST\r\n", size); err != nil {
		return reply{}, err
	}
	if _, err := io.Copy(r.link, message); err != nil {
		return reply{}, err
	}
	r.used, r.last = true, time.Now()
	return r.link.reply()
}

func (r *relay) reset() (reply, error)             { return r.answer(r.client.Reset()) }
func (r *relay) noop() (reply, error)              { return r.answer(r.client.Noop()) }
func (r *relay) verify(what string) (reply, error) { return r.answer(r.client.Verify(what)) }

// close takes leave of the relay, without waiting long for it.
func (r *relay) close() {
	r.stop()
	r.link.wait = quitWait
	r.client.CommandTimeout = quitWait
	r.client.Quit()
	r.link.Close()
}

// quitWait is how long the relay may take for its goodbye.
const quitWait = 2 * time.Second
