package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
)

// Output, messages and exit codes are those of doveadm pw, where the hash has no salt.
func TestPWBesideDoveadm(t *testing.T) {
	dovecot.Need(t)
	for _, line := range []string{
		"-s plain -p secret", "-s plain.hex -p secret", "-s sha256.base64 -p secret", "-V -s sha.hex -p x", "-s ldap-md5 -p x", "-s HMAC-MD5 -p x",
		"-u joe@example.com -s DIGEST-MD5 -p secret", "-u joe -s digest-md5 -p secret", "--scheme=plain --plaintext=x", "-Vsplain -px",
		"-t {plain}secret -p secret", "-t {SHA.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4 -p secret", "-t {SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4 -p secret",
		"-t $1$m/0N.Ygu$zWx/jnFT4VAYQZ1d.1Gte.$more -p secret", "-t {CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1 -p secret",
		"-s FOO -p x", "-s plain.foo -p x", "-t secret -p x", "-t {FOO}x -p x", "-t {SHA}x -p x", "-t {SHA.hex}x -p x", "-t {SHA}c2VjcmV0 -p x", "-t {SSHA}AAAA -p x",
		"-t {PLAIN}y -p x", "-t {PLAIN-TRUNC}y -p x", "-t {SCRAM-SHA-1}1,2 -p x", "-t {PBKDF2}x -p x", "-t {OTP}x -p x", "-t {BLF-CRYPT}x -p x", "-t {MD5}x -p x",
		"-t {} -p x", "-t { -p x", "-s plain -r 99999999999 -p x",
	} {
		args := strings.Fields(line)
		var out, errs, theirOut, theirErrs bytes.Buffer
		status := run(append([]string{"pw"}, args...), &out, &errs)
		cmd := exec.Command("doveadm", append([]string{"-c", "/dev/null", "pw"}, args...)...)
		cmd.Stdout, cmd.Stderr = &theirOut, &theirErrs
		want := 0
		if exit, ok := errors.AsType[*exec.ExitError](cmd.Run()); ok {
			want = exit.ExitCode()
		}
		if status != want || out.String() != theirOut.String() || errs.String() != theirErrs.String() {
			t.Errorf("pw %s: %d %q %q; doveadm: %d %q %q", line, status, &out, &errs, want, &theirOut, &theirErrs)
		}
	}
}

// The real -l has the same schemes in the order of a hash table; ARGON2 is of 2.4.
func TestPWListsDoveadmsSchemes(t *testing.T) {
	dovecot.Need(t)
	theirs, err := exec.Command("doveadm", "-c", "/dev/null", "pw", "-l").Output()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	run([]string{"pw", "-l"}, &out, &errs)
	for _, name := range strings.Fields(string(theirs)) {
		if !strings.Contains(" "+out.String(), " "+name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
	if ours, want := len(strings.Fields(out.String())), len(strings.Fields(string(theirs)))+1; ours != want {
		t.Errorf("%d schemes are listed, want %d", ours, want)
	}
}

func TestDoveadmsOwnOptions(t *testing.T) {
	for line, want := range map[string]string{
		"doveadm -c /etc/x.conf user ann":    "user -c /etc/x.conf ann",
		"doveadm -D -c x auth test ann":      "auth test -c x ann",
		"/usr/bin/doveadm -c x pw -s PLAIN":  "pw -s PLAIN",
		"doveadm":                            "",
		"doveadm user -u ann":                "user -u ann",
		"doveadm -o mail_location=x user -u": "-o mail_location=x user -u",
	} {
		if got := strings.Join(calledAs(strings.Fields(line)), " "); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}
