package socket_test

import (
	"testing"

	"dovetail/auth"
	"dovetail/auth/socket"
)

// One login after the other, each over the socket and with the conversation of PLAIN.
func BenchmarkLogin(b *testing.B) {
	s := newServer(b)
	l, err := socket.DialLogins(b.Context(), s.listen("auth", 0o600))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r, _, err := l.Login(b.Context(), auth.Request{Service: "smtp"}, "PLAIN", []byte("\x00dave\x00x"), nil)
			if err != nil || !r.OK {
				b.Fatalf("%+v, %v", r, err)
			}
		}
	})
}
