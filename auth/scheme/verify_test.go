package scheme

import (
	"os"
	"strings"
	"testing"
)

// The file's rows were asked of real Dovecot, 2.3.19 and 2.4.4, with "doveadm pw -t", which allows weak schemes.
func TestStoredPasswords(t *testing.T) {
	b, err := os.ReadFile("testdata/password-schemes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		f := strings.Split(line, "\t")
		for _, try := range []struct{ password, want string }{{f[2], f[4]}, {f[2] + "z", f[5]}, {f[2], f[6]}} {
			ok, err := Verify(f[3], "", f[1], try.password, true)
			if ok != (try.want == "ok") || ok && err != nil {
				t.Errorf("%s with %q: %v, %v; Dovecot says %s", f[3], try.password, ok, err, try.want)
			}
		}
	}
}
