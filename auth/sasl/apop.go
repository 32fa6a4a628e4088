package sasl

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"
)

// apop is the command of POP3 (RFC 1939 section 7) in the dress that Dovecot gives it between its processes: the
// greeting's challenge, NUL, name, NUL, 16 bytes that are the MD5 sum of challenge and password.
type apop struct {
	Backend
	own func(challenge string) bool
}

func newAPOP(b Backend, c Config) Server { return apop{b, c.OwnChallenge} }

func (s apop) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if len(response) == 0 {
		return nil, false, malformed("no initial response")
	}
	parts := bytes.SplitN(response, []byte{0}, 3) // the sum may have NULs in it
	if len(parts) != 3 || len(parts[2]) != md5.Size {
		return nil, false, malformed("malformed data")
	}
	if s.own == nil || !s.own(string(parts[0])) {
		return nil, false, malformed("invalid challenge")
	}
	if len(parts[1]) == 0 {
		return nil, false, malformed("Empty username")
	}
	cred, err := s.Credentials(ctx, string(parts[1]), "", "PLAIN")
	if err != nil {
		return nil, false, err
	}
	sum := md5.Sum(append(parts[0][:len(parts[0]):len(parts[0])], cred.Raw...))
	if subtle.ConstantTimeCompare(sum[:], parts[2]) != 1 {
		return nil, false, ErrMismatch
	}
	return nil, true, nil
}

// APOPChallenge makes a challenge for the greeting of POP3 as Dovecot does: "<pid.connection.time.random@host>", the
// first three in hexadecimals. The pair of pid and connection is the SPID and CUID of the auth protocol.
func APOPChallenge(pid, connection uint32, now time.Time, host string) string {
	return fmt.Sprintf("<%x.%x.%x.%s@%s>", pid, connection, now.Unix(), digits(16), host)
}

// IsAPOPChallenge tells whether a challenge was made for this pid and connection, not before a time.
func IsAPOPChallenge(challenge string, pid, connection uint32, since time.Time) bool {
	var p, c uint32
	var at int64
	// Sscanf takes less than the whole, as sscanf in Dovecot does: what follows is known to the client alone.
	n, err := fmt.Sscanf(challenge, "<%x.%x.%x.", &p, &c, &at)
	return err == nil && n == 3 && p == pid && c == connection && at >= since.Unix() && strings.HasSuffix(challenge, ">")
}
