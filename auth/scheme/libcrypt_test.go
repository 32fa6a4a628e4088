package scheme

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// libcrypt asks the machine's crypt(3), by way of Perl, for the hashes of many passwords and settings.
func libcrypt(t *testing.T, pairs [][2]string) []string {
	t.Helper()
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("no perl here, which asks crypt(3)")
	}
	cmd := exec.Command(perl, "-ne", `chomp; my ($p, $s) = map { pack "H*", $_ } split /,/, $_, -1; my $c = crypt($p, $s); print defined $c ? $c : "*", "\n"`)
	var in strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&in, "%x,%x\n", p[0], p[1])
	}
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		answers = append(answers, s.Text())
	}
	if len(answers) != len(pairs) {
		t.Fatalf("%d answers to %d questions", len(answers), len(pairs))
	}
	return answers
}

// needXcrypt skips where crypt(3) has not all methods of libxcrypt.
func needXcrypt(t *testing.T) {
	t.Helper()
	if got := libcrypt(t, [][2]string{{"a", "$gy$j75$abcdefgh"}}); !strings.HasPrefix(got[0], "$gy$") {
		t.Skip("crypt(3) of this machine does not have all methods of libxcrypt")
	}
}

// settings are the forms that crypt(3) takes, and some that it does not.
func settings(r *rand.Rand) []string {
	salt := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = saltAlphabet[r.IntN(64)]
		}
		return string(b)
	}
	return []string{
		salt(2), salt(2) + salt(11), salt(2) + salt(22), salt(2) + salt(40), salt(1), "a$", "$a", "..",
		"_" + "J9.." + salt(4), "_" + "...." + salt(4), "_" + salt(2) + ".." + salt(4), "_" + salt(5), "_$" + salt(8),
		"$1$" + salt(8), "$1$" + salt(3) + "$", "$1$" + salt(12) + "$x", "$1$", "$1$a b",
		"$5$" + salt(16), "$5$rounds=1234$" + salt(8), "$5$" + salt(20) + "$", "$5$rounds=999$" + salt(4), "$5$rounds=01000$" + salt(4), "$5$rounds=1000", "$5$",
		"$6$" + salt(16), "$6$rounds=1000$" + salt(8), "$6$" + salt(20) + "$", "$6$rounds=$" + salt(4), "$6$rounds=1000x$" + salt(4), "$6$$",
		"$sha1$100$" + salt(8), "$sha1$1$" + salt(64), "$sha1$0$" + salt(8) + "$x", "$sha1$10$", "$sha1", "$sha1$10",
		"$md5$" + salt(8), "$md5$" + salt(8) + "$", "$md5$" + salt(8) + "$$", "$md5$" + salt(8) + "$$x", "$md5$" + salt(8) + "$x",
		"$md5,rounds=17$" + salt(8) + "$", "$md5$rounds=17$" + salt(8), "$md5,rounds=0$" + salt(8), "$md5,rounds=x$" + salt(8), "$md5" + salt(4), "$md5$" + salt(4) + "+",
		"$3$", "$3$$", "$3$x",
		"$7$4" + "6...." + "/....", "$7$26..../...." + salt(22), "$7$26..../...." + salt(5) + "$", "$7$26..../...." + salt(5) + "$$x", "$7$26....0...." + salt(9) + "$", "$7$26.", "$7$26..../....a+b$",
		"$y$j75$" + salt(8), "$y$j75$" + salt(20) + ".", "$y$j75$", "$y$j75$" + salt(4) + "$" + salt(43), "$y$j", "$y$",
		"$gy$j75$" + salt(8), "$gy$j75$" + salt(20) + ".$", "$gy$j75$" + salt(4) + "$" + salt(43), "$gy$j",
		"$4$abc", "$", "$$", "*0", "!", "x", "",
	}
}

// What crypt(3) gives, we give; where it refuses, we do.
func TestCryptIsLibcrypts(t *testing.T) {
	needXcrypt(t)
	r := rand.New(rand.NewPCG(1, 2))
	passwords := []string{"", "a", "secret", "pässwörd", "12345678", "123456789", "\x01\xff\x80 \t", strings.Repeat("long ", 30), strings.Repeat("x", 511), strings.Repeat("x", 512)}
	for range 8 {
		passwords = append(passwords, randomPassword(r, 100))
	}
	var pairs [][2]string
	for _, p := range passwords {
		for _, s := range settings(r) {
			pairs = append(pairs, [2]string{p, s})
		}
	}
	hashed := 0
	for i, want := range libcrypt(t, pairs) {
		password, setting := pairs[i][0], pairs[i][1]
		got, err := crypt3(password, setting)
		if err != nil {
			got = "*"
		}
		if strings.HasPrefix(want, "*") {
			want = "*"
		}
		if known := strings.HasPrefix(setting, "$y$") || strings.HasPrefix(setting, "$gy$"); known && got == "*" && strings.Contains(errText(err), "cannot be verified here") && want != "*" {
			t.Errorf("crypt(%q, %q) cannot be verified here, libcrypt gives %q", password, setting, want)
			continue
		}
		if got != want {
			t.Errorf("crypt(%q, %q) = %q, %v; libcrypt gives %q", password, setting, got, err, want)
			continue
		}
		if want == "*" {
			continue
		}
		hashed++
		if ok, err := Verify("{CRYPT}"+want, "", "", password, true); !ok || err != nil {
			t.Errorf("%q is not right for %q: %v", password, want, err)
		}
	}
	if hashed < 300 {
		t.Errorf("libcrypt made only %d hashes", hashed)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Costs that stop a server are refused at once, and so is memory that it does not have.
func TestCostsAreBounded(t *testing.T) {
	for _, stored := range []string{
		"{ARGON2ID}$argon2id$v=19$m=4194304,t=1,p=1$jpklDwUgboQRA4yIV4pVdw$2BIAgws5WvVrMDoQEDAKUhPuvMJxEoSzQKmnNT1NJQc",
		"{ARGON2ID}$argon2id$v=19$m=1048576,t=4000000000,p=1$jpklDwUgboQRA4yIV4pVdw$2BIAgws5WvVrMDoQEDAKUhPuvMJxEoSzQKmnNT1NJQc",
		"{BLF-CRYPT}$2y$31$exEd.2zJSiFOFMp.yFS6juMEQ2z/.leM8Hco9Jn3lTIQyaGlGo1NW",
		"{CRYPT}$6$rounds=999999999$saltsalt$x",
		"{CRYPT}$5$rounds=10000001$saltsalt$x",
		"{CRYPT}$sha1$4294967295$saltsalt$x",
		"{CRYPT}$md5,rounds=4294967295$saltsalt$$x",
		"{CRYPT}$7$zzzzzzzzzzzsalt$x",
		"{CRYPT}$7$JU..../....salt$x",
		"{CRYPT}$7$C6....zzzzzsalt$x",
		"{PBKDF2}$1$salt$4294967295$b5e85258709f33f3e9418121c700d72241c2ce02",
		"{SCRAM-SHA-1}2147483647,Ci68QNHxtR5kSBJ3dql0Mg==,ikoTzAVK6r2uqW5PLX8mGvQkJsU=,xElgaQG1Esz/4TzaqkTXIlv6nro=",
		"{OTP}sha1 2147483647 70bab0b7ce126428 8bbac4c00f21b2b4",
	} {
		ok, err := Verify(stored, "", "", "secret", true)
		var cost *CostError
		if ok || !errors.As(err, &cost) {
			t.Errorf("%s: %v, %v", stored, ok, err)
		}
	}
	for _, name := range []string{"BLF-CRYPT", "SHA512-CRYPT", "ARGON2ID", "ARGON2I", "PBKDF2"} {
		_, err := Make(name, "", "secret", MakeOptions{Rounds: 1 << 31})
		var cost *CostError
		if !errors.As(err, &cost) {
			t.Errorf("%s is made with 2^31 rounds: %v", name, err)
		}
	}
}

// The vectors are those of RFC 6986, section 10 (there with the first byte last).
func TestGOST(t *testing.T) {
	message, _ := hex.DecodeString("303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132")
	if got := hex.EncodeToString(gost256(message)); got != "9d151eefd8590b89daa6ba6cb74af9275dd051026bb149a452fd84e5e57b5500" {
		t.Errorf("GOST R 34.11-2012 of the first example is %s", got)
	}
}

// randomPassword has 1 to max bytes: letters, blanks, punctuation, other alphabets, bytes that are no UTF-8; no colon
// and no control character, which a passwd-file cannot hold.
func randomPassword(r *rand.Rand, most int) string {
	alphabets := []string{"abcXYZ019", " !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~", "äöüßéñ", "пароль", "密码🔑", "\xff\x80\xfe"}
	length := 1 + r.IntN(most)
	var b strings.Builder
	for b.Len() < length {
		alphabet := alphabets[r.IntN(len(alphabets))]
		if strings.HasPrefix(alphabet, "\xff") {
			b.WriteByte(alphabet[r.IntN(len(alphabet))])
			continue
		}
		runes := []rune(alphabet)
		b.WriteRune(runes[r.IntN(len(runes))])
	}
	return b.String()
}
