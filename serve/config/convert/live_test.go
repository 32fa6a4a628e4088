package convert

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/conf"
)

// What is written for 2.3 is read by Dovecot 2.3 itself: it must accept it, and
// say of it what it says of the input, or what we say of the way back.
func TestDovecotReadsWhatIsWritten(t *testing.T) {
	doveconf, err := exec.LookPath("doveconf")
	if err != nil {
		t.Skip("doveconf is not installed")
	}
	root := seeds(t)
	for _, path := range mains(t, root) {
		t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) {
			out := t.TempDir()
			o := options(conf.V23)
			o.Out = out
			r, err := Convert(t.Context(), path, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Files {
				dest := filepath.Join(out, f.Name)
				if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dest, []byte(f.Text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			main := filepath.Join(out, filepath.Base(path))
			printed, stderr, ok := ask(t, doveconf, main)
			before, _, fine := "", "", r.From == conf.V24
			if r.From != conf.V24 {
				before, _, fine = ask(t, doveconf, path)
			}
			if !ok && !fine {
				t.Skip("doveconf refuses the input, too") // a plug-in that is not installed
			}
			if !ok {
				t.Fatalf("doveconf: %s\n%s", stderr, r.Files[0].Text)
			}
			if r.From == conf.V23 {
				if before != printed {
					t.Errorf("doveconf says\n%s\nand of the input\n%s", printed, before)
				}
			}
			if strings.Contains(stderr, "Obsolete setting") {
				t.Errorf("old names are left: %s", stderr)
			}
		})
	}
}

// ask gives what doveconf -n prints, without the header.
func ask(t *testing.T, doveconf, path string) (stdout, stderr string, ok bool) {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), doveconf, "-n", "-P", "-c", path)
	cmd.Stderr = &errs
	b, err := cmd.Output()
	var lines []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "")
	// Users of the configurations that do not exist here are no fault of the syntax.
	if err != nil && strings.Contains(errs.String(), "doesn't exist") {
		err = nil
	}
	return text, errs.String(), err == nil
}
