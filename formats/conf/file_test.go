package conf

import (
	"os"
	"strings"
	"testing"
)

func TestAChangedValueKeepsItsPlaceAndItsComment(t *testing.T) {
	for _, c := range []struct{ file, value, want string }{
		{"a = b\n", "c", "a = c\n"},
		{"\ta   =   b   # why\r\n", "c d", "\ta   =   c d   # why\r\n"},
		{"a = \"b # c\" # why", "c", "a = c # why"},
		{"a =\n", "c", "a = c\n"},
		{"a = # why\n", "c", "a = c # why\n"},
		{"a=b\n", "c", "a=c\n"},
		{"a = b # why\n", "", "a =  # why\n"},
		{"a = <b # why\n", "<c", "a = <c # why\n"},
		{"a = b \\\n  c \\ # one\n d # two\n", "e", "a = e # one # two\n"},
		{"a \\\n = b\n", "c", "a = c\n"},
		{"  a = b \\\r\n c\r\n", "d", "  a = d\r\n"},
	} {
		f := Parse("f", c.file, V23)
		f.Lines[0].SetValue(c.value)
		if got := f.String(); got != c.want {
			t.Errorf("%q with %q: got %q, want %q", c.file, c.value, got, c.want)
		}
		again := Parse("f", f.String(), V23)
		if l := again.Lines[0]; l.Kind != Assign || l.Key != "a" || l.Value != strings.TrimLeft(c.value, "<") || l.Value != f.Lines[0].Value {
			t.Errorf("%q is read as %q = %q, the line says %q", f.String(), l.Key, l.Value, f.Lines[0].Value)
		}
	}
}

func TestQuotedValuesAreReadBack(t *testing.T) {
	for _, d := range []Dialect{V1, V23, V24, Ext} {
		for _, value := range []string{"", "a", "a b", " a", "a ", "a#b", `"`, `'`, `"a"`, `a"b`, `a\`, `\`, `a\"`, "it's", "$x", "<x", "a\tb", "x # y", `\\`, "é", "'a' b", "\t"} {
			text, err := Quote(value, d)
			if err != nil {
				t.Errorf("%v: %q: %v", d, value, err)
				continue
			}
			f := Parse("f", "k = "+text+" # comment\n", d)
			if l := f.Lines[0]; l.Kind != Assign || l.Value != value || l.Comment != "# comment" || l.Form == Reference || l.Form == FromFile || len(f.Problems) > 0 {
				t.Errorf("%v: %q written as %s is read as %q with comment %q: %v", d, value, text, l.Value, l.Comment, f.Problems)
			}
		}
		for _, name := range []string{"a", "a b", "", "a/b", "*", "a=b", `a\b`, "it's", "a#b", "{", `a"b`} {
			text, err := QuoteName(name, d)
			if err != nil {
				continue
			}
			f := Parse("f", "mailbox "+text+" { # comment\n", d)
			if l := f.Lines[0]; l.Kind != Open || l.Name != name || !l.NameSet {
				t.Errorf("%v: name %q written as %s is read as %q: %v", d, name, text, l.Name, f.Problems)
			}
		}
	}
	if _, err := Quote("a\nb", V23); err == nil {
		t.Error("a line break was accepted")
	}
}

func TestACommentBelongsToTheLineBelowIt(t *testing.T) {
	f := Parse("f", "# far\n\n# one\n  # two\na = b\nc = d\n", V23)
	var setting *Line
	for _, l := range f.Lines {
		if l.Key == "a" {
			setting = l
		}
	}
	if above := f.Above(setting); above == nil || above.Raw() != "# one\n  # two\n" {
		t.Errorf("above a stands %v", above)
	}
	if above := f.Above(f.Lines[len(f.Lines)-1]); above != nil {
		t.Errorf("above c stands %q", above.Raw())
	}
}

func TestAWrongLineGetsAHint(t *testing.T) {
	for _, c := range []struct{ file, hint string }{
		{"protocols imap imaps pop3s\n", "missing '='?"},
		{"protocols none\n", "missing '='?"},
		{"protocol imap { listen = *:143\n", "put what follows '{' on lines of its own, and '}' too"},
		{"service imap{\n", "put a blank before '{'"},
		{"service{\n", "put a blank before '{'"},
		{"protocol imap\n{\n}\n", "put '{' at the end of the line"},
		{"protocol imap\n", "missing '{' at the end of the line?"},
		{"passdb {\n} x\n", "put '}' on a line of its own"},
		{"include x.conf\n", "did you mean !include?"},
		{"!inlcude x.conf\n", "did you mean !include?"},
		{"include_try: x.conf\n", "did you mean !include_try?"},
		{"mail_location(imap): maildir:~/Maildir\n", "this looks like what 'dovecot -n' of 1.x prints, which is not a configuration: write name = value"},
		{"  mode: 432\n", "this looks like what 'dovecot -n' of 1.x prints, which is not a configuration: write name = value"},
		{"{\n", "put '{' at the end of the line before"},
	} {
		f := Parse("f", c.file, V23)
		got := ""
		for _, p := range f.Problems {
			if p.Severity == Error {
				got = p.Hint
				break
			}
		}
		if got != c.hint {
			t.Errorf("%q: got hint %q, want %q", c.file, got, c.hint)
		}
	}
}

func TestEveryProblemIsFound(t *testing.T) {
	f := Parse("f", "\xef\xbb\xbfa = b\nx\nb = \x00\nc = \xff # \xff\n# \xff\nd = e#f\nservice x {y\ng = \\\n", V23)
	want := []string{"1 byte order", "2 Expecting '{'", "3 NUL byte", "4 the line is not valid UTF-8", "6 Ambiguous", "7 Garbage", "8 this line has no effect"}
	if len(f.Problems) != len(want) {
		t.Fatalf("got %v", f.Problems)
	}
	for i, w := range want {
		line, text, _ := strings.Cut(w, " ")
		if p := f.Problems[i]; !strings.HasSuffix(p.Pos.String(), ":"+line) || !strings.HasPrefix(p.Text, text) {
			t.Errorf("got %v: %s, want %s", p.Pos, p.Text, w)
		}
	}
}

func TestDialectsAreRecognised(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       Dialect
	}{
		{"the version comes first", "# x\n\ndovecot_config_version = 2.4.0\n", V24},
		{"the version comes later", "log_path = x\ndovecot_config_version = 2.4.0\n", V23},
		{"an auth section with its databases", "auth default {\n passdb vpopmail {\n }\n}\n", V1},
		{"protocols of 1.x", "protocols = imap imaps\n", V1},
		{"listen inside a protocol", "protocol imap {\n listen = *:143\n}\n", V1},
		{"certificates of 1.x", "ssl_cert_file = /x\n", V1},
		{"settings of login processes", "login_max_processes_count = 10\n", V1},
		{"an old name in a file of 2.x", "ssl_cert_file = /x\n!include conf.d/*.conf\n", V23},
		{"an old name beside a service", "login_user = x\nservice imap {\n}\n", V23},
		{"nothing to tell", "log_path = x\n", V23},
		{"an empty file", "", V23},
	} {
		if got := Detect(Parse("f", c.file, V23)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDebiansTreePrintsAsItWasRead(t *testing.T) {
	c, err := Load(OS{}, "/etc/dovecot/dovecot.conf", Options{})
	if err != nil {
		t.Skip("no /etc/dovecot here: ", err)
	}
	for _, f := range c.Files {
		b, err := os.ReadFile(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if f.String() != string(b) {
			t.Errorf("%s is printed differently", f.Name)
		}
	}
	if c.First() != nil || c.Dialect != V23 || len(c.Files) < 10 {
		t.Errorf("%d files, dialect %v, problems %v", len(c.Files), c.Dialect, c.Problems)
	}
}
