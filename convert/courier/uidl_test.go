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

// neverPOP3 is a user whose mail Courier numbered for IMAP only.
func neverPOP3() files {
	f := files{}
	f.box("", 500, 1, 3)
	return f
}

// uidls are those that Dovecot shows for a Maildir under this pop3_uidl_format.
func uidls(t *testing.T, root, format string) (all []string) {
	t.Helper()
	p := prefixed(t, root, "pop3_uidl_format = "+format).POP3()
	for _, m := range p.All() {
		all = append(all, m.UIDL)
	}
	p.Quit()
	return all
}

// arrive has messages come in Dovecot: by IMAP, and by a delivery that POP3 finds first.
func arrive(t *testing.T, root string) {
	t.Helper()
	s := prefixed(t, root).IMAP()
	for i := range 3 {
		s.Append("INBOX", "", "", fmt.Sprintf("Subject: new %d\r\n\r\nnew\r\n", i))
	}
	s.Close()
	files{"new/2000000000.M1P1.host": "Subject: delivered\n\ndelivered\n"}.plantAt(t, root)
}

// POP3 clients find every UIDL again that Dovecot showed them, also of mail that came in its time, and no message of
// Courier's time gets one that another had.
func TestUIDLsOfDovecotsTimeComeBack(t *testing.T) {
	for _, tc := range []struct {
		name, format string
		tree         files
		come         bool // new messages do
	}{
		{"R-309 beside a POP3 list of Courier's", DefaultUIDLFormat, courier5(), true},
		{"without one", DefaultUIDLFormat, neverPOP3(), true},
		{"without one and without new mail", DefaultUIDLFormat, neverPOP3(), false},
		{"in the form of old lists", "UID%u", neverPOP3(), true},
		{"as file names", "%f", neverPOP3(), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dovecot.Need(t)
			judge.Need(t)
			root := mailbox(t, tc.tree)
			convert(t, root, Options{Convert: true})
			if tc.come {
				arrive(t, root)
			}
			want := uidls(t, root, tc.format)
			if n := len(want); n != 3 && n != 7 {
				t.Fatalf("Dovecot shows %q", want)
			}
			o := Options{Convert: true, To: ToCourier, POP3UIDLFormat: tc.format}
			look := convert(t, root, Options{To: ToCourier, POP3UIDLFormat: tc.format})
			back := convert(t, root, o)
			if back.Outcome != Converted || back.ExitCode() != 0 || !slices.Equal(look.Steps, back.Steps) {
				t.Errorf("announced\n%sdone\n%s", text(look), text(back))
			}
			again(t, root, o)
			if got := judge.New(t, copyOf(t, root)).UIDLs(); !slices.Equal(got, want) {
				t.Errorf("Courier shows %q, Dovecot showed %q", got, want)
			}
			files{"new/2000000001.M1P1.host": "Subject: last\n\nlast\n"}.plantAt(t, root)
			j := judge.New(t, root)
			more := j.UIDLs()
			s := j.IMAP() // which numbers it, too
			s.Cmd("SELECT INBOX")
			s.Close()
			if len(more) != len(want)+1 || !slices.Equal(more[:len(want)], want) || slices.Contains(want, more[len(want)]) {
				t.Errorf("with one more Courier shows %q, before %q", more, want)
			}
			convert(t, root, Options{Convert: true})
			arrive(t, root)
			forth := uidls(t, root, DefaultUIDLFormat)
			if len(forth) < len(more) || !slices.Equal(forth[:len(more)], more) {
				t.Errorf("Dovecot shows %q, Courier showed %q", forth, more)
			}
			slices.Sort(forth)
			if len(slices.Compact(slices.Clone(forth))) != len(forth) {
				t.Errorf("two messages have one UIDL: %q", forth)
			}
		})
	}
}

// again makes sure that there is nothing left to do.
func again(t *testing.T, root string, o Options) {
	t.Helper()
	before := sums(t, root)
	if r := convert(t, root, o); r.Outcome != Already || r.ExitCode() != 0 {
		t.Errorf("once more:\n%s", text(r))
	}
	if diff := changes(before, sums(t, root)); len(diff) > 0 {
		t.Errorf("once more changed %q", diff)
	}
}

func TestAConversionThatWasNotUsedGoesBackWithoutAChange(t *testing.T) {
	half := neverPOP3()
	half["courierpop3dsizelist"] = "/3 9 1234567890\n" + base(1) + ":2,S 17 3:1234567890:0\n"
	many := neverPOP3()
	var names, places []string
	for i := range 40 {
		names, places = append(names, fmt.Sprintf("kw%d", i)), append(places, fmt.Sprint(i))
	}
	many["courierimapkeywords/:list"] = strings.Join(names, "\n") + "\n\n" + base(1) + ":" + strings.Join(places, " ") + "\n"
	for _, tc := range []struct {
		name string
		tree files
	}{
		{"no POP3 list", neverPOP3()},
		{"a POP3 list with some of the messages", half},
		{"keywords that need an index", many},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := mailbox(t, tc.tree)
			convert(t, root, Options{Convert: true})
			before := sums(t, root)
			back := convert(t, root, Options{Convert: true, To: ToCourier})
			for _, f := range back.Folders {
				if f.Outcome != Already {
					t.Errorf("%s is %s\n%s", f.Folder, f.Outcome, text(back))
				}
			}
			after := sums(t, root)
			for _, name := range []string{"courierimapuiddb", "courierpop3dsizelist", "courierimapkeywords/:list", "dovecot-uidlist"} {
				if before[name] != after[name] {
					t.Errorf("%s was changed", name)
				}
			}
			convert(t, root, Options{Convert: true})
			again(t, root, Options{Convert: true, To: ToCourier})
		})
	}
}

func TestUIDLsThatCourierCannotHoldAreCounted(t *testing.T) {
	dovecot.Need(t)
	root := mailbox(t, courier5())
	convert(t, root, Options{Convert: true})
	arrive(t, root)
	if got := uidls(t, root, "%08Xu%08Xv"); len(got) != 7 {
		t.Fatalf("Dovecot shows %q", got)
	}
	look := convert(t, root, Options{To: ToCourier, POP3UIDLFormat: "%08Xu%08Xv"})
	back := convert(t, root, Options{To: ToCourier, POP3UIDLFormat: "%08Xu%08Xv", Convert: true})
	if !reflect.DeepEqual(look.Losses, back.Losses) || len(back.Losses) != 1 || back.Losses[0].What != "POP3 UIDLs of 4 messages" || back.ExitCode() != 2 {
		t.Errorf("%s", text(back))
	}
	if list, err := os.ReadFile(filepath.Join(root, "courierpop3dsizelist")); err != nil || strings.Count(string(list), "\n") != 4 {
		t.Errorf("the list is %q, %v", list, err)
	}
}
