package charset

import (
	"testing"
	"unicode/utf8"
)

func TestTextInManyCharacterSets(t *testing.T) {
	for _, c := range []struct{ set, in, want string }{
		{"iso-8859-1", "\xe4", "ä"}, {"ISO-8859-15", "\xa4", "€"}, {"windows-1252", "\x80", "€"}, {"CP1251", "\xcf", "П"},
		{"koi8-r", "\xf0", "П"}, {"utf-8", "ä\xff\xfeb", "ä\uFFFDb"}, {"us-ascii", "ä", "ä"},
		{"UTF-7", "Hi Mom -+Jjo--!", "Hi Mom -☺-!"}, {"utf-7", "A+ImIDkQ.+-", "A≢Α.+"}, {"unicode-1-1-utf-7", "+2D3eAA-", "😀"},
		{"iso-2022-jp", "\x1b$B$\"\x1b(B", "あ"}, {"shift_jis", "\x82\xa0", "あ"}, {"cp932", "\x82\xa0", "あ"}, {"euc-jp", "\xa4\xa2", "あ"},
		{"gb2312", "\xc4\xe3", "你"}, {"gb18030", "\xc4\xe3", "你"}, {"big5", "\xa7\x41", "你"}, {"euc-kr", "\xb0\xa1", "가"}, {"ks_c_5601-1987", "\xb0\xa1", "가"},
		{"utf-16be", "\x00a\x26\x3a", "a☺"}, {"utf-16le", "a\x00", "a"},
	} {
		got, valid := AppendUTF8(nil, c.set, []byte(c.in))
		if string(got) != c.want || valid != (c.want != "ä\uFFFDb") {
			t.Errorf("%s: %q gave %q, %v, want %q", c.set, c.in, got, valid, c.want)
		}
		d, _ := NewDecoder(c.set)
		var pieces []byte
		for i := range len(c.in) {
			pieces = d.Append(pieces, []byte{c.in[i]}, i == len(c.in)-1)
		}
		if string(pieces) != c.want {
			t.Errorf("%s byte by byte: %q gave %q, want %q", c.set, c.in, pieces, c.want)
		}
	}
	for _, name := range []string{"", "x-unknown", "utf-8*en"} {
		if Known(name) {
			t.Errorf("%q is known", name)
		}
	}
}

func TestEncodedWords(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"Q", "=?iso-8859-1?Q?a_=E4=zz?= b", "a ä=zz b"},
		{"B", "x =?UTF-8?B?w6Q=?=", "x ä"},
		{"white space between two words goes", "=?utf-8?q?a?= \t =?utf-8?q?b?= c", "ab c"},
		{"without padding", "=?utf-8?b?YWI?=", "ab"},
		{"in the middle of a word", "a=?utf-8?q?b?=c", "abc"},
		{"not ended", "=?utf-8?q?b", "=?utf-8?q?b"},
		{"an unknown encoding", "=?utf-8?x?b?=", "=?utf-8?x?b?="},
		{"an unknown character set", "=?x-foo?q?a=41=ff?=", "aA\uFFFD"},
		{"empty", "=?utf-8?q??=", ""},
	} {
		if got := string(AppendWords(nil, []byte(c.in), nil)); got != c.want {
			t.Errorf("%s: %q gave %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for _, set := range []string{"utf-7", "utf-8", "iso-2022-jp", "gb18030", "big5", "shift_jis", "utf-16", "utf-32", "hz-gb-2312"} {
		f.Add(set, []byte("\x1b$B$\"+Jjo-\xff\xfe"), 3)
	}
	f.Fuzz(func(t *testing.T, set string, text []byte, cut int) {
		d, _ := NewDecoder(set)
		cut = min(max(cut, 0), len(text))
		out := d.Append(d.Append(nil, text[:cut], false), text[cut:], true)
		if !utf8.Valid(out) {
			t.Fatalf("%s: %q gave %q", set, text, out)
		}
	})
}

func FuzzAppendWords(f *testing.F) {
	f.Add([]byte("a =?utf-8?q?b=41?= =?utf-7?b?w6Q=?="))
	f.Fuzz(func(t *testing.T, value []byte) {
		if out := AppendWords(nil, value, nil); !utf8.Valid(out) {
			t.Fatalf("%q gave %q", value, out)
		}
	})
}
