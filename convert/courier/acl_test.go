package courier

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/maildir"
)

const pair = "owner aceilrstwx\nadministrators aceilrstwx\n"

// aclTree is a tree in which folders inherit.
func aclTree() files {
	f := files{}
	for i, path := range []string{"", ".Plain", ".Open", ".Open.Below", ".Gone.Child", ".Limited"} {
		f.box(path, 500+i, i+1, i+1)
	}
	f["courierimapacl"] = pair
	f[".Plain/courierimapacl"] = pair
	f[".Open/courierimapacl"] = "owner aceilrstwx\nanyone lr\nuser=bob@example.com lrsc\ngroup=team lri\n-user=mallory@example.com r\nauthuser l\n"
	f["courierimaphieracl/Gone"] = pair + "user=heir lr\n"
	f[".Limited/courierimapacl"] = "owner alrs\nnobody@else lr\nuser=two words lr\n"
	return f
}

func TestACLsMeanTheSameToDovecot(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, aclTree())
	r := convert(t, root, Options{Convert: true})
	j := prefixed(t, root, "mail_plugins = acl", "plugin {\n  acl = vfile\n}")
	for _, tc := range []struct {
		name string
		want []string
	}{
		{"INBOX", nil},
		{"INBOX.Plain", nil},
		{"INBOX.Open", []string{
			"anyone lookup read",
			"authenticated lookup",
			"group=team insert lookup post read",
			"owner admin create delete expunge insert lookup post read write write-deleted write-seen",
			"user=bob@example.com create lookup read write-seen",
			"user=mallory@example.com -read",
		}},
		{"INBOX.Open.Below", []string{
			"anyone lookup read",
			"authenticated lookup",
			"group=team insert lookup post read",
			"owner admin create delete expunge insert lookup post read write write-deleted write-seen",
			"user=bob@example.com create lookup read write-seen",
			"user=mallory@example.com -read",
		}},
		{"INBOX.Gone.Child", []string{
			"group=administrators admin create delete expunge insert lookup post read write write-deleted write-seen",
			"owner admin create delete expunge insert lookup post read write write-deleted write-seen",
			"user=heir lookup read",
		}},
		{"INBOX.Limited", []string{"owner admin lookup read write-seen", "user=two words lookup read"}},
	} {
		if got := aclOf(j, tc.name); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
	j.MustBeClean()
	if len(r.Losses) != 1 || r.Losses[0].Detail != `"nobody@else lr"` {
		t.Errorf("losses: %v", r.Losses)
	}
}

// aclOf asks for what is set for a mailbox; negative rights have a "-".
func aclOf(j *dovecot.Judge, name string) []string {
	var out []string
	for line := range strings.Lines(j.Doveadm("-f", "flow", "acl", "get", name)) {
		id, rights, _ := strings.Cut(strings.TrimSpace(line), " Global= Rights=")
		out = append(out, strings.TrimPrefix(id, "ID=")+" "+rights)
	}
	slices.Sort(out)
	return out
}

func TestACLsComeBackFromDovecot(t *testing.T) {
	root := mailbox(t, aclTree())
	convert(t, root, Options{Convert: true})
	// Dovecot's users gave and took rights.
	for path, text := range map[string]string{
		".Open/dovecot-acl":  "owner lrwstipekxa\nuser=carol lrwp\n-anyone l\ngroup-override=x lr\n",
		".Plain/dovecot-acl": "user=dan lrk :admin\n",
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dovecot.Own(t, root)
	before := sums(t, root)
	r := convert(t, root, Options{Convert: true, To: ToCourier})
	for path, want := range map[string]string{
		".Open/courierimapacl":  "administrators aceilrstwx\nowner aceilrstwx\nuser=carol lrw\n-anyone l\n",
		".Plain/courierimapacl": "owner aceilrstwx\nadministrators aceilrstwx\nuser=dan clr\n",
	} {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	var lost []string
	for _, l := range r.Losses {
		lost = append(lost, l.Folder+" "+l.Detail)
	}
	slices.Sort(lost)
	if want := []string{`Open "group-override=x lr"`, `Open "p" of "user=carol lrwp"`, `Plain "admin" of "user=dan lrk"`}; !slices.Equal(lost, want) {
		t.Errorf("lost %q, want %q", lost, want)
	}
	for _, path := range changes(before, sums(t, root)) {
		if strings.Contains(path, "acl") && !strings.HasPrefix(path, ".Open") && !strings.HasPrefix(path, ".Plain") {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestRightsOfBothServers(t *testing.T) {
	courier := []maildir.ACLEntry{{Identifier: "owner", Rights: allRights}, {Identifier: "administrators", Rights: allRights},
		{Identifier: "user=x", Rights: "ilr"}, {Negative: true, Identifier: "anyone", Rights: "cx"}, {Identifier: "authuser", Rights: ""}}
	there, lost := dovecotACL(courier)
	back, lostAgain := courierACL(there)
	if !reflect.DeepEqual(back, courier) || len(lost)+len(lostAgain) > 0 {
		t.Errorf("%v became %v and came back as %v; lost %q %q", courier, there, back, lost, lostAgain)
	}
}
