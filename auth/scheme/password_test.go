package scheme

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	const md5crypt = "$1$m/0N.Ygu$zWx/jnFT4VAYQZ1d.1Gte."
	for _, tc := range []struct {
		name, stored, fallback, password string
		weak, want                       bool
		err                              string
	}{
		{"the scheme of the settings", "5ebe2294ecd0e0f08eab7690d2a6ee69", "PLAIN-MD5", "secret", true, true, ""},
		{"MD5-CRYPT without a prefix, whatever the settings name", md5crypt, "PLAIN", "secret", true, true, ""},
		{"and what stands behind its hash is not looked at", md5crypt + "$more", "PLAIN", "secret", true, true, ""},
		{"no scheme at all", "secret", "", "secret", true, false, "Unknown scheme"},
		{"an unknown scheme of the settings", "secret", "FOO", "secret", true, false, "Unknown scheme"},
		{"an unknown encoding", "{PLAIN.rot13}frperg", "", "secret", true, false, "Unknown scheme"},
		{"a brace that is never closed belongs to the password", "{secret", "PLAIN", "{secret", true, true, ""},
		{"an empty password that is stored", "{PLAIN}", "", "", true, true, ""},
		{"an empty hash", "{CRYPT}", "", "", true, false, ""},
		{"an empty bcrypt hash", "{BLF-CRYPT}", "", "", true, false, ""},
		{"hex that is none", "{PLAIN.hex}xy", "", "secret", true, false, "Input isn't valid HEX encoded data"},
		{"base64 that is none", "{SHA}!", "", "secret", true, false, "Input isn't valid base64 encoded data"},
		{"a digest that is too short", "{SHA}c2VjcmV0", "", "secret", true, false, "Input length isn't valid (6 instead of 20)"},
		{"a salt that is missing", "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "", "secret", true, false, "SSHA password is too short"},
		{"PLAIN-TRUNC without its length", "{PLAIN-TRUNC}secret", "", "secret", true, false, "PLAIN-TRUNC missing length: prefix"},
		{"PLAIN-TRUNC of all of the password", "{PLAIN-TRUNC}8-secret", "", "secret", true, true, ""},
		{"a locked account", "{CRYPT}!$6$saltsalt$x", "", "secret", true, false, "crypt() failed: a hash does not have such characters"},
		{"argon2 under the other name", "{ARGON2I}$argon2id$v=19$m=65536,t=3,p=1$k0e7WB5vHWomwkOlv6Yy4Q$ax62ngl9vzV8Hb/KJNpD3mi8K993AdbhgdloWCZJt8o", "", "secret", true, true, ""},
		{"ARGON2 of 2.4", "{ARGON2}$argon2id$v=19$m=65536,t=3,p=1$k0e7WB5vHWomwkOlv6Yy4Q$ax62ngl9vzV8Hb/KJNpD3mi8K993AdbhgdloWCZJt8o", "", "secret", true, true, ""},
		{"a password that goes on behind a NUL byte", "{PLAIN}secret", "", "secret\x00x", true, false, ErrLong.Error()},
		{"a megabyte", "{MD5-CRYPT}" + md5crypt, "", strings.Repeat("x", 1<<20), true, false, ErrLong.Error()},
		{"weak ones refused", "{MD5-CRYPT}" + md5crypt, "", "secret", false, false, (&WeakError{"MD5-CRYPT"}).Error()},
		{"weak ones refused behind CRYPT", "{CRYPT}" + md5crypt, "", "secret", false, false, (&WeakError{"MD5-CRYPT"}).Error()},
		{"DES behind CRYPT", "{CRYPT}.B0HEuL62Mlh2", "", "secret", false, false, (&WeakError{"DES-CRYPT"}).Error()},
		{"weak ones refused in another encoding", "{PLAIN-MD5.b64}aog2Itb4Lo+tHnmpFG4LtQ==", "", "secret", false, false, (&WeakError{"PLAIN-MD5"}).Error()},
		{"clear text is not weak to 2.4", "{PLAIN}secret", "", "secret", false, true, ""},
		{"neither is CRAM-MD5", "{CRAM-MD5.B64}zTun3qrW5cojRIukLjeXR6ng9/H7wAyKgbuqw5VzG1Y=", "", "secret", false, true, ""},
	} {
		ok, err := Verify(tc.stored, tc.fallback, "", tc.password, tc.weak)
		if ok != tc.want || errText(err) != tc.err {
			t.Errorf("%s: %v, %q; want %v, %q", tc.name, ok, errText(err), tc.want, tc.err)
		}
	}
}

func TestCredentials(t *testing.T) {
	plain, err := Parse("{PLAIN}secret", "")
	if err != nil {
		t.Fatal(err)
	}
	cram, err := plain.As("CRAM-MD5", "")
	if err != nil {
		t.Fatal(err)
	}
	challenge := []byte("<1896.697170952@postoffice.example.net>")
	want := hmac.New(md5.New, []byte("secret"))
	want.Write(challenge)
	if got, err := cram.HMACMD5(challenge); err != nil || !bytes.Equal(got, want.Sum(nil)) {
		t.Errorf("the answer to a challenge is %x, %v", got, err)
	}
	digest, err := plain.As("digest-md5", "joe@example.com")
	if err != nil || fmt.Sprintf("%x", digest.Raw) != "c197225a9a698c115795c0e619e807cc" {
		t.Errorf("DIGEST-MD5 is %x, %v", digest.Raw, err)
	}
	for _, name := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
		p, err := plain.As(name, "")
		if err != nil {
			t.Fatal(err)
		}
		if k, err := p.Keys(); err != nil || k.Iterations != 4096 || len(k.Salt) != 16 {
			t.Errorf("%s has %+v, %v", name, k, err)
		}
		if ok, err := p.Verify("", "secret", true); !ok || err != nil {
			t.Errorf("%s made of clear text: %v, %v", name, ok, err)
		}
		if _, err := p.As("CRAM-MD5", ""); errText(err) != "Requested CRAM-MD5 scheme, but we have only "+name {
			t.Errorf("CRAM-MD5 of %s: %v", name, err)
		}
	}
	hmac, _ := Parse("{HMAC-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56", "")
	if p, err := hmac.As("CRAM-MD5", ""); err != nil || !bytes.Equal(p.Raw, cram.Raw) {
		t.Errorf("HMAC-MD5 as CRAM-MD5: %v", err)
	}
	if _, err := plain.As("FOO", ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown scheme: %v", err)
	}
	if _, err := plain.As("DIGEST-MD5", ""); err == nil {
		t.Error("DIGEST-MD5 without a user is made")
	}
}

// A stored password gets into no log by accident.
func TestPasswordsHide(t *testing.T) {
	p, _ := Parse("{PLAIN}secret", "")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", p, "pointer", &p)
	all := fmt.Sprint(p, &p) + fmt.Sprintf("%v %+v %#v %s %q %x %d", p, p, p, p, p, p, p) + log.String()
	if strings.Contains(all, "secret") || strings.Contains(all, "736563") || strings.Contains(all, "115 101") {
		t.Errorf("the password is in %s", all)
	}
}

func TestMakeOptions(t *testing.T) {
	for _, tc := range []struct {
		scheme string
		rounds uint32
		prefix string
	}{
		{"crypt", 0, "{CRYPT}$2y$05$"}, {"BLF-CRYPT", 6, "{BLF-CRYPT}$2y$06$"}, {"BLF-CRYPT", 1, "{BLF-CRYPT}$2y$04$"},
		{"SHA256-CRYPT", 0, "{SHA256-CRYPT}$5$"}, {"SHA512-CRYPT", 5000, "{SHA512-CRYPT}$6$"}, {"SHA512-CRYPT", 1, "{SHA512-CRYPT}$6$rounds=1000$"},
		{"ARGON2ID", 0, "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$"}, {"ARGON2ID", 3, "{ARGON2ID}$argon2id$v=19$m=262144,t=3,p=1$"},
		{"ARGON2I", 0, "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$"}, {"PBKDF2", 0, "{PBKDF2}$1$"},
		{"plain.base64", 0, "{PLAIN.BASE64}c2VjcmV0"}, {"SHA.hex", 0, "{SHA.HEX}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"},
		{"PLAIN-TRUNC", 0, "{PLAIN-TRUNC}6-secret"},
	} {
		if got, err := Make(tc.scheme, "joe", "secret", MakeOptions{Rounds: tc.rounds}); err != nil || !strings.HasPrefix(got, tc.prefix) {
			t.Errorf("%s with %d rounds is %s, %v; want %s", tc.scheme, tc.rounds, got, err, tc.prefix)
		}
	}
	if _, err := Make("FOO", "", "x", MakeOptions{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("FOO: %v", err)
	}
	if _, err := Make("PLAIN", "", "a\x00b", MakeOptions{}); !errors.Is(err, ErrLong) {
		t.Errorf("a NUL byte: %v", err)
	}
}

// Nothing stored makes it panic, and an error never says yes.
func FuzzVerify(f *testing.F) {
	for _, stored := range []string{"", "{", "{}x", "{CRYPT}$1$", "{CRYPT}$2y$05$", "{CRYPT}_", "{CRYPT}$md5", "{CRYPT}$7$", "{CRYPT}$gy$j75$ab$c", "{CRYPT}$y$j75$ab$c",
		"{CRYPT}$sha1$1$a$", "{CRYPT}$3$", "{OTP}sha1 1 a 8bbac4c00f21b2b4", "{SCRAM-SHA-1}4096,a,b,c", "{PBKDF2}$1$a$1$00", "{ARGON2I}$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"{PLAIN-TRUNC}3-abc", "{SSHA.hex}00", "{BLF-CRYPT}$2x$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$1$a$b$c"} {
		f.Add(stored, "secret")
	}
	f.Fuzz(func(t *testing.T, stored, password string) {
		if len(stored) > 300 || len(password) > 200 || strings.ContainsAny(stored, "56789") {
			return // costs are bounded, but not to what a fuzzer can wait for
		}
		ok, err := Verify(stored, "CRYPT", "joe", password, true)
		if ok && err != nil {
			t.Fatalf("%q is right and wrong: %v", stored, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, name := range Names() {
		stored, err := Make(name, "joe", "correct horse battery staple", MakeOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := Verify(stored, "", "joe", "correct horse battery staple", true); !ok {
					b.Fatal(err)
				}
			}
		})
	}
	for _, setting := range []string{"$y$j9T$abcdefgh", "$7$C6..../....abcdefgh", "$sha1$20000$abcdefgh", "$md5$abcdefgh", "_J9..abcd", "$gy$j9T$abcdefgh"} {
		b.Run("CRYPT "+setting[:3], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := crypt3("correct horse battery staple", setting); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
