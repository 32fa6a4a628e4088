package convert

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// vector is a configuration that a real doveconf was given.
type vector struct {
	Name  string            `json:"name"`
	Files map[string]string `json:"files"`
	RC    int               `json:"rc"`
}

func vectors(t testing.TB, name string) []vector {
	t.Helper()
	f, err := os.Open("../../../formats/conf/testdata/" + name + ".jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func (v vector) layOut(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range v.Files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@ROOT@", root)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// unequal are vectors of which something is known to differ after the way
// there and back although nothing is lost, with the reason.
var unequal = map[string]string{
	"list-bool-disable":      "2.3 takes no words away: the list names what is left",
	"old-imap_capability":    "+FOO is a word to 2.4, and an addition to 2.3",
	"old-mail_plugins":       "$mail_plugins is a word to 2.4, and a reference to 2.3",
	"old-service-replicator": "2.4 knows no service replicator; 2.3 has one, with the same value",
}

// Every configuration of the vectors that can be read is converted and back; a
// difference that no loss announces is an error.
func TestVectorsConvert(t *testing.T) {
	for name, why := range unequal {
		t.Logf("not compared: %s: %s", name, why)
	}
	for _, c := range []struct {
		file     string
		from, to conf.Dialect
	}{
		{"doveconf-2.3.19", conf.V23, conf.V24}, {"doveconf-2.3.19", conf.V23, conf.V23},
		{"doveconf-1.1rc8", conf.V1, conf.V23}, {"doveconf-1.1rc8", conf.V1, conf.V24}, {"doveconf-2.4.4", conf.V24, conf.V23},
	} {
		same, lossy, refused := 0, 0, 0
		for _, v := range vectors(t, c.file) {
			if _, ok := v.Files["d.conf"]; !ok || v.RC != 0 {
				continue
			}
			root := v.layOut(t)
			o := Options{To: c.to, Read: config.Options{Dialect: c.from, NoProtocols: true}}
			r, err := Convert(t.Context(), root+"/d.conf", o)
			switch {
			case errors.Is(err, ErrInput):
				refused++
			case err != nil:
				t.Errorf("%s to %s: %v", v.Name, c.to, err)
			case len(r.Losses) > 0 && readable(r):
				lossy++
			case len(r.Differences) > 0 && unequal[v.Name] == "":
				t.Errorf("%s to %s:\n%s\nfrom:\n%s\ninto:\n%s", v.Name, c.to, strings.Join(r.Differences, "\n"),
					strings.TrimSpace(v.Files["d.conf"]), r.Files[0].Text)
			default:
				same++
			}
		}
		t.Logf("%s to %s: %d mean the same, %d with losses that are listed, %d cannot be read", c.file, c.to, same, lossy, refused)
	}
}

// readable tells whether what was written could be read.
func readable(r *Result) bool {
	return !strings.Contains(strings.Join(r.Differences, "\n"), "cannot be")
}
