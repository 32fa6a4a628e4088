package ldap

import (
	"context"
	"fmt"
	"testing"

	"dovetail/auth"
	"dovetail/auth/authtest"
)

// crowd is a directory of a thousand users.
func crowd(b *testing.B) *authtest.Slapd {
	ldif := people()
	for i := range 1000 {
		ldif += person(fmt.Sprintf("cn=u%d,ou=People,dc=example,dc=com", i), fmt.Sprintf("u%d", i), "pass", 2000+i, fmt.Sprintf("cn: u%d", i))
	}
	return authtest.StartSlapd(b, authtest.SlapdOptions{LDIF: ldif})
}

func BenchmarkDirectory(b *testing.B) {
	s := crowd(b)
	o := options(b, open(b, asService(s.URI)))
	o.Fields = []Field{{Key: "home", Attribute: "homeDirectory"}, {Key: "uid", Attribute: "uidNumber"}, {Key: "gid", Attribute: "gidNumber"}}
	users := userdb(b, o)
	o.Bind = true
	searched := passdb(b, o)
	o.BindDN = template(b, "cn=%{user},ou=People,dc=example,dc=com")
	direct := passdb(b, o)
	for name, do := range map[string]func(context.Context, *auth.Request) error{
		"lookup": func(ctx context.Context, r *auth.Request) error { _, err := users.Find(ctx, r); return err },
		"search and bind": func(ctx context.Context, r *auth.Request) error {
			_, err := searched.Verify(ctx, r, "pass")
			return err
		},
		"bind": func(ctx context.Context, r *auth.Request) error { _, err := direct.Verify(ctx, r, "pass"); return err },
	} {
		for how, parallel := range map[string]int{"one after the other": 0, "many at once": 16} {
			b.Run(name+", "+how, func(b *testing.B) {
				one := func(i int) {
					if err := do(b.Context(), request(fmt.Sprintf("u%d", i%1000))); err != nil {
						b.Error(err)
					}
				}
				if parallel == 0 {
					for i := range b.N {
						one(i)
					}
				} else {
					b.SetParallelism(parallel)
					b.RunParallel(func(pb *testing.PB) {
						for i := 0; pb.Next(); i++ {
							one(i)
						}
					})
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			})
		}
	}
}
