package variable

import (
	"strings"
	"testing"
)

// values24 are the variables of the templates below.
var values24 = map[string]string{"user": "Ann.Lee@Mail.Example.ORG", "n": "42", "zero": "0", "word": "wörd", "empty": "", "uid": "3735928559",
	"tabs": "a\tb\x011c\td", "two@at": "", "path": "/srv/mail", "ok:x": "colon", "x-1": "dash"}

// filterCases are templates of 2.4 with their text or their error.
var filterCases = []struct{ template, want, bad string }{
	{"plain", "plain", ""},
	{"%{}", "", ""},
	{"%{ | }", "", ""},
	{"a%{n}b%{n | }c", "a42b42c", ""},
	{"%{n||lower}", "42", ""},
	{"%{x-1}%{ok:x}", "dashcolon", ""},
	{"100%%{n}%", "100%{n}%", ""},
	{"%%%{n}", "%%{n}", ""},
	{"%{n + 1} %{n - -1} %{n * 2} %{n / 5} %{n % 5} %{n + n}", "43 43 84 8 2 84", ""},
	{"%{user | index('@', 1) | index('.', -1) | lower}", "org", ""},
	{"%{user | username | index('.', 0)}", "Ann", ""},
	{"%{user | domain | username}", "Mail.Example.ORG", ""},
	{"%{n | lfill(5)}%{n | rfill(5, '.')}%{n | lfill(1)}", "0004242...42", ""},
	{"%{n | lfill(5, 'ab')}", "abab42", ""},
	{"%{uid | hex}%{uid | hex(4)}%{uid | hex(-4)}%{n | hex(4)}%{n | hex(-4)}", "deadbeefbeefdead002a2a00", ""},
	{"%{literal('deadbeef') | unhex}", "3735928559", ""},
	{"%{n | hexlify}%{n | hexlify(6)}%{n | hexlify(3)}", "3432003432343", ""},
	{"%{literal('3432') | unhexlify}%{literal('3432') | unhexlify | text}", "343242", ""},
	{"%{literal('00000102') | unhexlify | benumber} %{literal('00000102') | unhexlify | lenumber}", "258 33619968", ""},
	{"%{path | base64} %{path | base64(pad=0)} %{literal('\\xff\\xff') | base64(url=1)}", "L3Nydi9tYWls L3Nydi9tYWls __8=", ""},
	{"%{user | md5 | base64}", "74vVLyz8WuRPVIXVO9NuKA==", ""},
	{"%{user | substr(0, 3)}%{user | substr(-3)}%{user | substr(4, -17)}%{empty | substr(0, 0)}", "AnnORGLee", ""},
	{"%{user | truncate(3)}%{user | truncate(99) | upper}%{n | truncate(bits=4)}", "AnnANN.LEE@MAIL.EXAMPLE.ORG\x03", ""},
	{"%{user | regexp('^(.)[^.]*\\\\.(.).*', '\\\\2$1')}", "LA", ""},
	{"%{user | regexp('zzz', 'y') | truncate(1)}", "A", ""},
	{"%{user | ldap_dn}", "Ann,dc=Lee@Mail,dc=Example,dc=ORG", ""},
	{"%{tabs | list} %{tabs | list(' - ')}", "a,b\x01c,d a - b\x01c - d", ""},
	{"%{word | text}%{literal('a\\tb') | text}", "wörda\uFFFDb", ""},
	{"%{concat(n, '-', 7)} %{n | concat(zero)}", "42-7 420", ""},
	{"%{none | default} %{none | default('d')} %{empty | default(n)} %{none | lower | default(7)}", " d 42 ", "Unknown variable 'none'"},
	{"%{none | default | default('x')}", "x", ""},
	{"%{lookup('n')}%{lookup(n) | default('?')}", "42?", ""},
	{"%{if(n, '>', 41, 'more', zero)} %{n | if('<', zero, 'less', path)} %{zero | if('!=', 1, n, n)}", "more /srv/mail 42", ""},
	{"%{user | if('*', 'Ann*', 'y', 'n')}%{user | if('!*', 'Ann?', 'y', 'n')}%{user | if('~', '(?i)^ann', 'y', 'n')}", "yyy", ""},
	{"%{n | switch('==', 1, 'one', 42, 'answer', 'other')} %{switch(n, 'eq', '1', 'one', 'other')}", "answer other", ""},
	{"%{literal(\"it's\")} %{literal('\"\\x41\\102\\\\\\'')}", "it's \"AB\\'", ""},
	{"%{n | hash('size')} %{n | hash('md4', salt='x')}", "0000000000000002 d4f3b7377a8ad5623821524939e232af", ""},

	{"%{none}", "", "Unknown variable 'none'"},
	{"%{none:x}", "", "Unsupported prefix 'none'"},
	{"%{none | lower}", "", "Unknown variable 'none'"},
	{"%{n | none}", "", "No such function 'none'"},
	{"%{n | index('@', 1) | lower}", "", "index: Position out of bounds"},
	{"%{n | index('', 1)}", "", "index: Position out of bounds"},
	{"%{n | index('@')}", "", "index: Missing index parameter"},
	{"%{n | lower(1)}", "", "lower: Too many positional parameters"},
	{"%{n | lower(a=1)}", "", "lower: Unsupported key 'a'"},
	{"%{n | substr(3)}", "", "substr: Offset out of bounds"},
	{"%{n | substr(1, 2)}", "", "substr: Length out of bounds"},
	{"%{n | substr(word)}", "", "substr: 'wörd' (in word) is not a number"},
	{"%{word + 1}", "", "calculate: Input is not a number"},
	{"%{n / zero}", "", "calculate: Division must be by positive integer"},
	{"%{word | hex}", "", "hex: Input is not a number"},
	{"%{n | hex(999)}", "", "hex: Excessive padding"},
	{"%{word | unhexlify}", "", "unhexlify: Not a hex value"},
	{"%{literal('000001') | unhexlify | benumber}", "", "benumber: Cannot convert '3' bytes to number"},
	{"%{n | hash}", "", "hash: Missing parameters"},
	{"%{n | hash('rot13')}", "", "hash: Unsupported algorithm 'rot13'"},
	{"%{n | md5(rounds=99999999)}", "", "md5: too many rounds"},
	{"%{n | lfill(99999999)}", "", "lfill: Fill length out of bounds"},
	{"%{n | if('eq', 1, 'y', 'n')}", "", "if: Right-hand side 1 is not a string"},
	{"%{n | if('eq', 'x')}", "", "if: Missing parameters"},
	{"%{n | switch('==', 1, 'one')}", "", "switch: No default value provided"},
	{"%{n | regexp('(', 'x')}", "", "regexp: regex failed: missing closing ): `(`"},
	{"%{n | if('~', '(a)\\\\1', 'y', 'n')}", "", "if: regex failed: invalid escape sequence: `\\1`"},
	{"%{process:none}", "", "process: Unsupported field 'none'"},
	{"%{env:}", "", "env: Missing field"},

	{"%{n", "", "syntax error, unexpected end of file, expecting CCBRACE or PIPE"},
	{"%{n m}", "", "syntax error, unexpected NAME, expecting CCBRACE or PIPE"},
	{"%{n | lfill()}", "", "syntax error, unexpected CBRACE, expecting MINUS or NAME or VALUE or NUMBER"},
	{"%{n | lfill(1 2)}", "", "syntax error, unexpected NUMBER, expecting CBRACE or COMMA"},
	{"%{n + 'x'}", "", "syntax error, unexpected VALUE, expecting MINUS or NAME or NUMBER"},
	{"%{n + 1 + 1}", "", "syntax error, unexpected PLUS, expecting CCBRACE or PIPE"},
	{"%{n - - 1}", "43", ""},
	{"%{n | lfill(-x)}", "", "syntax error, unexpected NAME, expecting NUMBER"},
	{"%{'x'}", "", "syntax error, unexpected VALUE, expecting CCBRACE or PIPE or NAME"},
	{"%{literal('x)}", "", "Premature program end"},
	{"%{literal('\\q')}", "", "Invalid character escape"},
	{"%{n & 1}", "", "Premature program end"},
	{"%{\xff}", "", "Invalid UTF-8 string"},
	{"%{" + strings.Repeat("n|", 5000) + "}", "", "Program size exceeds maximum of 8192 bytes"},
}

func TestFiltersOf24(t *testing.T) {
	for _, c := range filterCases {
		got, err := Expand24(c.template, Values(values24))
		if c.bad == "" && (got != c.want || err != nil) || c.bad != "" && (err == nil || err.Error() != c.bad) {
			t.Errorf("%s: got %q, %v, want %q, %q", c.template, got, err, c.want, c.bad)
		}
	}
}

func TestVariablesOfATemplateAreListed(t *testing.T) {
	for template, want := range map[string]string{
		"%u %Ln %{user} %u %{userdb:x:y} %{if;%d;eq;%s;a;b} %{md5;salt=%r:session} %% %{env:HOME}": "u n user userdb:x:y d s session r",
	} {
		tm, err := Parse23(template)
		if err != nil || strings.Join(tm.Variables(), " ") != want {
			t.Errorf("%s: %v, %v", template, tm.Variables(), err)
		}
	}
	for template, want := range map[string]string{
		"%{user | lower} %{if(a, 'eq', b, c, 'd')} %{userdb:x} %{literal(e)} %{n + m} %{user | md5(salt=s)} %%{no}": "user a b c userdb:x e n m s",
	} {
		tm, err := Parse24(template)
		if err != nil || strings.Join(tm.Variables(), " ") != want {
			t.Errorf("%s: %v, %v", template, tm.Variables(), err)
		}
	}
}

func TestEscapingKeepsValuesApart(t *testing.T) {
	escape := func(s string) string { return strings.ReplaceAll(s, "'", "''") }
	l := Values(map[string]string{"user": "o'neil", "u": "o'neil"})
	tm, err := Parse24("SELECT '%{user}', '%{user | upper}', '%{user | safe}'")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tm.ExpandEscaped(l, escape); got != "SELECT 'o''neil', 'O''NEIL', 'o'neil'" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	old, err := Parse23("SELECT '%u', '%Uu', '%Ru'")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := old.ExpandEscaped(l, escape); got != "SELECT 'o''neil', 'O''NEIL', 'lien''o'" || err != nil {
		t.Errorf("2.3 gave %q, %v", got, err)
	}
	if got, err := Expand23("SELECT '%u', '%Uu'", Escaped(l, escape)); got != "SELECT 'o''neil', 'O''NEIL'" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestDigestOfRFC1320(t *testing.T) {
	for text, want := range map[string]string{
		"": "31d6cfe0d16ae931b73c59d7e0c089c0", "abc": "a448017aaf21d8525fc10ae87aa6729d",
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890": "e33b4ddc9c38f2199c3e7b164fcc0536",
	} {
		if got, err := Expand23("%{md4:x1}", Values(map[string]string{"x1": text})); got != want || err != nil {
			t.Errorf("md4 of %q: %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestR059DomainAndUserPart(t *testing.T) {
	for user, want := range map[string]string{"alice@brokkr.net": "/var/vmail/brokkr.net/alice", "alice": "/var/vmail//alice", "a@b@c": "/var/vmail/b@c/a"} {
		if got, err := Expand23("/var/vmail/%d/%n", authUser23(user)); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", user, got, err, want)
		}
		if got, err := Expand24("/var/vmail/%{user | domain}/%{user | username}", authUser24(user)); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", user, got, err, want)
		}
	}
}

func BenchmarkExpand(b *testing.B) {
	old, modern := convertible("alice@example.org")
	for name, c := range map[string]struct {
		parse    func(string) (*Template, error)
		template string
		lookup   Lookup
	}{"2.3": {Parse23, "maildir:/srv/%d/%1Mu/%n", old}, "2.4": {Parse24, "/srv/%{user | domain}/%{user | md5 | hexlify(1)}/%{user | username}", modern}} {
		tm, err := c.parse(c.template)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tm.Expand(c.lookup); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
