package scheme

import (
	"strings"
	"testing"
)

func TestTell(t *testing.T) {
	bcrypt := "$2y$05$sM9QhrQQMVuwztvl7XMcUeP3PVaReBB0734xumwUUHXzxN/FPK7BS"
	for _, tc := range []struct {
		name, hash string
		want       Scheme
	}{
		{"nothing", "", Scheme{}},
		{"MD5", "$1$ab011730$HWMbjypRu6gqcADTNXqdE1", Scheme{Name: "MD5-CRYPT", Stored: "{CRYPT}$1$ab011730$HWMbjypRu6gqcADTNXqdE1", Weak: true}},
		{"SHA-256 with rounds", "$5$rounds=1000$a$b", Scheme{Name: "SHA256-CRYPT", Stored: "{CRYPT}$5$rounds=1000$a$b"}},
		{"SHA-512", "$6$salt$hash", Scheme{Name: "SHA512-CRYPT", Stored: "{CRYPT}$6$salt$hash"}},
		{"bcrypt", bcrypt, Scheme{Name: "BLF-CRYPT", Stored: "{CRYPT}" + bcrypt}},
		{"bcrypt cut off", bcrypt[:40], Scheme{Name: "BLF-CRYPT", Why: "cut off or damaged"}},
		{"yescrypt", "$y$j9T$a$b", Scheme{Name: "YESCRYPT", Stored: "{CRYPT}$y$j9T$a$b"}},
		{"DES", "xYEzwLG5knggo", Scheme{Name: "DES-CRYPT", Stored: "{CRYPT}xYEzwLG5knggo", Weak: true}},
		{"thirteen other characters", "has a  blank!", Scheme{Name: "UNKNOWN", Why: "no hash of a known kind"}},
		{"a prefix of its own", "{SSHA}76RX9zNx7lJuOkhIDTApu3Kc0LLwZXs+", Scheme{Name: "SSHA", Stored: "{SSHA}76RX9zNx7lJuOkhIDTApu3Kc0LLwZXs+"}},
		{"a prefix in lower case", "{plain}x", Scheme{Name: "PLAIN", Stored: "{plain}x", Weak: true}},
		{"CRYPT tells what is in it", "{CRYPT}$6$salt$hash", Scheme{Name: "SHA512-CRYPT", Stored: "{CRYPT}$6$salt$hash"}},
		{"an encoding", "{PLAIN-MD5.b64}aog2Itb4Lo+tHnmpFG4LtQ==", Scheme{Name: "PLAIN-MD5.B64", Stored: "{PLAIN-MD5.b64}aog2Itb4Lo+tHnmpFG4LtQ==", Weak: true}},
		{"an empty password is never written", "{PLAIN}", Scheme{Name: "PLAIN", Weak: true, Why: "the empty password would be right"}},
		{"no value", "{SSHA}", Scheme{Name: "SSHA", Why: "no value behind the scheme"}},
		{"locked", "!", Scheme{Name: "LOCKED", Why: "locked: no password is right"}},
		{"locked with its hash", "!$6$salt$hash", Scheme{Name: "LOCKED", Why: "locked: no password is right"}},
		{"a word", "secret", Scheme{Name: "UNKNOWN", Why: "no hash of a known kind"}},
	} {
		if got := Tell(tc.hash); got != tc.want {
			t.Errorf("%s: %q gave %+v, want %+v", tc.name, tc.hash, got, tc.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for password, want := range map[string]string{
		"x y z": "{PLAIN}x y z", "{x}": "{PLAIN}{x}", "a:b": "{PLAIN.B64}YTpi", " a": "{PLAIN.B64}IGE=", "a\n": "{PLAIN.B64}YQo=",
	} {
		if got := Plain(password).Stored; got != want {
			t.Errorf("%q is written as %q, want %q", password, got, want)
		}
		if again, ok := Clear(want); !ok || again != password {
			t.Errorf("%q is read as %q", want, again)
		}
	}
	for _, stored := range []string{"", "x", "{CRYPT}x", "{PLAIN.B64}!", "{PLAIN x}y"} {
		if got, ok := Clear(stored); ok {
			t.Errorf("%q is read as %q", stored, got)
		}
	}
}

func FuzzTell(f *testing.F) {
	for _, seed := range []string{"", "{", "{}", "{CRYPT}{CRYPT}x", "$1$", "$2y$", "!", "_", "{PLAIN.B64}YTpi", "xYEzwLG5knggo"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		s := Tell(hash)
		if s.Stored != "" && !strings.HasPrefix(s.Stored, "{") || s.Stored != "" && !strings.HasSuffix(s.Stored, hash) {
			t.Fatalf("%q is written as %q", hash, s.Stored)
		}
		if s.Name == "" != (hash == "") || strings.Contains(s.Why, hash) && len(hash) > 8 {
			t.Fatalf("%q gave %+v", hash, s)
		}
		if hash == "" {
			return
		}
		if got, ok := Clear(Plain(hash).Stored); !ok || got != hash {
			t.Fatalf("the password %q comes back as %q", hash, got)
		}
	})
}
