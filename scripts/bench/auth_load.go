package main

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dovetail/auth"
	"dovetail/auth/socket"
)

// connect opens connections to the auth service, waiting until it listens.
func connect(path string, n int) (clients []*socket.Logins, err error) {
	const tries = 100
	for range tries {
		var c *socket.Logins
		if c, err = socket.DialLogins(context.Background(), path); err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if clients = append(clients, c); len(clients) == n {
			return clients, nil
		}
	}
	return clients, err
}

// logins logs in as one user after the other for some time, one login at a time on each connection, and tells how often.
func logins(clients []*socket.Logins, mechanism string, d time.Duration) (int64, error) {
	ctx := context.Background()
	var n atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, len(clients))
	end := time.Now().Add(d)
	for _, c := range clients {
		group.Go(func() {
			for time.Now().Before(end) {
				initial, respond := conversations[mechanism](authUser(int(n.Add(1) % authUsers)))
				r, _, err := c.Login(ctx, auth.Request{Service: "smtp"}, mechanism, initial, respond)
				if err == nil && !r.OK {
					err = errors.New("the right password is refused")
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return n.Load(), nil
	}
}

func authUser(i int) string { return fmt.Sprintf("user%04d", i) }

type respond = func(ctx context.Context, challenge []byte) ([]byte, error)

// conversations are the clients' sides of mechanisms, for a user with authPassword.
var conversations = map[string]func(user string) ([]byte, respond){
	"PLAIN": func(user string) ([]byte, respond) { return []byte("\x00" + user + "\x00" + authPassword), nil },
	"CRAM-MD5": func(user string) ([]byte, respond) {
		return nil, func(_ context.Context, challenge []byte) ([]byte, error) {
			h := hmac.New(md5.New, []byte(authPassword))
			h.Write(challenge)
			return fmt.Appendf(nil, "%s %x", user, h.Sum(nil)), nil
		}
	},
	"DIGEST-MD5":    digest,
	"SCRAM-SHA-256": scram,
}

// digest is RFC 2831 with qop=auth and no realm.
func digest(user string) ([]byte, respond) {
	asked := false
	return nil, func(_ context.Context, challenge []byte) ([]byte, error) {
		if asked {
			return []byte{}, nil // rspauth
		}
		asked = true
		_, rest, _ := strings.Cut(string(challenge), `nonce="`)
		nonce, _, _ := strings.Cut(rest, `"`)
		sum := func(text string) string { s := md5.Sum([]byte(text)); return hex.EncodeToString(s[:]) }
		secret := md5.Sum([]byte(user + "::" + authPassword))
		a1, a2 := sum(string(secret[:])+":"+nonce+":abc"), sum("AUTHENTICATE:smtp/localhost")
		return fmt.Appendf(nil, `username="%s",nonce="%s",cnonce="abc",nc=00000001,qop=auth,digest-uri="smtp/localhost",response=%s`,
			user, nonce, sum(a1+":"+nonce+":00000001:abc:auth:"+a2)), nil
	}
}

// salts are what passwords became with a salt: clients keep that (RFC 5802 section 5.1).
var salts sync.Map

// scram is RFC 7677 without channel binding.
func scram(user string) ([]byte, respond) {
	first := "n=" + user + ",r=rOprNGfwEbeRWgbNEkqO"
	return []byte("n,," + first), func(_ context.Context, challenge []byte) ([]byte, error) {
		text := string(challenge)
		if strings.HasPrefix(text, "v=") {
			return []byte{}, nil
		}
		parts := strings.Split(text, ",")
		if len(parts) != 3 {
			return nil, fmt.Errorf("SCRAM: challenge %q", text)
		}
		salted, ok := salts.Load(parts[1])
		if !ok {
			salt, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(parts[1], "s="))
			rounds, err2 := strconv.Atoi(strings.TrimPrefix(parts[2], "i="))
			key, err3 := pbkdf2.Key(sha256.New, authPassword, salt, rounds, sha256.Size)
			if err := errors.Join(err, err2, err3); err != nil {
				return nil, err
			}
			salted, _ = salts.LoadOrStore(parts[1], key)
		}
		last := "c=biws," + parts[0]
		mac := func(key []byte, text string) []byte {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(text))
			return h.Sum(nil)
		}
		key := mac(salted.([]byte), "Client Key")
		stored := sha256.Sum256(key)
		for i, b := range mac(stored[:], first+","+text+","+last) {
			key[i] ^= b
		}
		return []byte(last + ",p=" + base64.StdEncoding.EncodeToString(key)), nil
	}
}
