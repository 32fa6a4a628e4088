package courier

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files and folders: "a/b/" a folder, "a/b/Maildir*" a Maildir, "a -> b" a link, "a: text" a file.
func tree(t *testing.T, lines ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if err := plant(root, line); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func plant(root, line string) error {
	if name, to, ok := strings.Cut(line, " -> "); ok {
		return os.Symlink(strings.ReplaceAll(to, "ROOT", root), filepath.Join(root, name))
	}
	if name, text, ok := strings.Cut(line, ": "); ok {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.ReplaceAll(text, "ROOT", root)), 0o644)
	}
	if name, ok := strings.CutSuffix(line, "*"); ok {
		for _, part := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(root, name, part), 0o700); err != nil {
				return err
			}
		}
		return nil
	}
	return os.MkdirAll(filepath.Join(root, line), 0o755)
}

// search gives what Find found, one line each, with ROOT in place of root.
func search(t *testing.T, root string, paths []string, o FindOptions) []string {
	t.Helper()
	var lines []string
	for i := range paths {
		paths[i] = filepath.Join(root, paths[i])
	}
	for found, err := range Find(t.Context(), paths, o) {
		line := fmt.Sprintf("%s: %s", found.Kind, found.Name)
		if err != nil {
			line = "error: " + err.Error()
		}
		if found.Kind.IsUser() && found.Name != found.Maildir {
			line += " at " + found.Maildir
		}
		lines = append(lines, strings.ReplaceAll(strings.ReplaceAll(line, root+"/", ""), root, "ROOT"))
	}
	return lines
}

func TestFindWithoutAccounts(t *testing.T) {
	for _, tc := range []struct {
		name string
		tree []string
		path string
		want []string
	}{
		{"homes", []string{"ann/Maildir*", "bob/Maildir*", "carl/"}, "", []string{"user: ann/Maildir", "user: bob/Maildir"}},
		{"folders of a Maildir are no users", []string{"ann/Maildir*", "ann/Maildir/.Sent*", "ann/Maildir/.Sent/.odd*"}, "",
			[]string{"user: ann/Maildir"}},
		{"a Maildir whose name begins with a dot", []string{"ann/.maildir*", "ann/.maildir/.Sent*"}, "", []string{"user: ann/.maildir"}},
		{"three levels of hashing", []string{"example.com/0/a/Z/bob/Maildir*"}, "", []string{"user: example.com/0/a/Z/bob/Maildir"}},
		{"hashed domains", []string{"domains/0/a/example.com/bob/Maildir*"}, "domains", []string{"user: domains/0/a/example.com/bob/Maildir"}},
		{"users named cur, new, tmp and Maildir", []string{"d/cur/Maildir*", "d/new/Maildir*", "d/tmp/Maildir*", "d/Maildir/Maildir*", "d/zoe/Maildir*"}, "d",
			[]string{"user: d/cur/Maildir", "user: d/new/Maildir", "user: d/tmp/Maildir", "user: d/Maildir/Maildir", "user: d/zoe/Maildir"}},
		{"the same, whose homes are their Maildirs", []string{"d/cur*", "d/new*", "d/tmp*", "d/zoe*"}, "d",
			[]string{"user: d/cur", "user: d/new", "user: d/tmp", "user: d/zoe"}},
		{"the same, in the home of one", []string{"d/cur/cur/Maildir*", "d/cur/new/Maildir*"}, "d",
			[]string{"user: d/cur/cur/Maildir", "user: d/cur/new/Maildir"}},
		{"a Maildir with mail and another in its cur", []string{"m*", "m/cur/1234.a: x", "m/cur/sub*"}, "m", []string{"user: m/cur/sub", "user: m"}},
		{"a home that is a Maildir and holds another", []string{"ann*", "ann/Maildir*"}, "", []string{"user: ann", "user: ann/Maildir"}},
		{"the path is a Maildir", []string{"ann/Maildir*", "ann/Maildir/.A*"}, "ann/Maildir", []string{"user: ann/Maildir"}},
		{"a backup left empty folders out", []string{"ann/Maildir/cur/", "ann/Maildir/new/", "bob/Maildir/cur/", "bob/Maildir/courierimapuiddb: 1 2 3\n"}, "",
			[]string{"user: ann/Maildir", "user: bob/Maildir"}},
		{"no folder of vpopmail's or ezmlm's is a user", []string{"d/.dir-control: 0\n", "d/list/archive/0/", "d/list/subscribers/A: x"}, "",
			[]string{"no Maildir: ROOT"}},
		{"a file named as a Maildir", []string{"ann/Maildir: x"}, "", []string{"no Maildir: ROOT"}},
		{"links in a circle", []string{"a/b/Maildir*", "a/b/up -> ../..", "a/b/Maildir/.A -> ..", "a/b/top -> ROOT", "a/link -> b"}, "a",
			[]string{"user: a/b/Maildir"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := tree(t, tc.tree...)
			got := search(t, root, []string{tc.path}, FindOptions{Recursive: true})
			slices.Sort(got)
			slices.Sort(tc.want)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// plantedBy makes a link that belongs to a mail user.
func plantedBy(t *testing.T, uid int, root string, links ...string) {
	t.Helper()
	for _, line := range links {
		if err := plant(root, line); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(line, " -> ")
		if err := os.Lchown(filepath.Join(root, name), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
}

func TestR375LinksOfMailUsersAreListedAndNotFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make links of another user")
	}
	root := tree(t, "domains/a.example/ann/Maildir*", "domains/a.example/bob/", "domains/a.example/carl/Maildir/", "outside/b.example/dan/Maildir*", "outside/cur/",
		"outside/c.example/eve/Maildir*", "outside/file: x", "domains/b.example -> ../outside/b.example")
	plantedBy(t, 1234, root,
		"domains/a.example/bob/Maildir -> ../ann/Maildir", // another user's mail
		"domains/a.example/carl/Maildir/cur -> ROOT/outside/cur",
		"domains/c.example -> ROOT/outside/c.example", // a domain that root did not link
		"domains/a.example/bob/file -> ROOT/outside/file",
		"domains/a.example/bob/nothing -> ROOT/nothing",
		"domains/a.example/bob/inside -> ..",
	)
	if err := plant(root, "domains/a.example/carl/Maildir/new/"); err != nil {
		t.Fatal(err)
	}
	got := search(t, root, []string{"domains"}, FindOptions{Recursive: true})
	want := []string{
		"user: domains/a.example/ann/Maildir",
		"link that is not followed: domains/a.example/bob/Maildir",
		"link that is not followed: domains/a.example/carl/Maildir/cur",
		"user: domains/b.example/dan/Maildir at outside/b.example/dan/Maildir", // root's link
		"link that is not followed: domains/c.example",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestAHomeWhoseMaildirIsALink(t *testing.T) {
	root := tree(t, "ann/", "disk2/ann*", "ann/Maildir -> ../disk2/ann")
	if got, want := search(t, root, []string{"ann"}, FindOptions{}), "user: ann/Maildir at disk2/ann"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Lchown(root+"/ann/Maildir", 1234, 1234); err != nil {
		t.Fatal(err)
	}
	if got, want := search(t, root, []string{"ann"}, FindOptions{}), "link that is not followed: ann/Maildir"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinksOfRootThatLeadNowhereAreListed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("links of others may lead nowhere: browsers and editors make such")
	}
	root := tree(t, "b/Maildir*", "self -> self", "one -> two", "two -> one", "disk -> /not/mounted", "file: x", "tofile -> file")
	got := search(t, root, []string{""}, FindOptions{Recursive: true})
	want := []string{
		"user: b/Maildir", "folder that cannot be read: disk", "folder that cannot be read: one",
		"folder that cannot be read: self", "folder that cannot be read: two",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// vpasswd is the text of accounts: each is "name=directory".
func vpasswd(accounts ...string) string {
	var b strings.Builder
	for _, a := range accounts {
		name, dir, _ := strings.Cut(a, "=")
		fmt.Fprintf(&b, "%s:$1$ab$x:1:0:%s:%s:NOQUOTA\n", name, name, dir)
	}
	return b.String()
}

const domainsDir = "home/vpopmail/domains/"

// site is a vpopmail site with what such sites have: a hashed domain, one elsewhere, an alias, users of all kinds.
func site(t *testing.T) string {
	t.Helper()
	a, b := "/"+domainsDir+"a.example", "/"+domainsDir+"0/b.example"
	root := tree(t,
		"var/qmail/users/assign: +a.example-:a.example:89:89:"+a+":-::\n+b.example-:b.example:89:89:"+b+":-::\n"+
			"+alias.example-:a.example:89:89:"+a+":-::\n+far.example-:far.example:90:90:/srv/far.example:-::\n"+
			"+gone.example-:gone.example:89:89:/srv/gone.example:-::\n=root:root:0:0:/root:::\n.\n",
		domainsDir+"a.example/vpasswd: "+vpasswd("ann="+a+"/ann", "cur="+a+"/0/1/2/x", "fay=", "gus="+a+"/gus", "hal="+a+"/hal", "twin="+a+"/ann",
			"moved=/srv/moved", "o'neil+x="+a+"/cur")+"broken line\n",
		domainsDir+"a.example/ann/Maildir*", domainsDir+"a.example/0/1/2/x/Maildir*", domainsDir+"a.example/hal/", domainsDir+"a.example/cur/Maildir*",
		domainsDir+"a.example/old/Maildir*", "srv/moved/Maildir*",
		domainsDir+"0/b.example/vpasswd: "+vpasswd("bea="+b+"/bea"), domainsDir+"0/b.example/bea/Maildir*",
		"srv/far.example/vpasswd: "+vpasswd("zoe=/srv/far.example/zoe"), "srv/far.example/zoe/Maildir*", "srv/far.example/left/Maildir*",
		"home/ann/Maildir*", "srv/stray/Maildir*",
	)
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(root, "srv/moved/Maildir"), 89, 89); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFindWithAccounts(t *testing.T) {
	accounts := []string{
		"alias: alias.example",
		"user: ann@a.example at " + domainsDir + "a.example/ann/Maildir",
		"user: cur@a.example at " + domainsDir + "a.example/0/1/2/x/Maildir",
		"user who never logged in: fay@a.example",
		"user without mail directory: gus@a.example",
		"user without mail directory: hal@a.example",
		"alias: twin@a.example",
		"user: moved@a.example at srv/moved/Maildir",
		"user: o'neil+x@a.example at " + domainsDir + "a.example/cur/Maildir",
		"damaged entry of an account database: a.example",
	}
	b := "user: bea@b.example at " + domainsDir + "0/b.example/bea/Maildir"
	elsewhere := []string{"user: zoe@far.example at srv/far.example/zoe/Maildir", "user without mail directory: gone.example"}
	left := "mail directory without user: srv/far.example/left/Maildir"
	old := "mail directory without user: " + domainsDir + "a.example/old/Maildir"
	for _, tc := range []struct {
		name  string
		paths []string
		o     FindOptions
		want  [][]string
	}{
		{"the folder of all domains", []string{domainsDir}, FindOptions{Recursive: true}, [][]string{accounts, {b}, elsewhere, {old, left}}},
		{"twice the same", []string{domainsDir, domainsDir + "a.example"}, FindOptions{Recursive: true}, [][]string{accounts, {b}, elsewhere, {old, left}}},
		{"a folder above", []string{"home"}, FindOptions{Recursive: true}, [][]string{accounts, {b}, elsewhere, {"user: home/ann/Maildir", old, left}}},
		{"no path, all domains", nil, FindOptions{Recursive: true}, [][]string{accounts, {b}, elsewhere, {old, left}}},
		{"one domain", []string{domainsDir + "a.example"}, FindOptions{Recursive: true}, [][]string{accounts, {old}}},
		{"a hash folder", []string{domainsDir + "0"}, FindOptions{Recursive: true}, [][]string{{b}}},
		{"a folder in a domain", []string{domainsDir + "a.example/0"}, FindOptions{Recursive: true}, [][]string{accounts[2:3]}},
		{"one user", []string{domainsDir + "a.example/0/1/2/x"}, FindOptions{}, [][]string{accounts[2:3]}},
		{"one Maildir", []string{domainsDir + "a.example/0/1/2/x/Maildir"}, FindOptions{}, [][]string{accounts[2:3]}},
		{"one without account", []string{domainsDir + "a.example/old"}, FindOptions{}, [][]string{{"user: " + domainsDir + "a.example/old/Maildir"}}},
		{"a domain is no user", []string{domainsDir + "a.example"}, FindOptions{}, [][]string{{"no Maildir: " + domainsDir + "a.example"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := site(t)
			tc.o.Root = root
			got := search(t, root, slices.Clone(tc.paths), tc.o)
			want := slices.Concat(tc.want...)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestAVpasswdDoesNotPointToTheMailOfOthers(t *testing.T) {
	listed := site(t)
	unlisted := tree(t, "home/mallory/vpasswd: "+vpasswd("a=ROOT/home/ann", "b=ROOT/srv/bob", "c=ROOT/home/mallory/c"), "home/ann/Maildir*", "srv/bob/Maildir*",
		"home/mallory/c/Maildir*", "home/mallory/c/vpasswd: "+vpasswd("d=ROOT/home/ann"))
	want := []string{"user: home/ann/Maildir", "damaged entry of an account database: b@mallory", "user: c@mallory at home/mallory/c/Maildir"}
	if got := search(t, unlisted, []string{"home"}, FindOptions{Recursive: true}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if os.Geteuid() != 0 {
		t.Skip("of who the mail belongs to only root takes notice")
	}
	if err := plant(listed, domainsDir+"0/b.example/vpasswd: "+vpasswd("bea=/srv/stray")); err != nil {
		t.Fatal(err)
	}
	want = []string{"damaged entry of an account database: bea@b.example", "mail directory without user: " + domainsDir + "0/b.example/bea/Maildir"}
	if got := search(t, listed, []string{domainsDir + "0/b.example"}, FindOptions{Recursive: true, Root: listed}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFindNamesUsersByAVpasswdAlone(t *testing.T) {
	// The site is unpacked elsewhere: its account databases name paths that are not there.
	root := tree(t, "mnt/"+domainsDir+"a.example/vpasswd: "+vpasswd("ann=/"+domainsDir+"a.example/0/ann", "bob=/"+domainsDir+"a.example/bob"),
		"mnt/"+domainsDir+"a.example/0/ann/Maildir*")
	for _, path := range []string{"mnt/home", "mnt/" + domainsDir + "a.example", "mnt/" + domainsDir + "a.example/0"} {
		got := search(t, root, []string{path}, FindOptions{Recursive: true})
		want := []string{"user: ann@a.example at mnt/" + domainsDir + "a.example/0/ann/Maildir", "user without mail directory: bob@a.example"}
		if strings.HasSuffix(path, "0") {
			want = want[:1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestWhereTheRootOfAnAccountDatabaseIs(t *testing.T) {
	for _, tc := range []struct{ folder, dir, want string }{
		{"/home/v/domains/a.b", "/home/v/domains/a.b/ann", "/"},
		{"/mnt/home/v/domains/a.b", "/home/v/domains/a.b/0/ann", "/mnt"},
		{"/home/v/domains/a.b", "/home2/ann", "/"},
		{"/mnt/a.b", "/home/v/domains/a.b/ann", "/"},
		{"/mnt/a.b", "/", "/"},
	} {
		if got := rootOf(tc.folder, tc.dir); got != tc.want {
			t.Errorf("rootOf(%q, %q) = %q, want %q", tc.folder, tc.dir, got, tc.want)
		}
	}
}

func TestFindEndsWithAPathThatIsNotThere(t *testing.T) {
	root := tree(t, "ann/Maildir*")
	got := search(t, root, []string{"ann", "bob"}, FindOptions{Recursive: true})
	if len(got) != 1 || !strings.HasPrefix(got[0], "error: ") {
		t.Errorf("got %q", got)
	}
}

func TestFindEndsWhenNobodyWantsMore(t *testing.T) {
	root := site(t)
	for range Find(t.Context(), []string{root}, FindOptions{Recursive: true, Root: root}) {
		break
	}
}

func TestFoldersThatCannotBeReadAreListed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	root := tree(t, "ann/Maildir*", "bob/Maildir*")
	if err := os.Chmod(filepath.Join(root, "bob"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, "bob"), 0o755)
	got := search(t, root, []string{""}, FindOptions{Recursive: true})
	if want := []string{"user: ann/Maildir", "folder that cannot be read: bob"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFoldersWithoutEndAreListed(t *testing.T) {
	deep := strings.Repeat("d/", maxDepth+5)
	root := tree(t, "ann/Maildir*", deep)
	got := search(t, root, []string{""}, FindOptions{Recursive: true})
	if len(got) != 2 || !strings.HasPrefix(got[1], "folder that cannot be read: d/d/d") {
		t.Errorf("got %q", got)
	}
}
