package socket

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"dovetail/auth"
	"dovetail/auth/sasl"
)

// conversation is what a request on a SASL socket is made of; *auth.Exchange and tokens.
type conversation interface {
	Step(ctx context.Context, response []byte) (challenge []byte, done *auth.Reply)
}

// request is one AUTH of a client. It is in the connection's table until it failed, was cancelled, timed out, or was
// finished by a master connection. The connection's mutex guards what is below the empty line.
type request struct {
	id      uint32
	smtp    bool // an SMTP server asks
	finalOK bool
	about   string // how lines of the log about it begin
	ctx     context.Context
	cancel  context.CancelFunc

	talk    conversation
	waiting bool        // for CONT
	done    *auth.Reply // the login is right; there may be a last CONT to come, or the master's REQUEST
	told    bool        // the client knows that it is
	timer   *time.Timer
	touched time.Time
}

// serveSASL is the life of a connection on which AUTH is spoken.
func (c *conn) serveSASL(ctx context.Context, cancel context.CancelFunc) {
	c.greetSASL()
	c.net.SetReadDeadline(time.Now().Add(c.HandshakeTimeout))
	first, shaken := true, false
	err := c.each(maxClientLine, func(w []string, line string) bool {
		switch {
		case first:
			first = false
			if !c.version(w) {
				c.badVersion(w, line)
				return false
			}
			return true
		case !shaken:
			shaken = c.processID(w, line)
			if shaken {
				c.net.SetReadDeadline(time.Time{})
			}
			return shaken
		}
		return c.command(w, line)
	})
	c.leave(err, cancel)
}

func (c *conn) badVersion(w []string, line string) {
	if len(w) == 3 && w[0] == "VERSION" && isNumber(w[1]) && isNumber(w[2]) {
		c.error("Authentication client not compatible with this server (mixed old and new binaries?)")
		return
	}
	c.error("Authentication client sent invalid VERSION line: " + sanitize(line))
}

func isNumber(word string) bool {
	_, ok := number(word)
	return ok
}

func (c *conn) greetSASL() {
	c.greet(c)
	b := []byte("VERSION\t1\t2\n")
	if c.kind == Token || c.kind == TokenLogin {
		b = append(b, "MECH\t"+tokenMechanism+"\n"...)
	} else {
		for _, m := range c.Auth.Mechanisms() {
			b = appendMechanism(b, m)
		}
	}
	b = fmt.Appendf(b, "SPID\t%d\nCUID\t%d\nCOOKIE\t%s\nDONE", pid, c.uid, hex.EncodeToString(c.cookie[:]))
	c.send(b)
}

// processID reads CPID. Only the numbers of login processes matter: over TCP they may be the same.
func (c *conn) processID(w []string, line string) bool {
	if len(w) < 2 || w[0] != "CPID" {
		c.bug("Authentication client sent unknown handshake command: %s", sanitize(line))
		return false
	}
	n, ok := number(w[1])
	if !ok || n == 0 {
		c.bug("Authentication client said it's PID 0")
		return false
	}
	if !c.kind.twoPhase() {
		return true
	}
	if c.pid = n; !c.register(c) {
		c.pid = 0
		c.bug("Authentication client gave a PID %d of existing connection", n)
		return false
	}
	return true
}

// leave ends a connection and all that was begun on it.
func (c *conn) leave(err error, cancel context.CancelFunc) {
	if c.pid != 0 {
		c.unregister(c)
	}
	c.mu.Lock()
	pending := len(c.requests)
	for id, r := range c.requests {
		c.forget(id, r)
	}
	c.mu.Unlock()
	switch {
	case errors.Is(err, errTooLong):
		c.bug("Auth client %d sent us more than %d bytes", c.pid, maxClientLine)
	case pending > 0 && errors.Is(err, io.EOF):
		c.error(fmt.Sprintf("auth client %d disconnected with %d pending requests: EOF", c.pid, pending))
	case pending > 0 && !errors.Is(err, errBroken) && c.ctx.Err() == nil:
		c.error(fmt.Sprintf("auth client %d disconnected with %d pending requests: %v", c.pid, pending, err))
	}
	cancel()
	c.work.Wait()
}

// forget takes a request out of the table; c.mu is held.
func (c *conn) forget(id uint32, r *request) {
	if c.requests[id] != r {
		return
	}
	delete(c.requests, id)
	r.cancel()
	r.timer.Stop()
}

func (c *conn) command(w []string, line string) bool {
	if len(w) > 1 {
		switch w[0] {
		case "AUTH":
			return c.authenticate(w[1:])
		case "CONT":
			return c.resume(w[1:])
		case "CANCEL":
			return c.abandon(w[1])
		}
	}
	verb, _ := keyed(line)
	if len(w) > 0 {
		verb = w[0] // what follows may be a password
	}
	c.bug("Authentication client sent unknown command: %s", sanitize(verb))
	return false
}

// authenticate is AUTH.
func (c *conn) authenticate(w []string) bool {
	id, ok := uint32(0), false
	if len(w) >= 2 {
		id, ok = number(w[0])
	}
	if !ok || id == 0 {
		c.bug("Authentication client %d sent broken AUTH request", c.pid)
		return false
	}
	p := parameters{Request: auth.Request{Mechanism: w[1], ClientPID: int(c.pid)}}
	var initial *string
	for i, word := range w[2:] {
		key, value := keyed(word)
		if key == "resp" {
			initial = &value
			if i+3 != len(w) {
				c.bug("Authentication client %d sent AUTH parameters after 'resp'", c.pid)
				return false
			}
			break
		}
		p.login(key, value)
	}
	return c.begin(id, w[1], &p, initial)
}

func (c *conn) begin(id uint32, mechanism string, p *parameters, initial *string) bool {
	talk, err := c.converse(mechanism, p)
	switch {
	case errors.Is(err, auth.ErrMechanism) && (c.kind == Token || c.kind == TokenLogin):
		c.bug("Authentication client %d requested invalid authentication mechanism %s (%s required)", c.pid, sanitize(mechanism), tokenMechanism)
		return false
	case errors.Is(err, auth.ErrMechanism):
		c.bug("Authentication client %d requested unsupported authentication mechanism %s", c.pid, sanitize(mechanism))
		return false
	case !p.service:
		c.bug("Authentication client %d didn't specify service in request", c.pid)
		return false
	}
	c.mu.Lock()
	_, twice := c.requests[id]
	full := len(c.requests) >= c.Requests
	c.mu.Unlock()
	switch {
	case twice:
		c.bug("Authentication client %d sent a duplicate ID %d", c.pid, id)
		return false
	case full:
		c.send(failed(id, auth.CodeTempFail, "Too many authentication requests"))
		return true
	case err != nil:
		c.Log.LogAttrs(c.ctx, slog.LevelError, err.Error())
		c.send(failed(id, auth.CodeTempFail, "Internal authentication failure"))
		return true
	}
	asked := p.request()
	r := &request{id: id, finalOK: p.finalOK, smtp: asked.Service == "smtp", about: about(strings.ToLower(mechanism), "", &asked), talk: talk}
	r.ctx, r.cancel = context.WithCancel(c.ctx)
	response, err := c.initial(initial)
	if err != nil {
		r.cancel()
		c.refuse(r, auth.CodeBadBase64, "Invalid base64 data in initial response")
		return true
	}
	c.mu.Lock()
	c.requests[id] = r
	r.timer = time.AfterFunc(c.RequestTimeout, func() { c.expire(r) })
	c.touch(r)
	c.mu.Unlock()
	c.work.Go(func() { c.step(r, response) })
	return true
}

func (c *conn) converse(mechanism string, p *parameters) (conversation, error) {
	if c.kind == Token || c.kind == TokenLogin {
		return c.tokens(mechanism)
	}
	r := p.request()
	r.AuthOnly = !c.kind.twoPhase()
	x, err := c.Auth.Begin(r, mechanism)
	if err != nil {
		return nil, err // not a nil *auth.Exchange in an interface
	}
	return x, nil
}

// initial decodes resp=. Clients of protocol 1.1, such as Exim, send an empty one where there is none.
func (c *conn) initial(text *string) ([]byte, error) {
	if text == nil || *text == "" && c.minor < 2 {
		return nil, nil
	}
	return sasl.Decode(*text)
}

// refuse ends a request that broke the rules between client and server.
func (c *conn) refuse(r *request, code auth.Code, reason string) {
	c.Log.LogAttrs(c.ctx, slog.LevelInfo, r.about+reason)
	c.send(failed(r.id, code, reason))
}

// touch begins a request's time anew; c.mu is held.
func (c *conn) touch(r *request) {
	r.touched = time.Now()
	r.timer.Reset(c.RequestTimeout)
}

// expire forgets a request whose client, or master, has not come back.
func (c *conn) expire(r *request) {
	c.mu.Lock()
	there := c.requests[r.id] == r
	idle := int(time.Since(r.touched).Seconds())
	state := r.done == nil
	c.forget(r.id, r)
	c.mu.Unlock()
	switch {
	case there && state:
		c.Log.LogAttrs(c.ctx, slog.LevelInfo, r.about+fmt.Sprintf("Request timed out waiting for client to continue authentication (%d secs)", idle))
	case there:
		c.error(fmt.Sprintf("Request %d.%d timed out after %d secs, state=2", c.pid, r.id, idle))
	}
}

// resume is CONT.
func (c *conn) resume(w []string) bool {
	id, ok := number(w[0])
	if !ok || len(w) < 2 {
		c.bug("Authentication client sent broken CONT request")
		return false
	}
	c.mu.Lock()
	r := c.requests[id]
	if r == nil {
		c.mu.Unlock()
		c.send(failed(id, auth.CodeNone, "Authentication request timed out"))
		return true
	}
	waiting := r.waiting
	r.waiting = false
	response, err := sasl.Decode(w[1])
	if !waiting || err != nil {
		c.forget(id, r)
	} else {
		c.touch(r)
	}
	c.mu.Unlock()
	switch {
	case !waiting:
		c.refuse(r, auth.CodeNone, "Unexpected continuation")
	case err != nil:
		c.refuse(r, auth.CodeBadBase64, "Invalid base64 data in continued response")
	case r.done != nil: // the answer to the last data; what it says does not matter
		c.succeed(r, r.done, nil)
	default:
		c.work.Go(func() { c.step(r, response) })
	}
	return true
}

// abandon is CANCEL.
func (c *conn) abandon(word string) bool {
	id, ok := number(word)
	if !ok {
		c.bug("Authentication client sent broken CANCEL")
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.requests[id]; r != nil {
		c.forget(id, r)
	}
	return true
}

// step lets the conversation go on and tells the client how. It waits: for databases, and before a failure.
func (c *conn) step(r *request, response []byte) {
	challenge, done := r.talk.Step(r.ctx, response)
	clear(response)
	switch {
	case done == nil:
		c.challenge(r, challenge)
	case !done.OK:
		c.fail(r, done)
	case len(done.Final) > 0 && !r.finalOK:
		c.mu.Lock()
		r.done = done
		c.mu.Unlock()
		c.challenge(r, done.Final)
	default:
		c.succeed(r, done, done.Final)
	}
}

// fail tells the client that it is refused. Postfix (3.7.11) and Exim (4.96) have one way only to hear of a temporary
// failure, which is that the connection ends without an answer: told by a code, they refuse the user for good, who is
// then asked for another password.
func (c *conn) fail(r *request, done *auth.Reply) {
	c.mu.Lock()
	there := c.requests[r.id] == r
	c.forget(r.id, r)
	alone := len(c.requests) == 0
	c.mu.Unlock()
	switch {
	case !there:
	case alone && r.smtp && c.kind == Client && done.Code == auth.CodeTempFail:
		c.net.Close()
	default:
		c.send(failLine(r.id, done))
	}
}

func (c *conn) challenge(r *request, data []byte) {
	c.mu.Lock()
	there := c.requests[r.id] == r
	r.waiting = true
	if there {
		c.touch(r)
	}
	c.mu.Unlock()
	if there {
		c.send(fmt.Appendf(nil, "CONT\t%d\t%s", r.id, base64.StdEncoding.EncodeToString(data)))
	}
}

// succeed tells the client that the login is right. On a login socket the request stays for REQUEST, unless nobody
// will log in here.
func (c *conn) succeed(r *request, done *auth.Reply, final []byte) {
	c.mu.Lock()
	there := c.requests[r.id] == r
	r.done, r.told = done, true
	switch {
	case !there:
	case !c.kind.twoPhase() || done.Fields.Has("nologin") || done.Fields.Has("proxy"):
		c.forget(r.id, r)
	default:
		c.touch(r)
	}
	c.mu.Unlock()
	if there {
		c.send(c.okLine(r.id, done, final))
	}
}
