package scheme

import (
	"strings"
	"testing"
)

func TestWhatAPasswordIsStoredAs(t *testing.T) {
	for stored, want := range map[string]string{
		"{PLAIN}x": "PLAIN", "{clear}x": "PLAIN", "{PLAIN.B64}eA==": "PLAIN", "{NOSUCH}x": "NOSUCH", "{SHA1}x": "SHA1",
		"{BLF-CRYPT}$2y$05$" + strings.Repeat("a", 53): "BLF-CRYPT:5",
		"{CRYPT}$2b$12$" + strings.Repeat("a", 53):     "BLF-CRYPT:12",
		"{CRYPT}$6$salt$hash":                          "SHA512-CRYPT:5000",
		"{SHA512-CRYPT}$6$rounds=20000$salt$hash":      "SHA512-CRYPT:20000",
		"{SHA512-CRYPT}$5$rounds=1000$salt$hash":       "SHA256-CRYPT:1000",
		"{CRYPT}$y$j9T$salt$hash":                      "YESCRYPT",
		"{CRYPT}rlHqDJA1Ph1Sk":                         "DES-CRYPT",
		"{CRYPT}":                                      "",
		"{MD5}$1$salt$hash":                            "MD5-CRYPT",
		"{MD5}9dd4e461268c8034f5c8564e155c67a6":        "PLAIN-MD5",
		"{MD5-CRYPT}$1$salt$hash":                      "MD5-CRYPT",
		"{ARGON2}$argon2i$v=19$m=32768,t=4,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA": "ARGON2I:4:32768",
		"{ARGON2ID}cut":                    "ARGON2ID",
		"{PBKDF2}$1$salt$5000$00":          "PBKDF2:5000",
		"{SCRAM-SHA-256}4096,c2FsdA==,x,y": "SCRAM-SHA-256:4096",
	} {
		if got := KindOf(stored).String(); got != want {
			t.Errorf("%s is %q, want %q", stored, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, tc := range []struct{ text, is string }{
		{"sha512", "SHA512"}, {"SSHA256.hex", "SSHA256"}, {"CRYPT", "BLF-CRYPT:5"}, {"BLF-CRYPT:10", "BLF-CRYPT:10"}, {"SHA512-CRYPT", "SHA512-CRYPT:5000"},
		{"PBKDF2:20000", "PBKDF2:20000"}, {"SCRAM-SHA-256", "SCRAM-SHA-256:4096"}, {"ARGON2ID", "ARGON2ID:3:65536"}, {"ARGON2I:5:1024", "ARGON2I:5:1024"}, {"MD5", "MD5-CRYPT"},
	} {
		target, err := ParseTarget(tc.text)
		if err != nil || target.String() != tc.is {
			t.Errorf("%s is %s, %v, want %s", tc.text, target, err, tc.is)
			continue
		}
		made, err := target.Make("ann", "secret")
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
		}
		if !target.Reached(made) || KindOf(made) != target.kind {
			t.Errorf("%s made %s, which is %s", tc.text, made, KindOf(made))
		}
	}
	for text, why := range map[string]string{
		"": "Unknown scheme", "NOSUCH": "Unknown scheme NOSUCH", "SHA512:5": "SHA512:5 cannot be asked for; the nearest is SHA512", "BLF-CRYPT:3": "the nearest is BLF-CRYPT:4",
		"BLF-CRYPT:20": "more than 17 are not allowed", "BLF-CRYPT:x": `"x" is no number`, "BLF-CRYPT:0": `"0" is no number`, "BLF-CRYPT:10:1": "cannot be asked for",
		"SHA512-CRYPT:999": "the nearest is SHA512-CRYPT:1000", "SHA512-CRYPT:99999999": "not allowed", "ARGON2ID:3:9999999": "not allowed", "ARGON2ID:3:4:5": "more than SCHEME:ROUNDS:KIB",
	} {
		if _, err := ParseTarget(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %s", text, err, why)
		}
	}
}

func TestATargetIsReachedByItsSchemeAtNoLowerCost(t *testing.T) {
	for _, tc := range []struct {
		target, stored string
		reached        bool
	}{
		{"BLF-CRYPT:10", "BLF-CRYPT:4", false}, {"BLF-CRYPT:5", "BLF-CRYPT:5", true}, {"BLF-CRYPT", "CRYPT:6", true}, {"BLF-CRYPT", "SHA512-CRYPT", false},
		{"SHA512-CRYPT", "SHA512-CRYPT:1000", false}, {"SHA512-CRYPT", "SHA512-CRYPT:6000", true}, {"PBKDF2:6000", "PBKDF2", false},
		{"ARGON2ID:3:1024", "ARGON2ID:3:512", false}, {"ARGON2ID:4:1024", "ARGON2ID:3:1024", false}, {"ARGON2ID:3:512", "ARGON2ID:3:1024", true},
		{"ARGON2ID:3:512", "ARGON2I:3:512", false}, {"SCRAM-SHA-256:5000", "SCRAM-SHA-256", false}, {"SHA", "SHA1", true}, {"SSHA", "SHA", false},
	} {
		target, err := ParseTarget(tc.target)
		if err != nil {
			t.Fatal(err)
		}
		from, err := ParseTarget(tc.stored)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := from.Make("ann", "secret")
		if err != nil {
			t.Fatal(err)
		}
		if got := target.Reached(stored); got != tc.reached {
			t.Errorf("%s by %s: %v", tc.target, stored, got)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"BLF-CRYPT:10", "ARGON2ID:3:1024", "SHA512", ":", "SCRAM-SHA-1:5000:1"} {
		f.Add(text, "{CRYPT}$2y$05$")
	}
	f.Fuzz(func(t *testing.T, text, stored string) {
		target, err := ParseTarget(text)
		if err != nil {
			return
		}
		target.Reached(stored)
		if again, err := ParseTarget(target.String()); err != nil || again.kind != target.kind {
			t.Fatalf("%q is %s, read again %s, %v", text, target, again, err)
		}
	})
}
