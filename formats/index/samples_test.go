package index

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/disk"
	"dovetail/formats/formatstest/samples"
	"dovetail/formats/index/cache"
	"dovetail/formats/index/translog"
)

// indexLogs finds the logs below a folder, of mailboxes, maps and mailbox lists.
func indexLogs(t *testing.T, root string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".index.log") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Whatever real Dovecot wrote is sound to us, can be printed, and its snapshot written by us is the same to a reader.
func TestSamplesAreSound(t *testing.T) {
	for _, name := range samples.Names(t) {
		if !strings.HasPrefix(name, "sdbox-") && !strings.HasPrefix(name, "mdbox-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			root, _ := samples.Load(t, name)
			logs := indexLogs(t, root)
			if len(logs) == 0 {
				t.Error("no index found")
			}
			for _, path := range logs {
				soundIndex(t, strings.TrimSuffix(path, ".log"))
			}
		})
	}
}

func soundIndex(t *testing.T, path string) {
	t.Helper()
	d, err := (&disk.FS{ReadOnly: true}).OpenRoot(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	prefix := filepath.Base(path)
	if problems, err := Check(d, prefix); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	s, err := Read(d, prefix)
	if err != nil {
		t.Fatal(err)
	}
	again := reread(t, s)
	again.modseq = s.modseq // a snapshot has the counter only with the extension modseq; the log has it always
	if !slices.Equal(known(again), known(s)) {
		t.Errorf("%s: written and read again %q, want %q", path, known(again), known(s))
	}
	for suffix, dump := range map[string]func(*bytes.Buffer, *bytes.Reader) error{
		"":       func(w *bytes.Buffer, r *bytes.Reader) error { return Dump(w, r, r.Size()) },
		".log":   func(w *bytes.Buffer, r *bytes.Reader) error { return translog.Dump(w, r, r.Size()) },
		".cache": func(w *bytes.Buffer, r *bytes.Reader) error { return cache.Dump(w, r, r.Size()) },
	} {
		b, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := dump(&out, bytes.NewReader(b)); err != nil || out.Len() == 0 {
			t.Errorf("dump of %s: %v\n%s", path+suffix, err, out.String())
		}
	}
}
