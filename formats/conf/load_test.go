package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// tree makes a Source of texts.
func tree(texts map[string]string) In {
	m := fstest.MapFS{}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return In{m}
}

func TestASectionMayBeClosedByTheIncluder(t *testing.T) {
	c, err := Load(tree(map[string]string{
		"etc/d.conf":      "service a {\n!include x/*.conf\n}\nlast = 1\n",
		"etc/x/1-o.conf":  "unix_listener b {\n",
		"etc/x/2-in.conf": "mode = 0600\n}\n# end\n",
	}), "/etc/d.conf", Options{})
	if err != nil || len(c.Problems) > 0 {
		t.Fatal(err, c.Problems)
	}
	var got strings.Builder
	for n := range c.Root.All() {
		depth := 0
		for p := n.Parent; p.Parent != nil; p = p.Parent {
			depth++
		}
		fmt.Fprintf(&got, "%s%s %s %s@%v\n", strings.Repeat(" ", depth), n.Key, n.Name, n.Value, n.Pos)
	}
	want := "service a @/etc/d.conf:1\n !include  x/*.conf@/etc/d.conf:2\n unix_listener b @/etc/x/1-o.conf:1\n" +
		"  mode  0600@/etc/x/2-in.conf:1\n   @/etc/x/2-in.conf:3\nlast  1@/etc/d.conf:4\n"
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	service := c.Root.Children[0]
	if include := service.Children[0]; len(include.Files) != 2 || service.Close.Pos.Line != 3 || service.Children[1].Close.Pos.File != "/etc/x/2-in.conf" {
		t.Errorf("the include read %d files, service closes at %v", len(include.Files), service.Close.Pos)
	}
}

func TestTheVersionMayStandInAnIncludedFile(t *testing.T) {
	src := tree(map[string]string{"d.conf": "# main\n!include v.conf\n\"log_path\" = x\n", "v.conf": "dovecot_config_version = 2.4.0\n"})
	c, err := Load(src, "/d.conf", Options{})
	if err != nil || c.Dialect != V24 || len(c.Problems) > 0 || c.Main.Dialect != V24 {
		t.Errorf("dialect %v, problems %v, %v", c.Dialect, c.Problems, err)
	}
}

func TestAWrongIncludeSaysWhatToDo(t *testing.T) {
	for _, c := range []struct{ line, text, hint string }{
		{"!include none", "No matches", "use !include_try if the file may be absent"},
		{"!include \"x.conf\"", "No matches", "remove the quotes"},
		{"!include = x.conf", "No matches", "remove the '='"},
		{"!include ~/x.conf", "No matches", "write the whole path: '~' is not expanded"},
		{"!include sub", "the directory /sub contributes nothing", "include sub/*.conf"},
	} {
		got, err := Load(tree(map[string]string{"d.conf": c.line + "\n", "sub/x.conf": ""}), "/d.conf", Options{})
		if err != nil || len(got.Problems) != 1 || got.Problems[0].Text != c.text || got.Problems[0].Hint != c.hint {
			t.Errorf("%s: %v, %v", c.line, err, got.Problems)
		}
	}
}

func TestUnreadableFilesAreReportedAndNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("d.conf", "!include fifo\n!include_try fifo\n!include /dev/zero\n!include /dev/null\n!include link\nx = 1\n")
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600), os.Symlink("nowhere", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	c, err := Load(OS{}, filepath.Join(dir, "d.conf"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Couldn't open include file " + dir + "/fifo: Not a regular file", "cannot read " + dir + "/fifo: Not a regular file",
		"Couldn't open include file /dev/zero: Not a regular file", "Couldn't open include file " + dir + "/link: No such file or directory"}
	for i, p := range c.Problems {
		if i >= len(want) || p.Text != want[i] {
			t.Errorf("problem %d: %v", i, p)
		}
	}
	if len(c.Problems) != len(want) {
		t.Errorf("%d problems, want %d", len(c.Problems), len(want))
	}
	for _, name := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := Load(OS{}, name, Options{}); !errors.As(err, new(*fs.PathError)) {
			t.Errorf("%s as main file: %v", name, err)
		}
	}
	// A FIFO nobody writes to is empty, so a main file of that kind ends at once.
	if c, err := Load(OS{}, filepath.Join(dir, "fifo"), Options{}); err != nil || len(c.Root.Children) != 0 {
		t.Errorf("a FIFO as main file: %v", err)
	}
}

func TestAPermissionProblemNamesTheFile(t *testing.T) {
	src := denied{tree(map[string]string{"d.conf": "!include a.conf\n!include_try a.conf\n", "a.conf": "x = 1\n"})}
	c, err := Load(src, "/d.conf", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p := c.First(); p == nil || p.Error() != "Error in configuration file /d.conf line 1: Couldn't open include file /a.conf: Permission denied" {
		t.Errorf("got %v", p)
	}
	if len(c.Problems) != 2 || c.Problems[1].Severity != Notice || !errors.Is(c.Problems[0], fs.ErrPermission) {
		t.Errorf("got %v", c.Problems)
	}
}

// denied refuses to open all but the main file.
type denied struct{ In }

func (d denied) Open(path string) (fs.File, error) {
	if path != "/d.conf" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES}
	}
	return d.In.Open(path)
}

func TestReadingIsBounded(t *testing.T) {
	bomb := map[string]string{"d.conf": "!include 1\n!include 1\n"}
	for i := 1; i < 40; i++ {
		bomb[fmt.Sprint(i)] = fmt.Sprintf("!include %d\n!include %[1]d\n", i+1)
	}
	bomb["40"] = "x = 1\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"includes that double", bomb, "Too many files are included"},
		{"a file that includes itself by other names", map[string]string{"d.conf": "!include ./d.conf\n"}, "Includes are nested too deeply"},
		{"a million braces", map[string]string{"d.conf": strings.Repeat("a {\n", 1_000_000)}, "Sections are nested too deeply"},
		{"braces that close again", map[string]string{"d.conf": strings.Repeat("a {\n", 100_000) + strings.Repeat("}\n", 100_000)}, "Sections are nested too deeply"},
		{"a value of 100 MB", map[string]string{"d.conf": "x = " + strings.Repeat("y", 100<<20)}, ""},
		{"too many lines", map[string]string{"d.conf": strings.Repeat("a=\n", MaxLines+1)}, "The file has too many lines"},
		{"a pattern of many braces", map[string]string{"d.conf": "!include " + strings.Repeat("{a,b}", 40) + "\n"}, "Too many files match"},
		{"a pattern of many stars", map[string]string{"d.conf": "!include " + strings.Repeat("*a", 40) + "\n", strings.Repeat("a", 200): ""}, ""},
	} {
		got, err := Load(tree(c.files), "/d.conf", Options{})
		if strings.Contains(c.name, "100 MB") {
			if !errors.Is(err, errTooMuch) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		text := ""
		if p := got.First(); p != nil {
			text = p.Text
		}
		if text != c.want {
			t.Errorf("%s: got %q, want %q", c.name, text, c.want)
		}
	}
	f := Parse("f", "x = "+strings.Repeat("y", 100<<20), V23)
	if len(f.Lines) != 1 || len(f.Lines[0].Value) != 100<<20 {
		t.Error("a value of 100 MB is not read")
	}
}
