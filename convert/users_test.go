package convert_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dovetail/convert"
)

// all lists users as "name source target", and errors as "name! text".
func all(users convert.Users) (list []string) {
	for u, err := range users {
		if his, ok := errors.AsType[*convert.UserError](err); ok {
			list = append(list, his.Name+"! "+his.Err.Error())
			continue
		}
		if err != nil {
			return append(list, "! "+err.Error())
		}
		list = append(list, u.Name+" "+u.Source.String()+" "+u.Target.String())
	}
	return list
}

func TestAListOfUsers(t *testing.T) {
	template := convert.Template{Source: "maildir:/old/%d/%n", Target: "sdbox:/new/%u"}
	for _, c := range []struct {
		name, list string
		want       []string // an error ends in "…"
	}{
		{"names alone", "ann@x\nbob@y\n", []string{"ann@x maildir:/old/x/ann sdbox:/new/ann@x", "bob@y maildir:/old/y/bob sdbox:/new/bob@y"}},
		{"places of one's own", "ann@x\tmbox:/m/%n\tmaildir:/n/%n\n", []string{"ann@x mbox:/m/ann maildir:/n/ann"}},
		{"one of them", "ann@x\t\tmaildir:/n/%n\n", []string{"ann@x maildir:/old/x/ann maildir:/n/ann"}},
		{"remarks, empty lines, CRLF and no end of line", "# all of them\r\n\r\nann@x\r\nbob@y", []string{"ann@x maildir:/old/x/ann sdbox:/new/ann@x", "bob@y maildir:/old/y/bob sdbox:/new/bob@y"}},
		{"one of them twice", "ann@x\nbob@y\nann@x\n", []string{"ann@x maildir:/old/x/ann sdbox:/new/ann@x", "bob@y maildir:/old/y/bob sdbox:/new/bob@y", "ann@x! list line 3: line 1 has him, too"}},
		{"a name that leads elsewhere", "../../etc\nann@x\n", []string{`../../etc! list line 1: "../../etc" is no name of a user…`, "ann@x maildir:/old/x/ann sdbox:/new/ann@x"}},
		{"a name of dots", "..@x\n", []string{`..@x! list line 1: "..@x" is no name of a user`}},
		{"too much", "a@x\tb\tc\td\te\n", []string{"a@x! list line 1: 5 columns…"}},
		{"ids that are none", "a@x\t\t\troot\n", []string{`a@x! list line 1: "root" is not of the form uid:gid…`}},
		{"no such format", "a@x\tnosuch:/x\n", []string{`a@x! list line 1: location "nosuch:/x" at byte 0: unknown driver…`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := all(convert.List(strings.NewReader(c.list), "list", template))
			if !slices.EqualFunc(got, c.want, like) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
	if got := all(convert.List(strings.NewReader("ann\n"), "list", convert.Template{Target: "sdbox:/n"})); !like(got[0], "ann! list line 1: no source for…") {
		t.Errorf("without a source: %q", got)
	}
	if got := all(convert.List(strings.NewReader("a\n"+strings.Repeat("x", 1<<20)), "list", template)); len(got) != 2 || !like(got[1], "! list: …") {
		t.Errorf("a line without end: %.200q", got)
	}
}

// like compares a line; the wanted one may be only its beginning.
func like(got, want string) bool {
	if begin, ok := strings.CutSuffix(want, "…"); ok {
		return strings.HasPrefix(got, begin)
	}
	return got == want
}

func TestUsersAreFoundByTheirFolders(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"home/ann/Maildir", "home/bob/Maildir", "home/cyd", "home/.hidden/Maildir", "d/x.org/ann/mail", "d/x.org/bob/mail",
		"d/y.org/ann/mail", "flat/ann@x.org", "flat/bob@x.org", "twice/ann/ann", "twice/bob/ann", "pre/u-ann.box"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		source string
		want   []string
	}{
		{"maildir:DIR/home/%n/Maildir", []string{"ann", "bob"}},
		{"maildir:DIR/home/%{user}/Maildir", []string{"ann", "bob"}},
		{"maildir:DIR/d/%d/%n/mail", []string{"ann@x.org", "ann@y.org", "bob@x.org"}},
		{"maildir:DIR/flat/%u", []string{"ann@x.org", "bob@x.org"}},
		{"maildir:DIR/twice/%n/%n", []string{"ann"}},
		{"maildir:DIR/pre/u-%n.box", []string{"ann"}},
		{"maildir:DIR/nowhere/%n", nil},
	} {
		users, err := convert.Folders(convert.Template{Source: strings.ReplaceAll(c.source, "DIR", dir), Target: "sdbox:/new/%u"})
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		var got []string
		for u, err := range users {
			if err != nil {
				t.Errorf("%s: %v", c.source, err)
			}
			got = append(got, u.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.source, got, c.want)
		}
	}
	for _, source := range []string{"maildir:~/Maildir", "maildir:/home/%d/Maildir", "maildir:/home/%n-%d/x", "maildir:/home/ann"} {
		if _, err := convert.Folders(convert.Template{Source: source, Target: "sdbox:/n"}); err == nil {
			t.Errorf("%s: users were found", source)
		}
	}
}

func TestUsersOfAListOfAccounts(t *testing.T) {
	list := filepath.Join(t.TempDir(), "users")
	text := "ann:{PLAIN}x:1001:1001::/home/ann::\nbob@x.org:{PLAIN}x:::::\n../x:{PLAIN}x:1:1::/home/x::\n"
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := convert.Accounts(t.Context(), "passwd-file:"+list, "", convert.Template{Source: "maildir:~/Maildir", Target: "sdbox:/new/%u"})
	if err != nil {
		t.Fatal(err)
	}
	got := all(users)
	want := []string{"ann maildir:/home/ann/Maildir sdbox:/new/ann", "bob@x.org! …", "../x! …"}
	if !slices.EqualFunc(got, want, like) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := convert.Accounts(t.Context(), "passwd-file:"+list+".none", "", convert.Template{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a list that does not exist: %v", err)
	}
	system, err := convert.Accounts(t.Context(), "passwd:", "", convert.Template{Source: "maildir:~/Maildir", Target: "sdbox:/new/%u"})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all(system) {
		if strings.HasPrefix(line, "root ") || strings.HasPrefix(line, "daemon ") || strings.HasPrefix(line, "nobody ") {
			t.Errorf("nobody reads mail as %s", line)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add("ann\nbob\tmaildir:/a\tsdbox:/b\t1:1\n#\n")
	f.Add("..\n/\n\x00\n@\n%\tmbox:%n\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		for u, err := range convert.List(strings.NewReader(text), "list", convert.Template{Source: "maildir:/old/%u", Target: "sdbox:/new/%n/%d"}) {
			if err == nil && (strings.Contains(u.Source.Root+"/", "/../") || fmt.Sprint(u.Target) == "") {
				if !strings.Contains(text, "\t") { // else the list itself says so
					t.Errorf("%q leads to %s", u.Name, u.Source.Root)
				}
			}
		}
	})
}
