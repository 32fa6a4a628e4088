package courier

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	judge "dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/dovecot"
)

// courier5 is a user of Courier 5.
func courier5() files {
	f := files{}
	f.box("", 500, 1, 3)
	f["courierpop3dsizelist"] = fmt.Sprintf("/3 9 1234567890\n%s:2,S 17 3:1234567890:0\n%s:2,S 18 4:1234567890:0\n%s:2,S 19 8:1234567890:0\n", base(1), base(2), base(3))
	f["courierimapkeywords/:list"] = fmt.Sprintf("Work\n\n%s:0\n", base(1))
	f["courierimapsubscribed"] = "INBOX\nINBOX.R&D\nINBOX.Entwürfe\nINBOX.gone & ü\n#shared.x\n"
	f.box(".Entwürfe", 501, 4, 5)
	f.box(".Entwürfe.日本語", 502, 6, 6)
	f.box(".R&D", 503, 7, 7)
	f.box(".&AMQ-rger", 504, 8, 8)
	f.box(".e\u0301", 505, 9, 9)
	f.box(".R&-D", 506, 10, 10)
	return f
}

func TestAUserOfCourier5GoesToDovecotAndBack(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, courier5())
	original := judge.New(t, copyOf(t, root)).Seen()
	convert(t, root, Options{Convert: true})

	j := prefixed(t, root)
	s := j.IMAP()
	for name, box := range original.Boxes {
		if st := s.Status(name); uint64(st.UIDValidity) != box.UIDValidity || uint64(st.UIDNext) != box.UIDNext {
			t.Errorf("%s in Dovecot: %d %d, in Courier %d %d", name, st.UIDValidity, st.UIDNext, box.UIDValidity, box.UIDNext)
		}
	}
	subscribed := s.Lsub()
	slices.Sort(subscribed)
	if want := []string{"INBOX", "INBOX.Entwürfe", "INBOX.R&D", "INBOX.gone & ü"}; !slices.Equal(subscribed, want) {
		t.Errorf("subscribed in Dovecot: %q, want %q", subscribed, want)
	}
	// A life in Dovecot: a folder below one that was renamed, a message, a flag, a subscription.
	s.Cmd("CREATE " + dovecot.Quote("INBOX.R&D.neu ü"))
	s.Append("INBOX.R&D.neu ü", `\Seen`, "", "Subject: new\r\n\r\nnew\r\n")
	s.Append("INBOX", `\Flagged Urgent`, "", "Subject: more\r\n\r\nmore\r\n")
	s.Cmd("SUBSCRIBE " + dovecot.Quote("INBOX.R&D.neu ü"))
	s.Close()
	j.MustBeClean()

	back := convert(t, root, Options{Convert: true, To: ToCourier})
	t.Log(text(back))
	seen := judge.New(t, root).Seen()
	inbox := seen.Boxes["INBOX"]
	if n := len(inbox.Messages); n != 4 || !slices.Equal(inbox.Messages[3].Flags, []string{`\flagged`, "urgent"}) {
		t.Errorf("the inbox holds %v", inbox.Messages)
	}
	if fresh, ok := seen.Boxes["INBOX.R&D.neu ü"]; !ok || len(fresh.Messages) != 1 || fresh.Messages[0].UID != 1 {
		t.Errorf("the new folder is %v", fresh)
	}
	for name, box := range original.Boxes {
		got := seen.Boxes[name]
		got.Messages = got.Messages[:min(len(box.Messages), len(got.Messages))]
		if name == "INBOX" {
			got.UIDNext--
		}
		if !reflect.DeepEqual(got, box) {
			t.Errorf("%s came back as %v, was %v", name, got, box)
		}
	}
	if !reflect.DeepEqual(seen.Pop[:3], original.Pop) {
		t.Errorf("UIDLs came back as %v, were %v", seen.Pop, original.Pop)
	}
	lines, err := os.ReadFile(filepath.Join(root, "courierimapsubscribed"))
	if want := "INBOX\nINBOX.R&D\nINBOX.Entwürfe\nINBOX.gone & ü\nINBOX.R&D.neu ü\n#shared.x\n"; err != nil || string(lines) != want {
		t.Errorf("subscriptions came back as %q, %v, want %q", lines, err, want)
	}
	t.Run("R-376 and a second way back writes nothing", func(t *testing.T) {
		before := sums(t, root)
		if again := convert(t, root, Options{Convert: true, To: ToCourier}); again.Outcome != Already {
			t.Errorf("%s", text(again))
		}
		if diff := changes(before, sums(t, root)); len(diff) > 0 {
			t.Errorf("changed %q", diff)
		}
	})
}

// What a client renames between two runs takes its lists with it: they are known by what they say. New mail keeps the UIDL
// that Dovecot made of IMAP's numbers.
func TestFoldersRenamedByClientsAndNewMailGoBack(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, courier5())
	convert(t, root, Options{Convert: true})
	j := prefixed(t, root, "pop3_uidl_format = UID%u-%v")
	s := j.IMAP()
	want := s.Status("INBOX.R&D").UIDValidity
	s.Cmd("RENAME " + dovecot.Quote("INBOX.R&D") + " INBOX.Lab")
	s.Cmd("RENAME INBOX.Entw&APw-rfe INBOX.Drafts")
	s.Append("INBOX.Lab", "", "", "Subject: a\r\n\r\na\r\n")
	s.Append("INBOX", "", "", "Subject: b\r\n\r\nb\r\n")
	s.Select("INBOX")
	s.Close()
	p := j.POP3()
	uidls := p.Multi("UIDL")
	p.Quit()
	back := convert(t, root, Options{Convert: true, To: ToCourier})
	if back.Outcome != Converted {
		t.Errorf("%s", text(back))
	}
	c := judge.New(t, copyOf(t, root)).Seen()
	if box := c.Boxes["INBOX.Lab"]; box.UIDValidity != uint64(want) || len(box.Messages) != 2 {
		t.Errorf("the renamed folder is %v", box)
	}
	var shown []string
	for i, m := range c.Pop {
		shown = append(shown, fmt.Sprint(i+1, " ", m.UIDL))
	}
	if !slices.Equal(shown, uidls) {
		t.Errorf("Courier gives %q, Dovecot gave %q", shown, uidls)
	}
	if again := convert(t, root, Options{Convert: true, To: ToCourier}); again.Outcome != Already {
		t.Errorf("%s", text(again))
	}
}

// A user with nothing that tells Courier 5 from 4 is taken for one of 4 until there is.
func TestCourier5IsKnownByWhatComesLater(t *testing.T) {
	dovecot.Need(t)
	tree := files{}
	tree.box("", 500, 1, 3)
	root := mailbox(t, tree)
	if r := convert(t, root, Options{Convert: true}); r.Courier != 4 {
		t.Errorf("taken for Courier %d", r.Courier)
	}
	judge.New(t, root).UIDLs() // makes its list of version 3
	if r := convert(t, root, Options{Convert: true}); r.Courier != 5 {
		t.Errorf("still taken for Courier %d", r.Courier)
	}
	s := prefixed(t, root).IMAP()
	s.Cmd("CREATE " + dovecot.Quote("INBOX.Grün"))
	s.Close()
	convert(t, root, Options{Convert: true, To: ToCourier})
	if _, ok := judge.New(t, root).Seen().Boxes["INBOX.Grün"]; !ok {
		t.Error("Courier does not show the new folder by its name")
	}
}

func TestANameThatCourier5CannotListDoesNotEndItsSessions(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, courier5())
	convert(t, root, Options{Convert: true})
	s := prefixed(t, root).IMAP()
	s.Cmd("CREATE " + dovecot.Quote("INBOX.😀.ü"))
	s.Cmd("CREATE " + dovecot.Quote("INBOX.😀"))
	s.Append("INBOX.😀", `\Seen`, "", "Subject: a\r\n\r\na\r\n")
	want := s.Status("INBOX.😀").UIDValidity
	s.Close()
	back := convert(t, root, Options{Convert: true, To: ToCourier})
	if len(back.Losses) != 2 || back.Losses[0].What != "folder name" || back.ExitCode() != 2 {
		t.Errorf("%s", text(back))
	}
	c := judge.New(t, root).IMAP()
	if st := c.Status("INBOX.&2D3eAA-"); st.UIDValidity != want || st.Messages != 1 {
		t.Errorf("Courier shows %+v", st)
	}
	if n := len(c.List()); n < 9 {
		t.Errorf("Courier lists %d mailboxes", n)
	}
	c.Close()
	convert(t, root, Options{Convert: true})
	d := prefixed(t, root).IMAP()
	if st := d.Status("INBOX.😀"); st.UIDValidity != want {
		t.Errorf("Dovecot shows %+v again", st)
	}
}

func TestCourierFilesAreMadeWhereThereWereNone(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, files{"cur/": "", "new/": "", "tmp/": ""})
	s := prefixed(t, root).IMAP()
	s.Cmd("CREATE " + dovecot.Quote("INBOX.Grün & Gelb"))
	s.Append("INBOX", `\Seen Work`, "", "Subject: a\r\n\r\na\r\n")
	s.Append("INBOX.Grün & Gelb", "", "", "Subject: b\r\n\r\nb\r\n")
	s.Cmd("SUBSCRIBE " + dovecot.Quote("INBOX.Grün & Gelb"))
	want := map[string]uint64{"INBOX": uint64(s.Status("INBOX").UIDValidity), "INBOX.Grün & Gelb": uint64(s.Status("INBOX.Grün & Gelb").UIDValidity)}
	s.Close()
	r := convert(t, root, Options{Convert: true, To: ToCourier})
	t.Log(text(r))
	if r.Courier != 5 {
		t.Errorf("made for Courier %d", r.Courier)
	}
	seen := judge.New(t, root).Seen()
	for name, validity := range want {
		if box := seen.Boxes[name]; box.UIDValidity != validity || len(box.Messages) != 1 || box.Messages[0].UID != 1 {
			t.Errorf("%s is %v, want UIDVALIDITY %d", name, box, validity)
		}
	}
	if flags := seen.Boxes["INBOX"].Messages[0].Flags; !slices.Equal(flags, []string{`\seen`, "work"}) {
		t.Errorf("flags %q", flags)
	}
	if !slices.Equal(seen.Lsub, []string{"INBOX.Grün & Gelb"}) {
		t.Errorf("subscribed %q", seen.Lsub)
	}
}

func TestNothingToConvertIsSaidAndNothingIsTouched(t *testing.T) {
	empty := files{"cur/": "", "new/": "", "tmp/": ""}
	onlyCourier := courier5()
	onlyDovecot := files{"cur/": "", "new/": "", "tmp/": "", "dovecot-uidlist": "3 V5 N1 G00112233445566778899aabbccddeeff\n", ".Grün/cur/": ""}
	binc := files{"cur/": "", "new/": "", "tmp/": "", "bincimap-cache": "x", "bincimap-uidvalidity": "y"}
	for _, tc := range []struct {
		name string
		tree files
		to   Direction
		exit int
	}{
		{"an empty user", empty, ToDovecot, 0},
		{"an empty user, back", empty, ToCourier, 0},
		{"a tree that has never been Dovecot's", onlyCourier, ToCourier, 0},
		{"a tree that has never been Courier's", onlyDovecot, ToDovecot, 0},
		{"R-381 a tree of BincIMAP", binc, ToDovecot, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := mailbox(t, tc.tree)
			before := sums(t, root)
			r := convert(t, root, Options{Convert: true, To: tc.to})
			if r.Outcome != Nothing || r.ExitCode() != tc.exit {
				t.Errorf("exit code %d\n%s", r.ExitCode(), text(r))
			}
			if tc.exit == 2 && !strings.Contains(text(r), "BincIMAP") {
				t.Errorf("BincIMAP is not named:\n%s", text(r))
			}
			if diff := changes(before, sums(t, root)); len(diff) > 0 {
				t.Errorf("changed %q", diff)
			}
		})
	}
}

// Folders made under Dovecot whose names the two Couriers write differently are asked about, when nothing shows which it is.
func TestAGuessedVersionIsAskedAbout(t *testing.T) {
	dovecot.Need(t)
	tree := files{}
	tree.box("", 500, 1, 3)
	root := mailbox(t, tree)
	convert(t, root, Options{Convert: true})
	s := prefixed(t, root).IMAP()
	s.Cmd("CREATE " + dovecot.Quote("INBOX.Grün"))
	s.Close()
	for _, tc := range []struct {
		name    string
		version int
		exit    int
	}{
		{"without a word about the version", 0, 2},
		{"with the version", 5, 0},
	} {
		if r := convert(t, root, Options{To: ToCourier, Version: tc.version}); r.ExitCode() != tc.exit {
			t.Errorf("%s: exit code %d\n%s", tc.name, r.ExitCode(), text(r))
		}
	}
}
