package sasl

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	xdg "github.com/xdg-go/scram"

	"dovetail/formats/formatstest/dovecot"
)

// peer is one connection to the socket on which Dovecot's auth process serves programs such as Postfix.
type peer struct {
	t         *testing.T
	conn      net.Conn
	in        *bufio.Reader
	mechs     map[string][]string // what it offers, with the flags
	pid, cuid uint32

	mu      sync.Mutex // guards what follows, and writing
	last    int
	replies map[string]chan []string // by the number of the request
}

const allMechanisms = "plain login cram-md5 digest-md5 apop scram-sha-1 scram-sha-256 external oauthbearer xoauth2 anonymous"

// dial starts a Dovecot with all mechanisms and these users, and connects to it.
func dial(t *testing.T, passwd string) *peer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(file); dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // the auth process is another user
			t.Fatal(err)
		}
	}
	d := dovecot.Serve(t, file, "auth_mechanisms = "+allMechanisms, "auth_ssl_username_from_cert = yes", "auth_realms = example.org",
		"auth_verbose = yes", "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}")
	greeted, err := net.Dial("tcp", d.IMAPAddr) // once it greets, the auth process listens
	if err != nil {
		t.Fatal(err)
	}
	defer greeted.Close()
	if _, err := bufio.NewReader(greeted).ReadString('\n'); err != nil {
		t.Fatal(err, d.Log())
	}
	p := &peer{t: t, mechs: map[string][]string{}, replies: map[string]chan []string{}}
	if p.conn, err = net.Dial("unix", filepath.Join(filepath.Dir(d.Config()), "run", "auth-client")); err != nil {
		t.Fatal(err, d.Log())
	}
	t.Cleanup(func() { p.conn.Close() })
	p.in = bufio.NewReader(p.conn)
	fmt.Fprintf(p.conn, "VERSION\t1\t2\nCPID\t%d\n", os.Getpid())
	for {
		words := p.read()
		switch words[0] {
		case "MECH":
			p.mechs[words[1]] = words[2:]
		case "SPID":
			p.pid = p.number(words[1])
		case "CUID":
			p.cuid = p.number(words[1])
		case "DONE":
			go p.deliver()
			return p
		}
	}
}

func (p *peer) read() []string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(line, "\n"), "\t")
}

// deliver hands replies to those who wait for them until the connection ends: refusals come after half a second, so many
// conversations are held at once.
func (p *peer) deliver() {
	for {
		line, err := p.in.ReadString('\n')
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		p.mu.Lock()
		if err != nil {
			for _, c := range p.replies {
				close(c)
			}
			p.replies = nil
			p.mu.Unlock()
			return
		}
		if len(words) > 1 && p.replies[words[1]] != nil {
			p.replies[words[1]] <- words
		}
		p.mu.Unlock()
	}
}

// begin takes a number for a conversation.
func (p *peer) begin() (id string, replies chan []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	id, replies = strconv.Itoa(p.last), make(chan []string, 1)
	p.replies[id] = replies
	return id, replies
}

func (p *peer) send(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.conn, format+"\n", args...)
}

func (p *peer) number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	return uint32(n)
}

// script is a client: the first response is to nothing, the others to challenges; ok false ends it.
type script func(step int, challenge string) (response string, ok bool)

func said(responses ...string) script {
	return func(step int, _ string) (string, bool) {
		if step >= len(responses) {
			return "", false
		}
		return responses[step], true
	}
}

// dovecot gives the challenges, the data with the success last, and "ok", "fail" or "goes on".
func (p *peer) dovecot(mechanism string, client script) (challenges []string, end string) {
	id, replies := p.begin()
	resp := ""
	first, _ := client(0, "")
	if first != "-" {
		resp = "\tresp=" + base64.StdEncoding.EncodeToString([]byte(first))
	}
	params := "service=imap\tsecured\tfinal-resp-ok" // else final data is a challenge, too
	if mechanism == "EXTERNAL" {                     // the name in a certificate wins over all others
		params += "\tcert_username=nopass\tvalid-client-cert"
	}
	p.send("AUTH\t%s\t%s\t%s%s", id, mechanism, params, resp)
	for step := 1; ; step++ {
		words, ok := <-replies
		switch {
		case !ok:
			return challenges, "connection lost"
		case words[0] == "OK":
			for _, w := range words {
				if value, ok := strings.CutPrefix(w, "resp="); ok {
					challenges = append(challenges, decoded(value))
				}
			}
			return challenges, "ok"
		case words[0] == "FAIL":
			return challenges, "fail"
		}
		challenge := decoded(words[2])
		challenges = append(challenges, challenge)
		response, ok := client(step, challenge)
		if !ok {
			p.send("CANCEL\t%s", id)
			return challenges, "goes on"
		}
		p.send("CONT\t%s\t%s", id, base64.StdEncoding.EncodeToString([]byte(response)))
	}
}

func decoded(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// ours is the same with our mechanism.
func (p *peer) ours(ctx context.Context, mechanism string, client script, b Backend) (challenges []string, end string) {
	own := func(challenge string) bool { return IsAPOPChallenge(challenge, p.pid, p.cuid, time.Unix(1, 0)) }
	s, err := New(mechanism, b, Config{External: "nopass", Realms: []string{"example.org"}, HostName: "localhost", OwnChallenge: own})
	if err != nil {
		return nil, err.Error()
	}
	challenge := ""
	for step := 0; ; step++ {
		response, ok := client(step, challenge)
		if !ok {
			return challenges, "goes on"
		}
		in := []byte(response)
		if response == "-" {
			in = nil
		}
		out, done, err := s.Next(ctx, in)
		if err != nil {
			return challenges, "fail"
		}
		if challenge = string(out); !done || out != nil {
			challenges = append(challenges, challenge)
		}
		if done {
			return challenges, "ok"
		}
	}
}

// What is random in challenges.
var random = regexp.MustCompile(`<[0-9]{16}\.[0-9]+@[^>]+>|nonce="[^"]+"|^r=[^,]+,s=[^,]+|rspauth=[0-9a-f]{32}|^v=[A-Za-z0-9+/=]+`)

func shapes(challenges []string) []string {
	out := []string{}
	for _, c := range challenges {
		out = append(out, random.ReplaceAllStringFunc(c, func(s string) string { return strings.SplitN(s, "=", 2)[0][:1] + "*" }))
	}
	return out
}

func cramClient(name, password string) script {
	return func(step int, challenge string) (string, bool) {
		h := hmac.New(md5.New, []byte(password))
		h.Write([]byte(challenge))
		return []string{"-", name + " " + hex.EncodeToString(h.Sum(nil))}[step], true
	}
}

// digestClient answers as RFC 2831 says, in UTF-8.
func digestClient(name, realm, password, more string) script {
	return func(step int, challenge string) (string, bool) {
		if step == 0 {
			return "-", true
		}
		_, rest, _ := strings.Cut(challenge, `nonce="`)
		nonce, _, _ := strings.Cut(rest, `"`)
		r := digestResponse{username: name, realm: realm, nonce: nonce, cnonce: "abc", nc: "00000001", qop: "auth", uri: "imap/localhost"}
		sum := md5.Sum([]byte(name + ":" + realm + ":" + password))
		r.response = r.sum(r.a1(sum[:]), "AUTHENTICATE")
		out := fmt.Sprintf(`username=%s,nonce=%s,cnonce="abc",nc=00000001,qop=auth,digest-uri="imap/localhost",response=%s`, quote(name), quote(nonce), r.response)
		if realm != "" {
			out += ",realm=" + quote(realm)
		}
		return out + more, step == 1
	}
}

func scramClient(t *testing.T, hash xdg.HashGeneratorFcn, name, password string) func() script {
	return func() script {
		c, err := hash.NewClientUnprepped(name, password, "")
		if err != nil {
			t.Fatal(err)
		}
		conv := c.NewConversation()
		return func(_ int, challenge string) (string, bool) {
			response, err := conv.Step(challenge)
			return response, err == nil
		}
	}
}

func apopClient(p *peer, pid, cuid uint32, name, password string) script {
	challenge := APOPChallenge(pid, cuid, time.Now(), "localhost")
	sum := md5.Sum([]byte(challenge + password))
	return said(challenge + "\x00" + name + "\x00" + string(sum[:]))
}

// doveadm makes a stored password.
func doveadm(t *testing.T, scheme, user, password string) string {
	t.Helper()
	return strings.TrimSpace(dovecot.New(t, "sdbox:~/mail").Doveadm("pw", "-s", scheme, "-u", user, "-p", password))
}

// The same users, the same exchange: the same challenges and the same result as in Dovecot.
func TestBesideDovecot(t *testing.T) {
	dovecot.Need(t)
	hashes := map[string]string{}
	passwd := "ann:{PLAIN}pw\nnopass:{PLAIN}::::::nopassword\nbob@example.org:{PLAIN}pwä\n"
	back := &users{clear: map[string]string{"ann": "pw", "bob@example.org": "pwä"}, stored: map[string]Credentials{}}
	for _, scheme := range []string{"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"} {
		user := strings.ToLower(scheme) + "@example.org"
		hashes[scheme] = doveadm(t, scheme, user, "stored pw")
		passwd += user + ":" + hashes[scheme] + "\n"
		_, value, _ := strings.Cut(hashes[scheme], "}")
		raw := []byte(value)
		if !strings.HasPrefix(scheme, "SCRAM") {
			raw, _ = hex.DecodeString(value)
		}
		back.stored[scheme+" "+user] = Credentials{Scheme: scheme, Raw: raw}
	}
	p := dial(t, passwd)
	once := func(s script) func() script { return func() script { return s } }
	type exchange struct {
		name, mechanism string
		client          func() script
	}
	all := []exchange{
		{"PLAIN", "PLAIN", once(said("\x00ann\x00pw"))},
		{"PLAIN, wrong", "PLAIN", once(said("\x00ann\x00pw2"))},
		{"PLAIN, asked first", "PLAIN", once(said("-", "\x00ann\x00pw"))},
		{"PLAIN, empty", "PLAIN", once(said(""))},
		{"PLAIN, two parts", "PLAIN", once(said("ann\x00pw"))},
		{"PLAIN, four parts", "PLAIN", once(said("\x00ann\x00pw\x00x"))},
		{"PLAIN, empty name", "PLAIN", once(said("\x00\x00pw"))},
		{"PLAIN, empty password", "PLAIN", once(said("\x00ann\x00"))},
		{"LOGIN", "LOGIN", once(said("-", "ann", "pw"))},
		{"LOGIN, name first", "LOGIN", once(said("ann", "pw"))},
		{"LOGIN, wrong", "LOGIN", once(said("-", "ann", ""))},
		{"LOGIN, empty name", "LOGIN", once(said("-", "", "pw"))},
		{"LOGIN, empty first", "LOGIN", once(said("", "ann", "pw"))},
		{"CRAM-MD5", "CRAM-MD5", once(cramClient("ann", "pw"))},
		{"CRAM-MD5, UTF-8", "CRAM-MD5", once(cramClient("bob@example.org", "pwä"))},
		{"CRAM-MD5, wrong", "CRAM-MD5", once(cramClient("ann", "pw2"))},
		{"CRAM-MD5, unknown", "CRAM-MD5", once(cramClient("nobody", "pw"))},
		{"CRAM-MD5, one word", "CRAM-MD5", once(said("-", "ann"))},
		{"CRAM-MD5, stored", "CRAM-MD5", once(cramClient("cram-md5@example.org", "stored pw"))},
		{"CRAM-MD5, stored, wrong", "CRAM-MD5", once(cramClient("cram-md5@example.org", "stored"))},
		{"DIGEST-MD5, no realm", "DIGEST-MD5", once(digestClient("ann", "", "pw", ""))},
		{"DIGEST-MD5, wrong", "DIGEST-MD5", once(digestClient("ann", "", "pw2", ""))},
		{"DIGEST-MD5, realm", "DIGEST-MD5", once(digestClient("bob", "example.org", "pwä", ""))},
		{"DIGEST-MD5, domain and no realm", "DIGEST-MD5", once(digestClient("bob@example.org", "", "pwä", ""))},
		{"DIGEST-MD5, domain and realm", "DIGEST-MD5", once(digestClient("bob@example.org", "example.org", "pwä", ""))},
		{"DIGEST-MD5, stored", "DIGEST-MD5", once(digestClient("digest-md5", "example.org", "stored pw", ""))},
		{"DIGEST-MD5, stored, domain and realm", "DIGEST-MD5", once(digestClient("digest-md5@example.org", "example.org", "stored pw", ""))},
		{"DIGEST-MD5, two cnonces", "DIGEST-MD5", once(digestClient("ann", "", "pw", `,cnonce="x"`))},
		{"DIGEST-MD5, unknown directive", "DIGEST-MD5", once(digestClient("ann", "", "pw", `,x="y"`))},
		{"DIGEST-MD5, no charset", "DIGEST-MD5", once(digestClient("ann", "", "pw", `,charset=us-ascii`))},
		{"DIGEST-MD5, empty", "DIGEST-MD5", once(said("-", ""))},
		{"SCRAM-SHA-1", "SCRAM-SHA-1", scramClient(t, xdg.SHA1, "ann", "pw")},
		{"SCRAM-SHA-1, wrong", "SCRAM-SHA-1", scramClient(t, xdg.SHA1, "ann", "pw2")},
		{"SCRAM-SHA-1, stored", "SCRAM-SHA-1", scramClient(t, xdg.SHA1, "scram-sha-1@example.org", "stored pw")},
		{"SCRAM-SHA-256", "SCRAM-SHA-256", scramClient(t, xdg.SHA256, "bob@example.org", "pwä")},
		{"SCRAM-SHA-256, stored", "SCRAM-SHA-256", scramClient(t, xdg.SHA256, "scram-sha-256@example.org", "stored pw")},
		{"SCRAM-SHA-256, asked first", "SCRAM-SHA-256", once(said("-", "n,,n=ann,r=abc"))},
		{"SCRAM-SHA-256, p", "SCRAM-SHA-256", once(said("p=tls-unique,,n=ann,r=abc"))},
		{"SCRAM-SHA-256, y", "SCRAM-SHA-256", once(said("y,,n=ann,r=abc"))},
		{"SCRAM-SHA-256, m", "SCRAM-SHA-256", once(said("n,,m=1,n=ann,r=abc"))},
		{"SCRAM-SHA-256, extension", "SCRAM-SHA-256", once(said("n,,n=ann,r=abc,x=y"))},
		{"SCRAM-SHA-256, bad escape", "SCRAM-SHA-256", once(said("n,,n=a=20b,r=abc"))},
		{"APOP", "APOP", once(apopClient(p, p.pid, p.cuid, "ann", "pw"))},
		{"APOP, wrong", "APOP", once(apopClient(p, p.pid, p.cuid, "ann", "pw2"))},
		{"APOP, another connection", "APOP", once(apopClient(p, p.pid, p.cuid+1, "ann", "pw"))},
		{"APOP, another process", "APOP", once(apopClient(p, p.pid+1, p.cuid, "ann", "pw"))},
		{"APOP, empty", "APOP", once(said("-"))},
		{"XOAUTH2", "XOAUTH2", once(said("user=ann\x01auth=Bearer pw\x01\x01"))},
		{"XOAUTH2, wrong", "XOAUTH2", once(said("user=ann\x01auth=Bearer pw2\x01\x01", ""))},
		{"XOAUTH2, no token", "XOAUTH2", once(said("user=ann\x01\x01"))},
		{"OAUTHBEARER", "OAUTHBEARER", once(said("n,a=ann,\x01host=x\x01port=143\x01auth=Bearer pw\x01\x01"))},
		{"OAUTHBEARER, asked first", "OAUTHBEARER", once(said("-", "n,a=ann,\x01auth=BEARER pw\x01\x01"))},
		{"OAUTHBEARER, wrong", "OAUTHBEARER", once(said("n,a=ann,\x01auth=Bearer pw2\x01\x01", "\x01"))},
		{"OAUTHBEARER, p", "OAUTHBEARER", once(said("p=x,a=ann,\x01auth=Bearer pw\x01\x01"))},
		{"OAUTHBEARER, no name", "OAUTHBEARER", once(said("n,,\x01auth=Bearer pw\x01\x01"))},
		{"EXTERNAL", "EXTERNAL", once(said(""))},
		{"EXTERNAL, asked first", "EXTERNAL", once(said("-", ""))},
		{"ANONYMOUS", "ANONYMOUS", once(said("me"))},
		{"ANONYMOUS, asked first", "ANONYMOUS", once(said("-", ""))},
	}
	var wait sync.WaitGroup
	for _, x := range all {
		wait.Go(func() {
			wantShapes, want := p.dovecot(x.mechanism, x.client())
			mine := *back // notes what it is asked
			gotShapes, got := p.ours(t.Context(), x.mechanism, x.client(), &mine)
			if got != want || !slices.Equal(shapes(gotShapes), shapes(wantShapes)) {
				t.Errorf("%s: we %s with %q\n  Dovecot %s with %q", x.name, got, gotShapes, want, wantShapes)
			}
		})
	}
	wait.Wait()
	checkFlags(t, p)
}

// checkFlags compares what is announced of each mechanism.
func checkFlags(t *testing.T, p *peer) {
	if len(p.mechs) != len(strings.Fields(allMechanisms)) {
		t.Errorf("Dovecot has %d mechanisms: %v", len(p.mechs), p.mechs)
	}
	for name, flags := range p.mechs {
		info, ok := Lookup(name)
		var ours []string
		for flag, set := range map[string]bool{"plaintext": info.Plaintext, "dictionary": info.Dictionary, "active": info.Active, "anonymous": info.Anonymous,
			"forward-secrecy": info.ForwardSecrecy, "mutual-auth": info.MutualAuth, "private": info.Private} {
			if set {
				ours = append(ours, flag)
			}
		}
		slices.Sort(ours)
		slices.Sort(flags)
		if !ok || !slices.Equal(ours, flags) {
			t.Errorf("%s has the flags %v, Dovecot's %v", name, ours, flags)
		}
	}
}
