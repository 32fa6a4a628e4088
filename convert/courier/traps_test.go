package courier

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// outcomes gives each folder's by its path as found.
func outcomes(r *UserReport) map[string]Outcome {
	all := map[string]Outcome{}
	for _, f := range r.Folders {
		path := f.Path
		if f.Was != "" {
			path = f.Was
		}
		all[path] = f.Outcome
	}
	return all
}

func TestFoldersInTheWayOfEachOther(t *testing.T) {
	f := files{}.box("", 1, 1, 1).box(".Q&A", 2, 2, 2).box(".Q&-A", 3, 3, 3).box(".Q&A.child", 4, 4, 4).box(".A", 5, 5, 5).box(".&AEE-", 6, 6, 6).
		box(".Gr\xfcn", 7, 7, 7).box("."+strings.Repeat("ü", 100), 8, 8, 8).box(".a..b", 9, 9, 9).box(".end.", 10, 10, 10)
	f[".file"] = "no folder"
	root := mailbox(t, f)
	before := sums(t, root)
	r := convert(t, root, Options{Convert: true, Version: 4})
	got := outcomes(r)
	for path, want := range map[string]Outcome{
		"": Converted, ".Q&-A": Converted, ".A": Converted, ".Q&A": Skipped, ".&AEE-": Skipped, ".Q&A.child": Converted, ".Gr\xfcn": Converted,
		"." + strings.Repeat("ü", 100): Skipped,
	} {
		if got[path] != want {
			t.Errorf("%q: %q, want %q", path, got[path], want)
		}
	}
	if r.Outcome != Partly || r.ExitCode() != 2 {
		t.Errorf("%s", r.Line())
	}
	for _, name := range []string{".file is a file", ".a..b has an empty part", ".end. has an empty part"} {
		if !strings.Contains(text(r), name) {
			t.Errorf("%q is not said:\n%s", name, text(r))
		}
	}
	for _, path := range changes(before, sums(t, root)) {
		if strings.HasPrefix(path, ".Q&A/") || strings.HasPrefix(path, ".&AEE-") || strings.HasPrefix(path, ".a..b") || strings.HasPrefix(path, ".end.") {
			t.Errorf("%s of a folder that is left alone was changed", path)
		}
	}
	again := convert(t, root, Options{Convert: true})
	if again.Outcome != Partly || len(again.Steps) > 0 || again.ExitCode() != 2 {
		t.Errorf("the second run: %s", text(again))
	}
}

func TestR375NoLinkOfAUserIsFollowed(t *testing.T) {
	victim := mailbox(t, files{"precious": "1 2 3\n"}.box("", 77, 1, 1))
	precious, nothing := filepath.Join(victim, "precious"), filepath.Join(victim, "nothing")
	for _, tc := range []struct {
		link, to string
		exit     int // 2: something could not be read because of it
	}{
		{".Linked", victim, 2},
		{"courierimapsubscribed", precious, 2},
		{"courierimapuiddb", precious, 2},
		{"courierpop3dsizelist", precious, 2},
		{"courierimapkeywords", victim, 2},
		{"courierimapkeywords/:list", precious, 2},
		{"courierimapacl", precious, 2},
		{"courierimaphieracl", victim, 0},
		{"maildirsize", precious, 2},
		{"subscriptions", precious, 2},
		{"subscriptions.lock", nothing, 2},
		{"subscriptions.new.lock", precious, 0},
		{"dovecot-keywords", precious, 2},
		{".A/dovecot-uidlist", precious, 2},
		{".A/dovecot-uidlist.tmp", precious, 0},
		{".A/dovetail-taken", precious, 2},
		{".A/dovetail-taken.tmp", nothing, 0},
		{".A/courierimapacl", precious, 2},
		{".A/dovecot-acl", precious, 2},
		{".A/dovecot-acl.tmp", nothing, 0},
		{".A/maildirfolder", nothing, 0},
		{".A/new", victim + "/new", 2},
		{".A/cur/2.M1P1.host,S=1:2,S", precious, 2},
		{"dovetail-courier.tmp", precious, 0},
		{"dovetail-old-subscriptions", precious, 0},
		{"shared-maildirs", precious, 0},
		{"maildirfilter", precious, 0},
		{"../.mailfilter", precious, 0},
		{".dovecot.sieve", precious, 0},
	} {
		t.Run(tc.link, func(t *testing.T) {
			f := files{}.box("", 1, 1, 1).box(".A", 2, 2, 2).box(".B", 3, 3, 3)
			f["courierimapkeywords/"] = ""
			f["courierimapsubscribed"] = "INBOX\n"
			f["maildirsize"] = "1000S\n1 1\n"
			f[".A/courierimapacl"] = "owner lra\n"
			root := mailbox(t, f)
			link := filepath.Join(root, tc.link)
			if err := os.RemoveAll(link); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(tc.to, link); err != nil {
				t.Fatal(err)
			}
			before := sums(t, victim)
			ctx := t.Context()
			if strings.HasSuffix(tc.link, ".lock") { // which is never given back
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
				defer cancel()
			}
			r, err := Run(ctx, User{Name: "tester", Maildir: root}, Options{Convert: true})
			if diff := changes(before, sums(t, victim)); len(diff) > 0 {
				t.Errorf("another user's files were changed: %q", diff)
			}
			if r.ExitCode() != tc.exit {
				t.Errorf("exit code %d, want %d\n%v\n%s", r.ExitCode(), tc.exit, err, text(r))
			}
			if strings.HasSuffix(tc.link, ".lock") {
				return
			}
			if got := outcomes(r); err != nil || got[".B"] != Converted {
				t.Errorf("the rest did not go on: %v\n%s", err, text(r))
			}
		})
	}
}

func TestAFolderThatCannotBeReadIsSkipped(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	root := mailbox(t, files{}.box("", 1, 1, 1).box(".A", 2, 2, 2).box(".B", 3, 3, 3))
	if err := os.Chmod(filepath.Join(root, ".A"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, ".A"), 0o700)
	r := convert(t, root, Options{Convert: true})
	if got := outcomes(r); got[".A"] != Skipped || got[".B"] != Converted || r.ExitCode() != 2 {
		t.Errorf("%s", text(r))
	}
}

func TestListsOfATrialAreNotReplacedUnasked(t *testing.T) {
	const theirs = "3 V999 N50 G00112233445566778899aabbccddeeff\n7 :1600000001.M1P1.host,S=14\n"
	for _, tc := range []struct {
		name    string
		newer   bool
		options Options
		want    Outcome
	}{
		{"an older list", false, Options{}, Skipped},
		{"an older list, with --overwrite", false, Options{Overwrite: true}, Converted},
		{"a newer list", true, Options{}, Skipped},
		{"R-376 a newer list, with --overwrite", true, Options{Overwrite: true}, Skipped},
		{"a newer list, with --overwrite-newer", true, Options{OverwriteNewer: true}, Converted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := mailbox(t, files{"dovecot-uidlist": theirs, "dovecot.index.log": "x"}.box("", 500, 1, 2).box(".A", 2, 3, 3))
			list := filepath.Join(root, "dovecot-uidlist")
			when := time.Now().Add(-2 * time.Hour)
			if tc.newer {
				when = time.Now().Add(-time.Minute)
			}
			if err := os.Chtimes(list, when, when); err != nil {
				t.Fatal(err)
			}
			tc.options.Convert = true
			r := convert(t, root, tc.options)
			if got := outcomes(r); got[""] != tc.want || got[".A"] != Converted {
				t.Errorf("%s", text(r))
			}
			now, err := os.ReadFile(list)
			if err != nil || (string(now) == theirs) != (tc.want == Skipped) {
				t.Errorf("the list is %q, %v", now, err)
			}
			if (r.ExitCode() == 2) != (tc.want == Skipped) {
				t.Errorf("exit code %d", r.ExitCode())
			}
			if tc.want == Skipped {
				return
			}
			if old, err := os.ReadFile(filepath.Join(root, "dovetail-old-dovecot-uidlist")); err != nil || string(old) != theirs {
				t.Errorf("the old list is %q, %v", old, err)
			}
			if _, err := os.Stat(filepath.Join(root, "dovecot.index.log")); err == nil {
				t.Error("the index of the trial is still there")
			}
		})
	}
}

func TestADeltaPassAsksNobody(t *testing.T) {
	root := mailbox(t, files{}.box("", 500, 1, 2).box(".A", 2, 3, 3))
	convert(t, root, Options{Convert: true})
	// Courier goes on: a message more, another subscription.
	later := files{}.box("", 500, 1, 3)
	later["courierimapsubscribed"] = "INBOX\nINBOX.A\n"
	later.plantAt(t, root)
	r := convert(t, root, Options{Convert: true})
	if got := outcomes(r); got[""] != Converted || got[".A"] != Already || r.ExitCode() != 0 {
		t.Errorf("%s", text(r))
	}
	// Dovecot goes on, Courier does not: nothing to do.
	list := filepath.Join(root, "dovecot-uidlist")
	text1, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte(strings.Replace(string(text1), " N130 ", " N140 ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := convert(t, root, Options{Convert: true}); r.Outcome != Already || r.ExitCode() != 0 {
		t.Errorf("after Dovecot's work: %s", text(r))
	}
	// Both go on: that is for a person to decide.
	files{}.box("", 500, 1, 4).plantAt(t, root)
	if r := convert(t, root, Options{Convert: true}); outcomes(r)[""] != Skipped || !strings.Contains(text(r), reasonBoth) {
		t.Errorf("after both worked: %s", text(r))
	}
}

func TestMaildirsizeIsKeptOrMadeAnew(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"right sums", "1000S,100C\n 14 1\n 31 2\n", "1000S,100C\n 14 1\n 31 2\n"},
		{"wrong sums", "1000S\n 14 1\n", "1000S\n          45            3\n"},
		{"a line that is not understood", "100C\n45 3\nx\n", "100C\n          45            3\n"},
		{"no limits that are understood", "what\n45 3\n", "what\n45 3\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := files{}.box("", 1, 1, 3).box(".Trash", 2, 4, 5)
			name, _ := message(9, "ST") // marked as deleted: not counted
			f[name] = body(9)
			f["maildirsize"] = tc.file
			root := mailbox(t, f)
			r := convert(t, root, Options{Convert: true})
			if got, err := os.ReadFile(filepath.Join(root, "maildirsize")); err != nil || string(got) != tc.want {
				t.Errorf("got %q, %v, want %q\n%s", got, err, tc.want, text(r))
			}
		})
	}
}

func TestWhatIsNotConvertedIsSaid(t *testing.T) {
	f := files{"shared-maildirs": "pub /srv/pub\n", "maildirfilter": "x $HOME/Maildir/.Q&A/\n"}.box("", 1, 1, 1).box(".Trash", 2, 2, 2).box(".Q&A", 3, 3, 3)
	f["bincimap-cache"] = "x"
	f["courierimapsubscribed"] = "INBOX.Trash\r\n#shared.bob.x\nshared.pub.y\nINBOX.Trash\n"
	root := mailbox(t, f)
	if err := os.WriteFile(filepath.Join(filepath.Dir(root), ".mailfilter"), []byte("to \"$HOME/Maildir/.Q&A/\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := convert(t, root, Options{})
	for _, want := range []string{"IMAP_EMPTYTRASH", "shared-maildirs", "maildirfilter", ".mailfilter: it delivers to .Q&A", "BincIMAP", `"#shared.bob.x"`, `"shared.pub.y"`, "carriage return"} {
		if !strings.Contains(text(r), want) {
			t.Errorf("%s is not said:\n%s", want, text(r))
		}
	}
	dovecot.Own(t, root)
	convert(t, root, Options{Convert: true})
	got, err := os.ReadFile(filepath.Join(root, "subscriptions"))
	if want := "V\t2\n\nTrash\n"; err != nil || string(got) != want {
		t.Errorf("subscriptions %q, %v, want %q", got, err, want)
	}
}

func TestR379FilesBelongToTheOwnerOfTheMaildir(t *testing.T) {
	f := courier4()
	delete(f, ".Q&A/maildirfolder")
	root := mailbox(t, f)
	convert(t, root, Options{Convert: true})
	want := owners(t, root)
	if want = slices.Compact(want); len(want) != 1 {
		t.Errorf("owners and groups: %v", want)
	}
}
