package socket

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"dovetail/auth"
)

// tokenMechanism is the only one on token sockets: whoever has logged in got a token with its REQUEST and can show it to
// another service, which checks it here. Its one response is service, pid, user, session and token, separated by NUL.
const tokenMechanism = "DOVECOT-TOKEN"

// token proves that a user has logged in to a service. It is of no use to another server process.
func (s *Server) token(service string, sessionPID int, user, session string) string {
	h := hmac.New(sha256.New, s.secret[:])
	for _, part := range []string{service, strconv.Itoa(sessionPID), user, session} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tokens is a conversation with DOVECOT-TOKEN.
type tokens struct{ s *Server }

func (c *conn) tokens(mechanism string) (conversation, error) {
	if !strings.EqualFold(mechanism, tokenMechanism) {
		return nil, auth.ErrMechanism
	}
	return tokens{c.Server}, nil
}

// Step asks for the response if there was none with AUTH.
func (t tokens) Step(_ context.Context, response []byte) ([]byte, *auth.Reply) {
	if response == nil {
		return []byte{}, nil
	}
	part := strings.Split(string(response), "\x00")
	if len(part) != 5 {
		return nil, &auth.Reply{}
	}
	service, session, user := part[0], part[3], part[2]
	number, err := strconv.Atoi(part[1])
	if err != nil || !hmac.Equal([]byte(t.s.token(service, number, user, session)), []byte(part[4])) {
		return nil, &auth.Reply{User: user}
	}
	return nil, &auth.Reply{OK: true, User: user, OriginalUser: user,
		Request: auth.Request{Service: service, Session: session, Mechanism: tokenMechanism}}
}
