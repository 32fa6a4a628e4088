package sasl

import (
	"encoding/hex"
	"testing"
	"time"

	xdg "github.com/xdg-go/scram"
)

// Whole conversations per second on the server's side, the client's included where it cannot be prepared.
func BenchmarkConversations(b *testing.B) {
	u := &users{clear: map[string]string{"ann": "pw"}, stored: map[string]Credentials{}}
	contexts, err := hex.DecodeString(tanstaafContexts)
	if err != nil {
		b.Fatal(err)
	}
	u.stored["CRAM-MD5 tim"] = Credentials{Scheme: "CRAM-MD5", Raw: contexts}
	for mechanism, hash := range map[string]xdg.HashGeneratorFcn{"SCRAM-SHA-1": xdg.SHA1, "SCRAM-SHA-256": xdg.SHA256} {
		u.stored[mechanism+" tim"] = Credentials{Scheme: mechanism, Raw: []byte(stored(b, hash, "pw", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096))}
	}
	scram := func(hash xdg.HashGeneratorFcn, name string) func() script {
		c, err := hash.NewClientUnprepped(name, "pw", "") // which keeps the costly part for a salt that it knows
		if err != nil {
			b.Fatal(err)
		}
		return func() script {
			conv := c.NewConversation()
			return func(_ int, challenge string) (string, bool) {
				response, err := conv.Step(challenge)
				return response, err == nil
			}
		}
	}
	once := func(s script) func() script { return func() script { return s } }
	p := &peer{pid: 1, cuid: 2}
	for _, x := range []struct {
		name, mechanism string
		client          func() script
	}{
		{"PLAIN", "PLAIN", once(said("\x00ann\x00pw"))},
		{"LOGIN", "LOGIN", once(said("-", "ann", "pw"))},
		{"CRAM-MD5", "CRAM-MD5", once(cramClient("ann", "pw"))},
		{"CRAM-MD5 stored", "CRAM-MD5", once(cramClient("tim", "tanstaaftanstaaf"))},
		{"DIGEST-MD5", "DIGEST-MD5", once(digestClient("ann", "", "pw", ""))},
		{"APOP", "APOP", once(apopClient(p, 1, 2, "ann", "pw"))},
		{"SCRAM-SHA-1 in clear", "SCRAM-SHA-1", scram(xdg.SHA1, "ann")},
		{"SCRAM-SHA-1 stored", "SCRAM-SHA-1", scram(xdg.SHA1, "tim")},
		{"SCRAM-SHA-256 in clear", "SCRAM-SHA-256", scram(xdg.SHA256, "ann")},
		{"SCRAM-SHA-256 stored", "SCRAM-SHA-256", scram(xdg.SHA256, "tim")},
		{"EXTERNAL", "EXTERNAL", once(said(""))},
		{"OAUTHBEARER", "OAUTHBEARER", once(said("n,a=ann,\x01host=x\x01port=143\x01auth=Bearer pw\x01\x01"))},
		{"XOAUTH2", "XOAUTH2", once(said("user=ann\x01auth=Bearer pw\x01\x01"))},
		{"ANONYMOUS", "ANONYMOUS", once(said("me"))},
	} {
		b.Run(x.name, func(b *testing.B) {
			start := time.Now()
			for b.Loop() {
				u.seen = u.seen[:0]
				if _, end := p.ours(b.Context(), x.mechanism, x.client(), u); end != "ok" {
					b.Fatal(end)
				}
			}
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "logins/s")
		})
	}
}
