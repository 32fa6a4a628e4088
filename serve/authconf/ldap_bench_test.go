package authconf

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
	"dovetail/auth/socket"
	"dovetail/serve/config"
)

// BenchmarkLDAP logs in here and in real Dovecot, which is asked over its socket; the directory is the same.
func BenchmarkLDAP(b *testing.B) {
	s := slapd(b, authtest.SlapdOptions{})
	for _, mode := range []struct{ name, ext string }{
		{"compared", serviceLines},
		{"searched and bound", serviceLines + "auth_bind = yes\n"},
		{"bound", "base = ou=People,dc=example,dc=com\nauth_bind = yes\nauth_bind_userdn = cn=%u,ou=People,dc=example,dc=com\n"},
	} {
		pair := besideDovecot(b, "uris = "+s.URI+"\n"+mode.ext)
		theirs, err := socket.DialLogins(b.Context(), filepath.Join(filepath.Dir(pair.theirs.Config()), "run", "auth-client"))
		if err != nil {
			if os.Getuid() != 0 {
				b.Skip("Dovecot's socket is root's")
			}
			b.Fatal(err)
		}
		defer theirs.Close()
		c, _ := config.Load(b.Context(), pair.site.conf, config.Options{Expand: true})
		ours, err := Build(b.Context(), c, nil, slog.New(slog.DiscardHandler)) // a log that is kept would be measured, too
		if err != nil {
			b.Fatal(err)
		}
		defer ours.Close()
		for name, login := range map[string]func(context.Context) (*auth.Reply, error){
			"ours": func(ctx context.Context) (*auth.Reply, error) {
				return ours.Login(ctx, auth.Request{Service: "imap"}, "alice", "apass"), nil
			},
			"Dovecot": func(ctx context.Context) (*auth.Reply, error) {
				reply, _, err := theirs.Login(ctx, auth.Request{Service: "imap", Secured: "secured"}, "PLAIN", []byte("\x00alice\x00apass"), nil)
				return reply, err
			},
		} {
			b.Run(mode.name+"/"+name, func(b *testing.B) {
				b.SetParallelism(16)
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if reply, err := login(b.Context()); err != nil || !reply.OK {
							b.Errorf("%+v, %v\n%s", reply, err, pair.theirs.Log())
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
			})
		}
	}
}
