package variable

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded is a template with what a real program made of it for each user.
type recorded struct {
	Template string
	Results  map[string]string
	Error    []string
}

func readRecorded(t testing.TB, name string) []recorded {
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []recorded
	for s := bufio.NewScanner(f); s.Scan(); {
		var r recorded
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// authUser23 answers as the auth process of 2.3 does while doveadm looks a
// user up in the static database.
func authUser23(user string) Lookup {
	local, domain, _ := strings.Cut(user, "@")
	parts := strings.Split(domain, "@")
	values := map[string]string{"u": user, "user": user, "n": local, "username": local, "d": domain, "domain": domain,
		"domain_first": parts[0], "domain_last": parts[len(parts)-1], "s": "doveadm", "service": "doveadm", "p": "0", "pid": "0",
		"auth_user": user, "userdb:uid": "8"}
	for _, name := range strings.Fields("r rip l lip h home m mech master_user") {
		values[name] = ""
	}
	return func(name string) (string, error) {
		if v, ok := values[name]; ok {
			return v, nil
		}
		if f := strings.SplitN(name, ":", 3); f[0] == "userdb" || f[0] == "passdb" {
			return strings.Join(f[2:], ""), nil
		}
		return "", ErrUnknown
	}
}

// authUser24 is the same of 2.4.
func authUser24(user string) Lookup {
	values := map[string]string{"user": user, "original_user": user, "auth_user": user, "protocol": "doveadm",
		"local_ip": "", "remote_ip": ""}
	return func(name string) (string, error) {
		if v, ok := values[name]; ok {
			return v, nil
		}
		if strings.HasPrefix(name, "userdb:") {
			return "", nil
		}
		return "", ErrUnknown
	}
}

func TestEveryRecordedTemplateOf23GivesTheRecordedText(t *testing.T) {
	for _, r := range readRecorded(t, "variables-2.3.19.jsonl") {
		compareRecorded(t, r, Expand23, authUser23)
	}
}

func TestEveryRecordedTemplateOf24GivesTheRecordedText(t *testing.T) {
	for _, r := range readRecorded(t, "variables-2.4.4.jsonl") {
		compareRecorded(t, r, Expand24, authUser24)
	}
}

func compareRecorded(t *testing.T, r recorded, expand func(string, Lookup) (string, error), user func(string) Lookup) {
	t.Helper()
	for name, want := range r.Results {
		got, err := expand(r.Template, user(name))
		if err != nil {
			got = "ERROR"
			if len(r.Error) != 1 || !strings.HasSuffix(r.Error[0], err.Error()) {
				t.Errorf("%s for %s: error %q, recorded %q", r.Template, name, err, r.Error)
			}
		}
		if got != want {
			t.Errorf("%s for %s: got %q, recorded %q (%v)", r.Template, name, got, want, err)
		}
	}
}
