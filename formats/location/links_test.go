package location

import (
	"os"
	"path/filepath"
	"testing"
)

// A process that may open everything follows the links of root, and those of a user to what is his.
func TestLinksOfUsersLeadNowhereElse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can plant links of others")
	}
	const ann, bob = 20001, 20002
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own := func(name string, uid int) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(to, name string, uid int) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
		return path
	}
	annHome, bobHome := own("ann", ann), own("bob", bob)
	annMail, bobMail := own("ann/mail", ann), own("bob/mail", bob)
	link(dir, "root", 0)
	link("loop", "loop", 0)
	for _, tc := range []struct{ name, path, want string }{
		{"no link", annMail, annMail},
		{"nothing there yet", annHome + "/new/mail", annHome + "/new/mail"},
		{"a link of root's", dir + "/root/ann/mail", annMail},
		{"her own link to her own mail", link(annMail, "ann/elsewhere", ann), annMail},
		{"her own link, relative", link("mail", "ann/relative", ann), annMail},
		{"her link to another one's mail", link(bobMail, "ann/theft", ann), ""},
		{"her link to a parent of it", link(bobHome, "ann/theft2", ann) + "/mail", ""},
		{"her link to a file of the system", link("/etc/passwd", "ann/passwd", ann), ""},
		{"her link to nothing", link(bobHome+"/none", "ann/nothing", ann), ""},
		{"another one's link to her mail", link(annMail, "bob/gift", bob), annMail},
		{"a link to itself", dir + "/loop", ""},
		{"above the root", "/../.." + annMail, annMail},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Linkless(tc.path, ann)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%s: %q, %v; want %q", tc.path, got, err, tc.want)
			}
		})
	}
}
