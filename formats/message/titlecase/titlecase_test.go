package titlecase

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextIsBroughtIntoTheFormInWhichItIsCompared(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ASCII in upper case", "Hello, wOrld 1", "HELLO, WORLD 1"},
		{"an accent apart from its letter", "ärger", "A\u0308RGER"},
		{"one step only", "\u1EA5", "\u00C2\u0301"},
		{"letters that have no upper case stay", "straße", "STRAßE"},
		{"a ligature", "\uFB01sh", "fiSH"},
		{"full width letters", "\uFF41", "\uFF21"[:0] + "A"},
		{"a space that does not break", "a\u00A0b", "A B"},
		{"Hangul", "\uAC01", "\u1100\u1161\u11A8"},
		{"a character with a titlecase of its own is not decomposed", "\u01C6", "\u01C5"},
		{"mathematical letters", "\U0001D400", "A"},
		{"Cyrillic", "привет", "ПРИВЕТ"},
		{"bytes that are no UTF-8 become one mark", "a\xff\xfe\xc3b\xf0", "A\uFFFDB\uFFFD"},
	} {
		if got := String(c.in); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestEveryCharacterIsBroughtIntoItsForm(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		want := string(makeForm(nil, r))
		for _, before := range []string{"", "Aa0123456789"} {
			text := before + string(r)
			if got := String(text); got != strings.ToUpper(before)+want {
				t.Fatalf("%U became %q, want %q", r, got, want)
			}
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("a\xffé\u1EA5\uAC01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, valid := Append(nil, text)
		if !utf8.Valid(got) || valid != utf8.Valid(text) {
			t.Fatalf("%q became %q, valid %v", text, got, valid)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	text := []byte("The quick brown fox jumps over the lazy dog. Falsches Üben von Xylophonmusik quält jeden größeren Zwerg.\r\n")
	b.SetBytes(int64(len(text)))
	var dst []byte
	for b.Loop() {
		dst, _ = Append(dst[:0], text)
	}
}
