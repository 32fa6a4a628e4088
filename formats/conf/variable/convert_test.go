package variable

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestTemplatesHaveTheSpellingThatTheOtherDialectUses(t *testing.T) {
	for _, c := range []struct {
		place  Place
		old    string
		modern string
	}{
		{InAuth, "%u", "%{user}"},
		{InAuth, "%n", "%{user | username}"},
		{InAuth, "%d", "%{user | domain}"},
		{InAuth, "%Lu", "%{user | lower}"},
		{InAuth, "%s", "%{protocol}"},
		{InLogin, "%s", "%{protocol}"},
		{InStorage, "%s", "%{service}"},
		{InStorage, "maildir:/v/%d/%n", "maildir:/v/%{user | domain}/%{user | username}"},
		{InStorage, "%h/Maildir", "%{home}/Maildir"},
		{InAuth, "%p", "%{client_pid}"},
		{InStorage, "%p", "%{process:pid}"},
		{InAuth, "%w", "%{password}"},
		{InLogin, "%l %r %m %c", "%{local_ip} %{remote_ip} %{mechanism} %{secured}"},
		{InStorage, "%1Mu", "%{user | md5 | hexlify(1)}"},
		{InStorage, "%2.1Mu", "%{user | md5 | hexlify | substr(2, 1)}"},
		{InStorage, "%2.256Nu", "%{user | md5 | substr(0, 8) % 256 | hex(2)}"},
		{InStorage, "%256Nu", "%{user | md5 | substr(0, 8) % 256 | hex}"},
		{InUIDL, "%08Xu%08Xv", "%{uid | hex(8)}%{uidvalidity | hex(8)}"},
		{InIMAPLogout, "in=%i out=%o", "in=%{input} out=%{output}"},
		{InDelivery, "msgid=%m: %$", "msgid=%{msgid}: %{message}"},
		{InLoginLine, "%$: %s", "%{message}: %{elements}"},
		{InSharedPrefix, "shared/%%u/", "shared/$user/"},
		{InSharedLocation, "maildir:%%h/Maildir:INDEX=~/shared/%%u", "maildir:%{owner_home}/Maildir:INDEX=~/shared/%{owner_user}"},
		{InStorage, "100%%", "100%"},
		{InStorage, "%%{x}", "%%{x}"},
		{InAuth, "%{if;%u;eq;alice;yes;no}", "%{user | if('eq', 'alice', 'yes', 'no')}"},
		{InAuth, "%{userdb:quota:10}", "%{userdb:quota | default('10')}"},
		{InAuth, "%{sha1:user}", "%{user | sha1}"},
	} {
		got, lost := To24(c.old, c.place)
		if got != c.modern || lost != nil {
			t.Errorf("%s to 2.4: got %q %v, want %q", c.old, got, lost, c.modern)
		}
		back, lost := To23(c.modern, c.place)
		if again, lost2 := To24(back, c.place); again != c.modern || lost != nil || lost2 != nil {
			t.Errorf("%s to 2.3 and back: %q %v, then %q %v", c.modern, back, lost, again, lost2)
		}
	}
}

func TestWhatTheOtherDialectCannotSayIsListed(t *testing.T) {
	for _, template := range []string{"%Hu", "%Eu", "%x", "%{nope}", "%{pkcs5:user}", "%{if;a%u;eq;x;y;z}", "%{if;1}"} {
		if text, lost := To24(template, InAuth); len(lost) == 0 {
			t.Errorf("%s became %q without a word", template, text)
		}
	}
	for _, template := range []string{"%{nope}", "%{user | base64}", "%{user | truncate(3) | md5}", "%{user | regexp('a','b')}", "%{generate:guid}",
		"%{user + 1}", "%{literal('x') | upper}", "%{user | sha256 | reverse}"} {
		if text, lost := To23(template, InAuth); len(lost) == 0 {
			t.Errorf("%s became %q without a word", template, text)
		}
	}
}

// convertible are values for both dialects.
func convertible(user string) (old, modern Lookup) {
	local, domain, _ := strings.Cut(user, "@")
	old = Values(map[string]string{"u": user, "user": user, "n": local, "username": local, "d": domain, "domain": domain, "s": "imap", "service": "imap",
		"r": "", "rip": "", "l": "10.0.0.1", "lip": "10.0.0.1", "session": "s"})
	modern = Values(map[string]string{"user": user, "protocol": "imap", "remote_ip": "", "local_ip": "10.0.0.1", "session": "s"})
	return old, modern
}

func TestConvertedTemplatesGiveTheSameText(t *testing.T) {
	templates := append([]string(nil), hardTemplates...)
	for _, r := range readRecorded(t, "variables-2.3.19.jsonl") {
		templates = append(templates, r.Template)
	}
	templates = append(templates, "%0.-2u", "%1.-2u", "%-3.-2u", "%0.-2Mu", "%3.-2Mu", "%-3.-20u", "%0.-2{sha1;truncate=12:user}")
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	for range 500 {
		templates = append(templates, "x%"+pick("", "1.", "-3.", "7.", "0.")+pick("", "2", "09", "40")+
			pick("", "", "L", "U", "R", "M", "N", "D", "T", "LM", "MR", "RU")+pick("u", "n", "d", "{user}", "{sha1:user}", "s"))
	}
	converted, returned := 0, 0
	for _, template := range templates {
		text, lost := To24(template, InAuth)
		if len(lost) > 0 {
			t.Logf("2.4 cannot say %s: %v", template, lost)
			continue
		}
		converted++
		for _, user := range []string{"alice", "Alice.Smith@Example.COM", "a@b@c", "x"} {
			old, modern := convertible(user)
			want, err := Expand23(template, old)
			if err != nil {
				continue
			}
			back, lost := To23(text, InAuth)
			if again, err := Expand23(back, old); again != want && len(lost) == 0 {
				t.Errorf("%s for %s gives %q; converted to %s and back to %s it gives %q (%v)", template, user, want, text, back, again, err)
			}
			if len(lost) == 0 {
				returned++
			}
			if got, err := Expand24(text, modern); got != want && !strings.Contains(text, "process:") {
				t.Errorf("%s for %s gives %q; converted to %s it gives %q (%v)", template, user, want, text, got, err)
			}
		}
	}
	if converted < len(templates)*8/10 || returned < 3*converted {
		t.Errorf("only %d of %d templates could be converted, %d times one back", converted, len(templates), returned)
	}
	t.Logf("%d of %d templates converted, %d times one came back", converted, len(templates), returned)
}

func TestTemplatesConvertedBackGiveTheSameText(t *testing.T) {
	converted := 0
	for _, r := range readRecorded(t, "variables-2.4.4.jsonl") {
		text, lost := To23(r.Template, InAuth)
		if len(lost) > 0 {
			t.Logf("2.3 cannot say %s: %v", r.Template, lost)
			continue
		}
		converted++
		for user := range r.Results {
			old, modern := convertible(user)
			want, err := Expand24(r.Template, modern)
			if err != nil {
				continue
			}
			if got, err := Expand23(text, old); got != want && !errors.Is(err, ErrUnknown) {
				t.Errorf("%s for %s gives %q; converted to %s it gives %q (%v)", r.Template, user, want, text, got, err)
			}
		}
	}
	t.Logf("%d templates converted", converted)
}

func TestDefaultsInARowDoNotGrowWithoutBound(t *testing.T) {
	if text, lost := To23("%{user"+strings.Repeat(" | default('x')", 300)+"}", InAuth); len(lost) == 0 || len(text) > 10_000 {
		t.Errorf("%d bytes, %v", len(text), lost)
	}
}
