package accounts

import (
	"os"
	"path/filepath"
	"testing"
)

// unpacked is a copy of the account files of the sample site.
func unpacked(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "site")
	if err := os.CopyFS(root, os.DirFS("../../auth/vpopmail/testdata/site")); err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// siteFiles are the lists of the site that vpopmail owns.
var siteFiles = []string{
	"home/vpopmail/domains/example.com/vpasswd", "home/vpopmail/domains/example.com/vpasswd.cdb",
	"home/vpopmail/domains/example.net/vpasswd", "home/vpopmail/domains/example.net/vpasswd.cdb",
}

func TestTheWayBackGivesVpopmailsOwnFiles(t *testing.T) {
	site := unpacked(t)
	want := map[string]string{}
	for _, name := range siteFiles {
		want[name] = read(t, filepath.Join(site, name))
	}
	users := filepath.Join(t.TempDir(), "users")
	vpopmail, list := place(t, "vpopmail:/home/vpopmail", site), place(t, "passwd-file:"+users, "")
	carry(t, vpopmail, list, Options{})

	if report := carry(t, list, vpopmail, Options{}); report.LeftOver() || report.Totals.Carried != 17 {
		t.Errorf("report %+v", report)
	}
	for _, name := range siteFiles {
		os.Remove(filepath.Join(site, name))
	}
	// Without any list there a domain is known from users/assign alone.
	report := carry(t, list, vpopmail, Options{})
	for _, f := range report.Files {
		if f.State != stateNew {
			t.Errorf("%+v", f)
		}
	}
	for _, name := range siteFiles {
		if got := read(t, filepath.Join(site, name)); got != want[name] {
			t.Errorf("%s differs:\n%q\nwant\n%q", name, got, want[name])
		}
	}
}
