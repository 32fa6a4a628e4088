package socket

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"dovetail/auth"
)

// serveMaster is the life of a connection on which users are looked up.
func (c *conn) serveMaster(ctx context.Context, cancel context.CancelFunc) {
	c.send(fmt.Appendf(nil, "VERSION\t1\t1\nSPID\t%d", pid))
	c.net.SetReadDeadline(time.Now().Add(c.HandshakeTimeout))
	places := make(chan struct{}, c.Requests)
	err := c.each(maxMasterLine, func(w []string, line string) bool {
		if c.handshake.IsZero() {
			if len(w) < 2 || w[0] != "VERSION" || w[1] != "1" {
				c.error("Master not compatible with this server (mixed old and new binaries?)")
				return false
			}
			c.handshake = time.Now()
			c.net.SetReadDeadline(time.Time{})
			return true
		}
		return c.masterCommand(ctx, places, w, line)
	})
	if errors.Is(err, errTooLong) {
		c.bug("Master sent us more than %d bytes", maxMasterLine)
	}
	cancel()
	c.work.wait()
}

func (c *conn) masterCommand(ctx context.Context, places chan struct{}, w []string, line string) bool {
	if len(w) < 2 {
		return c.unknown(w, line)
	}
	var answer func(context.Context, []string) func()
	switch w[0] {
	case "USER":
		answer = c.user
	case "PASS":
		answer = c.pass
	case "LIST":
		return c.list(ctx, w[1:])
	}
	if c.kind == Master {
		switch w[0] {
		case "REQUEST":
			answer = c.request
		case "CACHE-FLUSH":
			c.send(fmt.Appendf(nil, "OK\t%s\t%d", Escape(w[1]), c.Auth.FlushCache(w[2:]...)))
			return true
		case "CPID":
			c.error("Authentication client trying to connect to master socket")
			return false
		}
	}
	if answer == nil {
		return c.unknown(w, line)
	}
	work := answer(ctx, w[1:])
	if work == nil {
		return false
	}
	select {
	case places <- struct{}{}: // no more lines are read while too many are worked on
	case <-ctx.Done():
		return false
	}
	c.work.do(func() {
		defer func() { <-places }()
		work()
	})
	return true
}

func (c *conn) unknown(w []string, line string) bool {
	c.bug("Unknown command in %s socket: %s", c.kind, verb(w, line))
	return false
}

// lookup reads the words of USER and PASS: id, name and parameters.
func (c *conn) lookup(verb string, w []string) (id uint32, name string, r auth.Request, ok bool) {
	if id, ok = number(w[0]); !ok || len(w) < 2 {
		c.bug("Master sent broken %s", verb)
		return 0, "", r, false
	}
	var p parameters
	for _, word := range w[2:] {
		p.lookup(keyed(word))
	}
	if !p.service {
		c.bug("Master sent %s request without service", verb)
		return 0, "", r, false
	}
	return id, w[1], p.request(), true
}

// user is USER. What is left to do is done beside the reading of further lines.
func (c *conn) user(ctx context.Context, w []string) func() {
	id, name, r, ok := c.lookup("USER", w)
	if !ok {
		return nil
	}
	return func() {
		u, err := c.Auth.User(ctx, r, name)
		if err == nil && !c.mayAsk(u) {
			err = errRestricted
		}
		if err != nil {
			c.send(lookupFailed(id, err))
			return
		}
		c.send(userLine(id, u))
	}
}

var errRestricted = errors.New("not the peer's user")

// lookupFailed is the answer to a lookup that gave nobody.
func lookupFailed(id uint32, err error) []byte {
	switch {
	case errors.Is(err, auth.ErrUnknown), errors.Is(err, auth.ErrDisabled), errors.Is(err, auth.ErrExpired):
		return fmt.Appendf(nil, "NOTFOUND\t%d", id)
	case errors.Is(err, auth.ErrNoFind):
		return fmt.Appendf(nil, "FAIL\t%d\treason=Configured passdbs don't support credentials lookups", id)
	}
	return fmt.Appendf(nil, "FAIL\t%d", id)
}

// mayAsk tells whether a restricted peer may know of a user (user_verify_restricted_uid of 2.3.19.1).
func (c *conn) mayAsk(u *auth.User) bool {
	if c.restricted == 0 {
		return true
	}
	reason := ""
	switch {
	case !u.HasUID:
		reason = "userdb reply doesn't contain uid"
	case u.UID != c.restricted:
		reason = fmt.Sprintf("userdb uid (%d) doesn't match peer uid (%d)", u.UID, c.restricted)
	default:
		return true
	}
	c.refused(fmt.Sprintf("client doesn't have lookup permissions for this user: %s "+
		"(to bypass this check, set: service auth { unix_listener %s { mode=0777 } })", reason, c.name))
	return false
}

// refused logs why a peer learns nothing; such lines do not begin with the user.
func (c *conn) refused(text string) { c.Log.LogAttrs(c.ctx, slog.LevelError, text) }

// about is how lines of the log about one user begin.
func about(what, user string, r *auth.Request) string {
	who := or(sanitize(user), "?")
	if r.Remote.Addr().IsValid() {
		who += "," + r.Remote.Addr().Unmap().String()
	}
	if r.Session != "" {
		who += ",<" + sanitize(r.Session) + ">"
	}
	return fmt.Sprintf("%s(%s): ", what, who)
}

// pass is PASS: what the passdbs know of a user, without the password.
func (c *conn) pass(ctx context.Context, w []string) func() {
	id, name, r, ok := c.lookup("PASS", w)
	if !ok {
		return nil
	}
	return func() {
		if c.restricted != 0 {
			c.refused("Auth client doesn't have permissions to do a PASS lookup: " + c.notOwner())
			c.send(fmt.Appendf(nil, "FAIL\t%d", id))
			return
		}
		reply, err := c.Auth.Lookup(ctx, r, name)
		if err != nil {
			c.send(lookupFailed(id, err))
			return
		}
		c.send(passLine(id, reply))
	}
}

func passLine(id uint32, r *auth.Reply) []byte {
	switch {
	case r.OK:
		line := appendWord(fmt.Appendf(nil, "PASS\t%d", id), "user", r.User)
		return appendFields(line, r.Fields.Without(last...), nil) // as the database has them
	case r.Code == auth.CodeTempFail:
		return fmt.Appendf(nil, "FAIL\t%d", id)
	}
	return fmt.Appendf(nil, "NOTFOUND\t%d", id)
}

// list is LIST; nothing else is read until it is done.
func (c *conn) list(ctx context.Context, w []string) bool {
	id, ok := number(w[0])
	if !ok {
		c.bug("Master sent broken LIST")
		return false
	}
	if c.restricted != 0 {
		c.error("Auth client doesn't have permissions to list users: " + c.notOwner())
		c.send(fmt.Appendf(nil, "DONE\t%d\tfail", id))
		return true
	}
	var p parameters
	mask := ""
	for _, word := range w[1:] {
		if key, value := keyed(word); !p.lookup(key, value) && key == "user" {
			mask = value
		}
	}
	failed := ""
	for name, err := range c.Auth.Users(ctx, p.request(), masks(mask)...) {
		if err != nil {
			failed = "fail"
			c.listFailed(err)
			continue
		}
		c.send(fmt.Appendf(nil, "LIST\t%d\t%s", id, Escape(name)))
	}
	c.send(fmt.Appendf(nil, "DONE\t%d\t%s", id, failed))
	return ctx.Err() == nil
}

// masks: none is everybody.
func masks(mask string) []string {
	if mask == "" {
		return nil
	}
	return []string{mask}
}

func (c *conn) listFailed(err error) {
	if errors.Is(err, auth.ErrNoList) {
		c.error(err.Error())
	}
}

// request is REQUEST: a process that has taken over a connection from a login process asks whose mail it is. It must
// name the login process, the login and the cookie that only that process was given; it can do so once.
func (c *conn) request(ctx context.Context, w []string) func() {
	var n [3]uint32
	var cookie []byte
	ok := len(w) >= 4
	for i := 0; i < len(n) && ok; i++ {
		n[i], ok = number(w[i])
	}
	if !ok {
		c.bug("Master sent broken REQUEST")
		return nil
	}
	id, clientPID, login := n[0], n[1], n[2]
	cookie, err := hex.DecodeString(w[3])
	if err != nil {
		c.bug("Master sent broken REQUEST cookie")
		return nil
	}
	done, session, err := c.claim(clientPID, login, cookie, w[4:])
	if err != nil {
		c.error(err.Error())
		return func() { c.send(fmt.Appendf(nil, "FAIL\t%d", id)) }
	}
	return func() { c.finish(ctx, id, done, session) }
}

// session is what a master says of the process that goes on with a login.
type session struct {
	pid   int
	token bool // it wants one
}

// claim takes the login that a master names from the connection of its login process.
func (c *conn) claim(clientPID, id uint32, cookie []byte, params []string) (*request, session, error) {
	var s session
	for _, word := range params {
		switch key, value := keyed(word); key {
		case "session_pid":
			s.pid, _ = strconv.Atoi(value)
		case "request_auth_token":
			s.token = true
		}
	}
	login := c.login(clientPID)
	switch {
	case login == nil || login.hungUp():
		return nil, s, fmt.Errorf("Master requested auth for nonexistent client %d", clientPID)
	case subtle.ConstantTimeCompare(login.cookie[:], cookie) != 1:
		return nil, s, fmt.Errorf("Master requested auth for client %d with invalid cookie", clientPID)
	}
	login.mu.Lock()
	defer login.mu.Unlock()
	r := login.requests[id]
	if r == nil {
		return nil, s, fmt.Errorf("Master request %d.%d not found", clientPID, id)
	}
	login.forget(id, r)
	switch {
	case s.pid != 0 && c.peer != nil && c.peer.Pid != 0 && int(c.peer.Pid) != s.pid:
		return nil, s, fmt.Errorf("Session pid %d provided by master for request %d.%d did not match peer credentials (pid=%d, uid=%d)",
			s.pid, clientPID, id, c.peer.Pid, c.peer.Uid)
	case r.done == nil || !r.told:
		return nil, s, fmt.Errorf("Master requested unfinished authentication request %d.%d", clientPID, id)
	}
	return r, s, nil
}

// finish looks the user of a login up and says what the session needs to know of it.
func (c *conn) finish(ctx context.Context, id uint32, r *request, s session) {
	done := r.done
	var u *auth.User
	var err error
	if _, byToken := r.talk.(tokens); byToken {
		u, err = c.Auth.User(ctx, done.Request, done.User)
	} else {
		u, err = c.Auth.Finish(ctx, done)
	}
	if err != nil {
		c.send(lookupFailed(id, err))
		return
	}
	line := userLine(id, u)
	if u.MasterUser != "" && !u.Fields.Has("master_user") {
		line = appendWord(line, "master_user", u.MasterUser)
	}
	line = appendWord(line, "auth_mech", done.Request.Mechanism)
	if s.token && s.pid != 0 {
		line = appendWord(line, "auth_token", c.token(done.Request.Service, s.pid, u.Name, done.Request.Session))
	}
	if u.AuthUser != "" && u.AuthUser != u.Name {
		line = appendWord(line, "auth_user", u.AuthUser)
	}
	c.send(line)
}
