package conf

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oddLines are files whose reading is easily got wrong.
var oddLines = []string{
	"login_greeting = one \\\n# c\nlogin_greeting = two\n",
	"login_greeting = one \\\n\n two\n",
	"login_greeting = a \\ # comment\n b\n",
	"login_greeting = a # comment \\\n",
	"login_greeting = \\\n x\n",
	"\\\nlogin_greeting = x\n",
	"login_greeting \\\n = \\\n x\\\n\ty \\\\\nz\n",
	"login_greeting = \"\n",
	"login_greeting = '\n",
	"login_greeting = \"a\\\"\n",
	"login_greeting = \"a\\\\\"\n",
	"login_greeting = 'it\\'s'\n",
	"login_greeting = \"a'\n",
	"login_greeting = it's # x\n",
	"login_greeting = 'a' # x\n",
	"login_greeting = a 'b # c' d # e\n",
	"login_greeting = \"a \\\n  b # c\"\n",
	"login_greeting = \t a \t \n",
	"login_greeting = x\r\n",
	"login_greeting = x\r",
	"login_greeting = x\r\r\n",
	"login_greeting = x \\\r\n y\r\n",
	"=x\n", " = x\n", "{\n", "}\n", "} {\n", "}x\n", "} # x\n", "}#x\n",
	"service imap{\n", "service imap {x\n", "service {imap {\n", "service \"imap\"{\n}\n", "service \"imap\" x {\n",
	"service \"imap {\n", "service imap  {  \n}\n", "service imap x {\n", "service\timap\t{\n}\n", "service imap { }\n",
	"service \"im\\ap\" {\n client_limit = 3\n}\n",
	"!include\n", "!include \n", "!includex\n", "!include_try\n", "!include # x\n", "!include\tnone\n",
	"login_greeting = <\n", "login_greeting = < x\n", "login_greeting = <<x\n", "login_greeting = \"<x\"\n",
	"#\nlogin_greeting=#\n", "login_greeting=x # a # b\n", "login_greeting=x#a # b\n", "login_greeting=x \"#a # b\n",
	"login_greeting = x\n}\n", "service imap {\n}\n}\n", "service imap {\nservice_count = 1\n", "service imap {\nunix_listener x {\n}\n",
	"login_greeting\n=\nx\n", "login_greeting = a\x0bb\x0c\n", "login_greeting = \xff\xfe\n",
}

// doveconf runs the real program on a configuration.
func doveconf(t *testing.T, dir, text string, args ...string) (stdout, stderr string) {
	t.Helper()
	program, err := exec.LookPath("doveconf")
	if err != nil {
		t.Skip("doveconf of Dovecot 2.3 is not installed")
	}
	path := filepath.Join(dir, "d.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-c", path}, args...)...)
	var out, bad strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &bad
	_ = cmd.Run() // the texts tell
	return out.String(), bad.String()
}

// agree compares our reading of a file with doveconf's.
func agree(t *testing.T, text string) {
	t.Helper()
	agreeIn(t, t.TempDir(), text)
}

// agreeIn does the same in a directory that holds the files to include.
func agreeIn(t *testing.T, dir, text string) {
	t.Helper()
	stdout, stderr := doveconf(t, dir, text, "-h", "login_greeting")
	if strings.Contains(stderr, "Panic") || strings.IndexByte(text, 0) >= 0 {
		return
	}
	c, err := Load(OS{}, filepath.Join(dir, "d.conf"), Options{Dialect: V23})
	if err != nil {
		t.Fatal(err)
	}
	ours := ""
	// With the name of a setting doveconf does not look for a missing "}".
	if p := c.First(); p != nil && !strings.HasPrefix(p.Text, "Missing") {
		ours = p.Error()
	}
	theirs, meaning := "", false
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "doveconf: Fatal: "); ok {
			theirs = text
		}
	}
	v := vector{Stderr: []string{"Fatal: " + theirs}}
	if theirs != "" && v.complaint("Fatal: ") == "" {
		meaning = true // an error that another package finds, which hides later ones of ours
	}
	switch {
	case meaning && (ours == "" || lineOf(ours) >= lineOf(theirs)):
	case meaning || ours != theirs:
		t.Errorf("%q\nour complaint %q\ndoveconf's     %q", text, ours, theirs)
	case theirs == "":
		value := greeting(c)
		if stdout != value+"\n" {
			t.Errorf("%q\nwe read       %q\ndoveconf reads %q", text, value+"\n", stdout)
		}
	}
}

func lineOf(text string) (n int) {
	if _, after, ok := strings.Cut(text, " line "); ok {
		fmt.Sscanf(after, "%d", &n)
	} else {
		n = 1 << 30
	}
	return n
}

// greeting is the value of login_greeting, as doveconf prints it.
func greeting(c *Config) string {
	value := "Dovecot (Debian) ready."
	for _, n := range c.Root.Children {
		if n.Kind == Assign && n.Key == "login_greeting" {
			value = n.Value
			if n.Form == FromFile {
				value = "<" + value
			}
		}
	}
	return value
}

func TestOddLinesAreReadAsDoveconfReadsThem(t *testing.T) {
	for _, text := range oddLines {
		agree(t, text)
	}
}

func TestRandomLinesAreReadAsDoveconfReadsThem(t *testing.T) {
	pieces := []string{"login_greeting", "login_greeting = ", " ", "=", "\"", "'", "\\", "#", "{", "}", "<", "\n", "\t",
		"service imap {\n", "a", "b c", "\\\n", "\n}\n", "!include x", "!include_try y"}
	r := rand.New(rand.NewPCG(1, 2))
	count := 150
	if testing.Short() {
		count = 20
	}
	for range count {
		var b strings.Builder
		for range 2 + r.IntN(12) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		agree(t, b.String())
	}
}

// trees are configurations of several files; a text of "->x" is a link to x.
var trees = []map[string]string{
	{"d.conf": "!include {b,a}.conf\n", "a.conf": "login_greeting = a\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include {a,b}*.conf\n", "a2.conf": "login_greeting = a2\n", "b1.conf": "login_greeting = b1\n", "a1.conf": "login_greeting = a1\n"},
	{"d.conf": "!include {a,x}.conf\n", "a.conf": "login_greeting = a\n"},
	{"d.conf": "!include {x,y}.conf\n"},
	{"d.conf": "!include a{.conf\n", "a{.conf": "login_greeting = a\n"},
	{"d.conf": "!include {a.conf\n", "{a.conf": "login_greeting = a\n"},
	{"d.conf": "!include a{}.conf\n", "a{}.conf": "login_greeting = a\n"},
	{"d.conf": "!include {a{1,2},b}.conf\n", "a1.conf": "login_greeting = a1\n", "a2.conf": "login_greeting = a2\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include {a}.conf\n", "a.conf": "login_greeting = a\n", "{a}.conf": "login_greeting = braces\n"},
	{"d.conf": "!include {a,b/c}.conf\n", "a.conf": "login_greeting = a\n", "b/c.conf": "login_greeting = c\n"},
	{"d.conf": "!include */x.conf\n", "b/x.conf": "login_greeting = b\n", "a/x.conf": "login_greeting = a\n", "c/y.conf": "login_greeting = c\n"},
	{"d.conf": "!include s/*\n", "s/.hidden": "login_greeting = hidden\n", "s/z": "login_greeting = z\n"},
	{"d.conf": "!include s/.h*\n", "s/.hidden": "login_greeting = hidden\n", "s/z": "login_greeting = z\n"},
	{"d.conf": "!include s/[.]h*\n", "s/.hidden": "login_greeting = hidden\n", "s/z": "login_greeting = z\n"},
	{"d.conf": "!include [!a].conf\n", "a.conf": "login_greeting = a\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include [^a].conf\n", "a.conf": "login_greeting = a\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include [a-b].conf\n", "a.conf": "login_greeting = a\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include [].conf\n", "[].conf": "login_greeting = a\n"},
	{"d.conf": "!include [a.conf\n", "[a.conf": "login_greeting = a\n"},
	{"d.conf": "!include \\a.conf\n", "a.conf": "login_greeting = a\n"},
	{"d.conf": "!include \\*.conf\n", "a.conf": "login_greeting = a\n", "*.conf": "login_greeting = star\n"},
	{"d.conf": "!include a b.conf\n", "a b.conf": "login_greeting = blank\n"},
	{"d.conf": "!include a.conf # note\n", "a.conf": "login_greeting = a\n"},
	{"d.conf": "!include ./a.conf\n", "a.conf": "login_greeting = a\n"},
	{"d.conf": "!include sub/../a.conf\n", "a.conf": "login_greeting = a\n", "sub/x": ""},
	{"d.conf": "!include sub//a.conf\n", "sub/a.conf": "login_greeting = a\n"},
	{"d.conf": "!include sub/\n", "sub/a.conf": "login_greeting = a\n"},
	{"d.conf": "!include sub/a.conf\n", "sub/a.conf": "!include b.conf\n", "sub/b.conf": "login_greeting = near\n", "b.conf": "login_greeting = far\n"},
	{"d.conf": "!include *.conf\n"},
	{"d.conf": "!include a.conf\n!include b.conf\n", "a.conf": "!include b.conf\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include [ab].conf\n", "a.conf": "!include b.conf\n", "b.conf": "login_greeting = b\n"},
	{"d.conf": "!include [ab].conf\n", "a.conf": "login_greeting = a\n", "b.conf": "!include a.conf\n"},
	{"d.conf": "!include a.conf\n", "a.conf": "->nowhere"},
	{"d.conf": "!include_try a.conf\n", "a.conf": "->nowhere"},
	{"d.conf": "!include a*.conf\n", "a.conf": "->nowhere"},
	{"d.conf": "!include a.conf\n", "a.conf": "->b.conf", "b.conf": "!include a.conf\n"},
	{"d.conf": "!include a.conf/b\n", "a.conf": ""},
	{"d.conf": "!include a.conf\nlogin_greeting = x\n", "a.conf": "login_greeting = \"\n}\n"},
	{"d.conf": "service imap {\n!include a.conf\nlogin_greeting = x\n", "a.conf": "}\n"},
	{"d.conf": "!include a.conf\nx\n", "a.conf": "service imap {\nunix_listener a {\n"},
	{"d.conf": "login_greeting = a \\\n!include b.conf\n", "b.conf": "login_greeting = b\n"},
}

func TestIncludesAreReadAsDoveconfReadsThem(t *testing.T) {
	for _, tree := range trees {
		dir := t.TempDir()
		for name, text := range tree {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			var err error
			if target, ok := strings.CutPrefix(text, "->"); ok {
				err = os.Symlink(target, path)
			} else {
				err = os.WriteFile(path, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		agreeIn(t, dir, tree["d.conf"])
	}
}

func TestQuotedValuesAreReadBackByDoveconf(t *testing.T) {
	pieces := []string{" ", "a", "b c", "\"", "'", "\\", "#", "$x", "<", "\t", "=", "{", "}", "é", ";", "%u"}
	r := rand.New(rand.NewPCG(7, 8))
	var text strings.Builder
	var values, args []string
	text.WriteString("plugin {\n")
	for i := range 200 {
		value := ""
		for range r.IntN(6) {
			value += pieces[r.IntN(len(pieces))]
		}
		written, err := Quote(value, V23)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
		args = append(args, fmt.Sprintf("plugin/v%d", i))
		fmt.Fprintf(&text, "v%d = %s%s\n", i, written, []string{"", " # comment", "\t# it's"}[i%3])
	}
	text.WriteString("}\n")
	stdout, stderr := doveconf(t, t.TempDir(), text.String(), append([]string{"-h"}, args...)...)
	got := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(got) != len(values) {
		t.Fatalf("%d values, %d came back: %s", len(values), len(got), stderr)
	}
	for i, value := range values {
		if got[i] != value {
			t.Errorf("%q is read as %q in\n%s", value, got[i], strings.Split(text.String(), "\n")[i+1])
		}
	}
}
