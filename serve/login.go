package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"dovetail/auth"
	"dovetail/auth/sasl"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Login is a connection before somebody is logged in. It is for one goroutine.
type Login struct {
	Conn *Conn
	options.Login
	TLS options.TLS

	RequireCert bool   // auth_ssl_require_client_cert
	Challenge   string // that the client was greeted with, for APOP

	s         *Server
	auth      *auth.Service
	line      *lineFormat
	started   time.Time // of the first attempt
	user      string    // last name that was tried
	method    string    // last mechanism
	tries     int
	successes int
	last      *auth.Reply // of the last attempt
	refused   string      // why, where the databases were not asked: "tried to use disallowed plaintext auth"
	busy      bool        // a conversation has begun and not ended
	aborted   bool        // by the client
}

// NewLogin begins. The settings are those that hold for this connection now; after StartTLS call Reread, because there
// may be others for the name that the client asked for. Close ends it.
func (s *Server) NewLogin(c *Conn) (*Login, error) {
	l := &Login{Conn: c, s: s, auth: c.era.auth}
	return l, l.Reread()
}

// Close ends what is before a login: the configuration and the auth service of that time are needed no more. It may be
// called twice.
func (l *Login) Close() { l.Conn.release() }

// Reread takes the settings that hold now.
func (l *Login) Reread() (err error) {
	v := l.View()
	if l.Login, err = options.Read[options.Login](v); err != nil {
		return err
	}
	if l.TLS, err = options.Read[options.TLS](v); err != nil {
		return err
	}
	rules, err := options.Read[options.AuthRules](v)
	if err != nil {
		return err
	}
	l.RequireCert = rules.SSLRequireClientCert
	l.line, err = newLineFormat(v)
	return err
}

// View is what the configuration says for this connection.
func (l *Login) View() config.View { return l.Conn.View() }

// CleartextRefused tells whether passwords must not be sent on this connection, and why: Dovecot's texts for the client.
func (l *Login) CleartextRefused() bool {
	return l.Conn.Secured() == "" && (l.RefuseCleartext || l.TLS.Mode == "required")
}

// Refuse notes an attempt that never reached the databases.
func (l *Login) Refuse(method, why string) {
	l.begin(method)
	l.busy, l.refused = false, why
}

// Abort notes that the client gave up a conversation.
func (l *Login) Abort() { l.busy, l.aborted = false, true }

// Mechanisms gives those that may be offered on this connection, in order: none before TLS where that is required.
func (l *Login) Mechanisms() []string {
	var names []string
	if l.needsTLS() {
		return nil
	}
	for _, m := range l.auth.Mechanisms() {
		if m.Private || m.Plaintext && l.CleartextRefused() || m.Binding && l.Conn.channel == nil {
			continue
		}
		names = append(names, m.Name)
	}
	return names
}

// Offers tells whether there is a mechanism of that name, be it one that is not announced.
func (l *Login) Offers(mechanism string) bool {
	return slices.ContainsFunc(l.auth.Mechanisms(), func(m sasl.Info) bool { return m.Name == mechanism })
}

// Plain is a login with a password. It waits out what earlier failures cost.
func (l *Login) Plain(ctx context.Context, user, password string) *auth.Reply {
	l.begin("PLAIN")
	l.user = user
	r := l.Conn.Request(l.TLS.CertUsernameField)
	r.Mechanism = "PLAIN"
	return l.end(l.auth.Login(ctx, r, user, password))
}

// ErrCleartext: the mechanism sends passwords, which must not be sent on this connection.
var ErrCleartext = errors.New("Plaintext authentication disabled.")

// ErrNoTLS is an ErrCleartext about every mechanism: nothing is to be said before TLS.
var ErrNoTLS error = noTLS{}

type noTLS struct{}

func (noTLS) Error() string        { return "Authentication not allowed until SSL/TLS is enabled." }
func (noTLS) Is(target error) bool { return target == ErrCleartext }

func (l *Login) needsTLS() bool { return l.TLS.Mode == "required" && l.Conn.Secured() == "" }

// Begin starts a conversation; auth.ErrMechanism if it is not offered here, ErrCleartext or ErrNoTLS if it is not allowed.
func (l *Login) Begin(mechanism string) (*auth.Exchange, error) {
	mechanism = strings.ToUpper(mechanism)
	if l.needsTLS() {
		l.Refuse(mechanism, "")
		return nil, ErrNoTLS
	}
	for _, m := range l.auth.Mechanisms() {
		if m.Name == mechanism && m.Plaintext && l.CleartextRefused() {
			l.Refuse(mechanism, "tried to use disallowed plaintext auth")
			return nil, ErrCleartext
		}
	}
	l.begin(mechanism)
	r := l.Conn.Request(l.TLS.CertUsernameField)
	r.OwnChallenge = func(challenge string) bool { return challenge == l.Challenge }
	x, err := l.auth.Begin(r, mechanism)
	if err != nil {
		l.busy, l.refused = false, "tried to use unsupported auth mechanism"
	}
	return x, err
}

// End notes how a conversation ended.
func (l *Login) End(r *auth.Reply) { l.end(r) }

func (l *Login) begin(method string) {
	if l.tries == 0 {
		l.started = time.Now()
	}
	l.tries++
	l.method, l.refused, l.aborted, l.busy = method, "", false, true
}

func (l *Login) end(r *auth.Reply) *auth.Reply {
	l.busy, l.last = false, r
	if r.OK {
		l.successes++
	}
	if r.User != "" {
		l.user = r.User
	}
	return r
}

// Finish looks up whose mail it is and counts the user in. It logs the login. Errors are Dovecot's answers for clients,
// to be sent after OK and before the connection is closed, or a *LimitError.
func (l *Login) Finish(ctx context.Context, r *auth.Reply) (*auth.User, error) {
	u, err := l.auth.Finish(ctx, r)
	if err != nil {
		return nil, err
	}
	l.user = u.Name
	if !l.s.open.login(l.Conn, u.Name, l.MaxUserIPConnections) {
		err := &LimitError{l.MaxUserIPConnections}
		l.log("Disconnected: " + err.Error())
		return nil, err
	}
	l.log("Login")
	l.Conn.In.Store(0) // what is told at the end of a session begins here
	l.Conn.Out.Store(0)
	return u, nil
}

// LimitError says that a user has too many connections from one address.
type LimitError struct{ Limit uint32 }

func (e *LimitError) Error() string {
	return fmt.Sprintf("Maximum number of connections from user+IP exceeded (mail_max_userip_connections=%d)", e.Limit)
}

// Note logs something about the connection.
func (l *Login) Note(message string) { l.log(message) }

// Disconnected logs the end of a connection on which nobody logged in: how it ended, "Aborted login by logging out",
// "Connection closed", "Inactivity".
func (l *Login) Disconnected(how string) { l.log("Disconnected: " + how + " (" + l.reason() + ")") }

// reason is why nobody is logged in, in Dovecot's words and order (src/login-common/client-common.c of 2.3.19,
// client_get_extra_disconnect_reason).
func (l *Login) reason() string {
	switch {
	case l.RequireCert && l.Conn.channel != nil && l.Conn.client.shown && !l.Conn.client.valid:
		return "client sent an invalid cert"
	case l.RequireCert && l.Conn.channel != nil && !l.Conn.client.shown:
		return "client didn't send a cert"
	case l.tries == 0:
		return fmt.Sprintf("no auth attempts in %d secs", seconds(l.Conn.Since))
	case l.RequireCert && l.Conn.channel == nil:
		return "cert required, client didn't start TLS"
	case l.busy && l.tries == 1:
		return fmt.Sprintf("client didn't finish SASL auth, waited %d secs", seconds(l.started))
	case l.aborted && l.tries == 1:
		return "aborted authentication"
	case l.refused != "":
		return l.refused
	case l.last == nil:
		return fmt.Sprintf("auth failed, %d attempts in %d secs", l.tries, seconds(l.started))
	case l.last.OK:
		return fmt.Sprintf("internal failure, %d successful auths", l.successes)
	}
	switch l.last.Code {
	case auth.CodeTempFail:
		return "auth service reported temporary failure"
	case auth.CodeUserDisabled:
		return "user disabled"
	case auth.CodePassExpired:
		return "password expired"
	case auth.CodeBadBase64:
		return "sent invalid base64 in response"
	case auth.CodeAuthzFail:
		return fmt.Sprintf("authorization failed, %d attempts in %d secs", l.tries, seconds(l.started))
	}
	return fmt.Sprintf("auth failed, %d attempts in %d secs", l.tries, seconds(l.started))
}

func seconds(since time.Time) int { return int(time.Since(since).Seconds()) }

func (l *Login) log(message string) {
	l.s.log.Info(l.Conn.Service + "-login: " + l.line.text(message, l))
}

// lineFormat is login_log_format with its elements, ready for many lines.
type lineFormat struct {
	line     *variable.Template
	elements []*variable.Template
}

func newLineFormat(v config.View) (*lineFormat, error) {
	o, err := options.Read[options.Log](v)
	if err != nil {
		return nil, err
	}
	f := &lineFormat{}
	if f.line, err = o.LoginLogFormat.Parse(); err != nil {
		return nil, err
	}
	for _, word := range splitOutside(o.LoginLogFormatElements.Text) {
		t, err := options.Template{Text: word, Old: o.LoginLogFormatElements.Old}.Parse()
		if err != nil {
			return nil, err
		}
		f.elements = append(f.elements, t)
	}
	return f, nil
}

// splitOutside cuts at blanks that are not inside braces.
func splitOutside(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		return r == ' ' && depth <= 0
	})
}

// text makes a line. An element whose variables are all empty is left out, but for the user's.
func (f *lineFormat) text(message string, l *Login) string {
	lookup := l.variables()
	var parts []string
	for _, t := range f.elements {
		empty, hasUser := true, false
		for _, name := range t.Variables() {
			value, err := lookup(name)
			empty = empty && (err != nil || value == "")
			hasUser = hasUser || name == "user" || name == "u" || name == "username" || name == "n"
		}
		if text, err := t.Expand(lookup); err == nil && (!empty || hasUser || t.Literal()) {
			parts = append(parts, text)
		}
	}
	elements := strings.Join(parts, ", ")
	whole, err := f.line.Expand(func(name string) (string, error) {
		switch name {
		case "message", "$":
			return message, nil
		case "elements", "s":
			return elements, nil
		}
		return "", variable.ErrUnknown
	})
	if err != nil {
		return message + ": " + elements
	}
	return whole
}

// variables are those of login_log_format_elements. Whatever came from the client has no control characters.
func (l *Login) variables() variable.Lookup {
	r := l.Conn.Request("")
	r.User, r.Mechanism = printable(l.user), printable(l.method)
	return func(name string) (string, error) {
		switch name {
		case "e", "mail_pid":
			if l.last != nil && l.last.OK {
				return strconv.Itoa(os.Getpid()), nil
			}
			return "", nil
		case "p", "pid", "process:pid":
			return strconv.Itoa(os.Getpid()), nil
		case "listener":
			return l.Conn.Service, nil
		case "k", "ssl_security":
			return "", nil
		}
		return r.Variable(name)
	}
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
