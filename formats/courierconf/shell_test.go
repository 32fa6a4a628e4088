package courierconf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatAFragmentSets(t *testing.T) {
	for _, tc := range []struct {
		name, src string
		want      string // NAME=value or NAME? of each assignment, a line each
		problems  []int  // their lines
	}{
		{"a plain value", "PORT=143\n", "PORT=143", nil},
		{"no line end at the end of the file", "PORT=143", "PORT=143", nil},
		{"comments and empty lines", "##NAME: PORT:0\n# PORT=1\n\n  PORT=143 # not that\n", "PORT=143", nil},
		{"# inside a word begins no comment", "A=b#c", "A=b#c", nil},
		{"several on a line", "A=1 B=2; C=3", "A=1\nB=2\nC=3", nil},
		{"quotes inside a word", `V=a"b c"'d "e'\ f`, `V=ab cd "e f`, nil},
		{"an earlier variable", "A=x\nB=\"$A ${A}y $A.z\"", "A=x\nB=x xy x.z", nil},
		{"a variable of the same line", "A=1 B=$A", "A=1\nB=1", nil},
		{"a variable nobody set is empty", `T="$TLS_PROTOCOL"`, "T=", nil},
		{"what the last file set may be unset", "A=1\nunset A\nB=$A", "A=1\nB=", nil},
		{"joined lines", "A=a\\\nb B=\"c \\\nd\" \\\nC=e\nF=$G", "A=ab\nB=c d\nC=e\nF=", nil},
		{"no joined lines in single quotes", "A='a\\\nb'", "A=a\\\nb", nil},
		{"a quote over several lines", "A=\"a\nb\"\nB=1", "A=a\nb\nB=1", nil},
		{"backslashes in double quotes", `A="\$x \" \\ \a \` + "`" + `"`, `A=$x " \ \a ` + "`", nil},
		{"a dollar alone", `A=a$ B="$" C=$/`, "A=a$\nB=$\nC=$/", nil},
		{"export", "export A=1 B\nC=2\nexport C D='x y'", "A=1\nC=2\nD=x y", nil},
		{"set -a is what Courier's own scripts do", "set -a\nA=1", "A=1", nil},
		{"a command substitution", "A=$(date +'%Y)')\nB=`id -u`\nC=\"$A\" D=1", "A?\nB?\nC?\nD=1", nil},
		{"arithmetic", "A=$((1+(2*3))) B=2", "A?\nB=2", nil},
		{"more than a name in braces", `A=${B:-"}x"} C=1`, "A?\nC=1", nil},
		{"the environment", "A=$HOME/x B=$1 C=$$", "A?\nB?\nC?", nil},
		{"a home directory", "A=~/x B=\"~/x\" C=a~ D=a:~b", "A?\nB=~/x\nC=a~\nD?", nil},
		{"line ends of another system", "A=1\r\nB=2\n", "A?\nB=2", nil},
		{"a NUL byte", "A=a\x00b\nB=2", "A?\nB=2", nil},
		{"bytes that are no UTF-8", "A=\xff\xfe", "A=\xff\xfe", nil},
		{"a command", "umask 022\nA=1", "A=1", []int{1}},
		{"an assignment for one command", "A=1 date\nB=$A", "A?\nB?", []int{1}},
		{"blanks around the equal sign make a command", "A = 1\nA =1\nA= 1\n", "A?", []int{1, 2, 3}},
		{"appending is not sh", "A=1\nA+=2", "A=1", []int{2}},
		{"arrays are not sh", "A=(1 2)\nB=3", "A?\nB=3", []int{1}},
		{"another file", ". /etc/courier/local\nA=1", "A=1", []int{1}},
		{"if", "if test -f /x; then\n A=1\nelse A=2; fi\nB=3", "A?\nA?\nB=3", []int{1}},
		{"case", "case $X in\n a|b) A=1;;\n *)\n  A=2\n  ;;\nesac\nB=3", "A?\nA?\nB=3", []int{1}},
		{"loops", "for i in a b; do\nA=$i\ndone\nwhile :; do B=1; done\nC=3", "A?\nB?\nC=3", []int{1, 4}},
		{"functions and groups", "f() {\n A=1\n}\n{ B=2; }\n(C=3)\nD=4", "A?\nB?\nC?\nD=4", []int{1, 1, 1, 4, 5}},
		{"conditions", "A=1 && B=2\nC=3 || D=4\nE=5", "A=1\nB?\nC=3\nD?\nE=5", nil},
		{"a variable holds no word of the language", "E=export I=if\n$E A=1\n$I B=2\nC=3", "E=export\nI=if\nC=3", []int{2, 3}},
		{"a pipeline", "A=1 | B=2\nC=3 &\nD=4", "A?\nB?\nC?\nD=4", nil},
		{"a redirection", "A=1 >/tmp/x\nB=2", "A=1\nB=2", []int{1}},
		{"a here-document", "cat <<EOF >/x\nA=1\nEOF\nB=2", "B=2", []int{1, 1, 1}},
		{"an open quote", "A=1\nB=\"x\nC=3\n", "A=1\nB?", []int{2}},
		{"an open substitution", "A=1\nB=$(x\nC=3\n", "A=1\nB?", []int{2}},
		{"an open if", "if x\nA=1", "A?", []int{1, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := ReadShell([]byte(tc.src), nil)
			if got := show(f); got != tc.want {
				t.Errorf("%q sets\n%s\nwant\n%s", tc.src, got, tc.want)
			}
			var lines []int
			for _, p := range f.Problems {
				lines = append(lines, p.Line)
			}
			if !slices.Equal(lines, tc.problems) {
				t.Errorf("%q: problems %v, want them in lines %v", tc.src, f.Problems, tc.problems)
			}
		})
	}
}

func show(f Fragment) string {
	var lines []string
	for _, a := range f.Assignments {
		if a.Unknown != "" {
			lines = append(lines, a.Name+"?")
			continue
		}
		lines = append(lines, a.Name+"="+a.Value)
	}
	return strings.Join(lines, "\n")
}

func TestLinesAreCountedThroughQuotesAndJoins(t *testing.T) {
	f := ReadShell([]byte("A=1\n\nB=\"x\ny\" C=\\\n2\n# \\\nD=4\n"), nil)
	var got []string
	for _, a := range f.Assignments {
		got = append(got, fmt.Sprint(a.Name, a.Line))
	}
	if want := []string{"A1", "B3", "C4", "D7"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOneShellReadsSeveralFiles(t *testing.T) {
	vars := Vars{}
	ReadShell([]byte("CAP=a\nMAX=1"), vars)
	f := ReadShell([]byte("TLS=\"$CAP b\"\nMAX=2"), vars)
	if got := show(f); got != "TLS=a b\nMAX=2" || vars["MAX"].Value != "2" || !slices.Equal(f.Used, []string{"CAP"}) {
		t.Errorf("got %q, %v, used %v", got, vars, f.Used)
	}
}

func TestHugeFragmentsEnd(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	f := ReadShell([]byte("# "+long+"\nA="+long+"\nB=\""+long+"\"\n"), nil)
	if len(f.Assignments) != 2 || f.Assignments[1].Value != long {
		t.Errorf("%d assignments", len(f.Assignments))
	}
	f = ReadShell([]byte("A=xx\n"+strings.Repeat("A=$A$A\n", 5000)), nil)
	if last := f.Assignments[len(f.Assignments)-1]; last.Unknown == "" {
		t.Errorf("a value of %d bytes grew out of two", len(last.Value))
	}
	done := make(chan Fragment, 1)
	go func() { done <- ReadShell([]byte(strings.Repeat("A=$(", 100000)), nil) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("nested substitutions take for ever")
	}
}

// pieces are what the differential test builds fragments of: all that ReadShell claims to understand.
var pieces = []string{"A=", "B=", "C=", "A=", "x", "yz", "1", " ", "\t", "\n", ";", "\"", "\"", "'", "'", "\\", "\\\n",
	"$A", "${B}", "$C", "$", "$_9", "#", " # c\n", "##NAME: A:0\n", "export ", "\\$", "\\\"", "{", "}", "é", "\xff", "=", ":", ",",
	"A=1", "B=\"$A\"", "C='$A'", "\nA=", "\nB=", "\nC="}

func TestWhatTheRealShellSets(t *testing.T) {
	sh, err := exec.LookPath("/bin/sh")
	if err != nil {
		t.Skip("no /bin/sh to compare with")
	}
	seeds := []string{"A=1", "A=\"a\\\nb\" B=$A", "A='x'\\''y'", "C=a\\\\b"}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range 1 + rng.IntN(14) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		seeds = append(seeds, b.String())
	}
	compared := 0
	for chunk := range slices.Chunk(seeds, 500) {
		compared += compare(t, sh, chunk)
	}
	if compared < 300 {
		t.Errorf("only %d fragments were ones that ReadShell takes over whole", compared)
	}
}

// compare reads each fragment that ReadShell fully understands with a real shell, all in one process.
func compare(t *testing.T, sh string, fragments []string) int {
	dir := t.TempDir()
	var script bytes.Buffer
	var mine []string
	var sources []string
	for i, src := range fragments {
		vars := Vars{}
		f := ReadShell([]byte(src), vars)
		if len(f.Problems) > 0 || slices.ContainsFunc(f.Assignments, func(a Assignment) bool { return a.Unknown != "" }) {
			continue
		}
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "( . %s; printf '%%s|%%s|%%s\\0' \"$A\" \"$B\" \"$C\" ) 2>&1 || printf 'refused\\0'\n", path)
		mine = append(mine, vars["A"].Value+"|"+vars["B"].Value+"|"+vars["C"].Value)
		sources = append(sources, src)
	}
	if len(mine) == 0 {
		return 0
	}
	cmd := exec.Command(sh)
	cmd.Stdin, cmd.Env = &script, []string{"LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	theirs := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(theirs) != len(mine) {
		t.Fatalf("%d answers for %d fragments", len(theirs), len(mine))
	}
	for i := range mine {
		if mine[i] != theirs[i] {
			t.Errorf("%q: read %q, the shell sets %q", sources[i], mine[i], theirs[i])
		}
	}
	return len(mine)
}

// FuzzShell: what is understood, written anew with every value in single quotes, is understood the same.
func FuzzShell(f *testing.F) {
	for _, s := range []string{"A=1\nB=\"$A\"", "case x in a) B=1;; esac", "A=$(echo \")\")", "cat <<E\nx\nE\n", "A=\\", "if", "A=`\\`"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		vars := Vars{}
		first := ReadShell(src, vars)
		var again bytes.Buffer
		want := Vars{}
		for _, a := range first.Assignments {
			if a.Line < 1 || a.Line > 1+bytes.Count(src, []byte("\n")) {
				t.Fatalf("%q: %s in line %d", src, a.Name, a.Line)
			}
			if a.Unknown == "" {
				fmt.Fprintf(&again, "%s='%s'\n", a.Name, strings.ReplaceAll(a.Value, "'", `'\''`))
				want[a.Name] = Var{Value: a.Value}
			}
		}
		got := Vars{}
		second := ReadShell(again.Bytes(), got)
		if len(second.Problems) > 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q gave %v, written and read again %v, problems %v", src, want, got, second.Problems)
		}
	})
}
