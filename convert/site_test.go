package convert_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dovetail/convert"
	"dovetail/formats/location"
)

// fill makes a Maildir with messages. Where root does it, it belongs to a user.
func fill(t *testing.T, path string, uid, messages int) {
	t.Helper()
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(path, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range messages {
		text := fmt.Sprintf("Subject: %d of %s\n\nHello.\n", i, filepath.Base(filepath.Dir(path)))
		name := fmt.Sprintf("%s/cur/%d.M%dP1.host,S=%d:2,S", path, 1600000000+i, i, len(text))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		give(t, path, uid)
	}
}

func give(t *testing.T, path string, uid int) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(p, uid, uid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// count gives the messages of the inbox of a store.
func count(t *testing.T, spec string) int {
	t.Helper()
	l, err := location.Parse(spec, location.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := location.Open(t.Context(), l, location.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := s.Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	status, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int(status.Messages)
}

// site makes users with so many messages each, and gives the folder and the template.
func site(t *testing.T, users ...int) (dir string, template convert.Template) {
	t.Helper()
	dir = t.TempDir()
	for i, n := range users {
		fill(t, fmt.Sprintf("%s/old/user%02d/Maildir", dir, i), 20001+i, n)
		if os.Geteuid() == 0 {
			give(t, fmt.Sprintf("%s/old/user%02d", dir, i), 20001+i)
		}
	}
	return dir, convert.Template{Source: "maildir:" + dir + "/old/%n/Maildir", Target: "sdbox:" + dir + "/new/%n"}
}

func run(t *testing.T, template convert.Template, o convert.Options) *convert.Report {
	t.Helper()
	users, err := convert.Folders(template)
	if err != nil {
		t.Fatal(err)
	}
	r, err := convert.Run(t.Context(), users, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// errorsOf gives what is wrong with whom.
func errorsOf(r *convert.Report) map[string]string {
	wrong := map[string]string{}
	for _, u := range r.Users {
		if u.Error != "" {
			wrong[u.User] = u.Error
		}
	}
	return wrong
}

func TestASiteIsMovedAndProven(t *testing.T) {
	dir, template := site(t, 3, 50, 1, 0, 20)
	var order []string
	r := run(t, template, convert.Options{Jobs: 1, Verify: true, Done: func(u *convert.UserReport) { order = append(order, u.User) }})
	if r.ExitCode() != 0 || r.Totals.Users != 5 || r.Totals.Done != 5 || r.Totals.Messages.Appended != 74 || r.Totals.Verified.Identical != 74 {
		t.Errorf("%+v %v", r.Totals, errorsOf(r))
	}
	if want := []string{"user01", "user04", "user00", "user02", "user03"}; !slices.Equal(order, want) {
		t.Errorf("the order was %q; the largest come first: %q", order, want)
	}
	if n := count(t, "sdbox:"+dir+"/new/user01"); n != 50 {
		t.Errorf("%d messages in the target", n)
	}
	again := run(t, template, convert.Options{})
	if again.Totals.Messages.Appended != 0 || again.Totals.Messages.Unchanged != 74 || again.ExitCode() != 0 {
		t.Errorf("the second run: %+v", again.Totals)
	}
	users, err := convert.Folders(template)
	if err != nil {
		t.Fatal(err)
	}
	if proof, err := convert.Verify(t.Context(), users, convert.Options{}); err != nil || proof.Totals.Verified.Identical != 74 || proof.ExitCode() != 0 {
		t.Errorf("the proof: %+v, %v", proof.Totals, err)
	}
}

func TestADryRunOfASiteWritesNothing(t *testing.T) {
	dir, template := site(t, 3, 5)
	r := run(t, template, convert.Options{DryRun: true, Verify: true})
	if r.Totals.Messages.Appended != 8 || r.ExitCode() != 0 || !r.DryRun {
		t.Errorf("%+v %v", r.Totals, errorsOf(r))
	}
	if _, err := os.Stat(dir + "/new"); !os.IsNotExist(err) {
		t.Errorf("the target: %v", err)
	}
}

// Whoever cannot be moved is listed with the reason, and all others are moved.
func TestTroubleOfOneUserIsHisOwn(t *testing.T) {
	dir, template := site(t, 3, 3)
	list := strings.Join([]string{
		"user00",
		"user01",
		"nobody-has-me",
		"same\tmaildir:" + dir + "/old/user01/Maildir\tsdbox:" + dir + "/new/user00",
		"itself\tmaildir:" + dir + "/old/user01/Maildir\tmaildir:" + dir + "/old/user01/Maildir",
		"within\tmaildir:" + dir + "/old/user01/Maildir\tmaildir:" + dir + "/old/user01/Maildir/.Archive",
		"loop\tmaildir:" + dir + "/loop\tsdbox:" + dir + "/new/loop",
		"user00",
		"../user01",
		"homeless\tmaildir:~/Maildir\tsdbox:" + dir + "/new/homeless",
	}, "\n")
	if err := os.Symlink("loop", dir+"/loop"); err != nil {
		t.Fatal(err)
	}
	r, err := convert.Run(t.Context(), convert.List(strings.NewReader(list), "list", template), convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode() != 2 || r.Totals.Done != 2 || r.Totals.Failed != 8 || r.Totals.Messages.Appended != 6 {
		t.Errorf("exit code %d: %+v", r.ExitCode(), r.Totals)
	}
	wrong := errorsOf(r)
	for user, want := range map[string]string{
		"nobody-has-me": "no mail", "same": "is the target of user00, too", "itself": "the same store", "within": "lies within the source",
		"loop": "too many levels", "user00": "line 1 has him, too", "../user01": "no name of a user", "homeless": "needs a home directory",
	} {
		if !strings.Contains(wrong[user], want) {
			t.Errorf("%s: %q, want %q", user, wrong[user], want)
		}
	}
	if n := count(t, "sdbox:"+dir+"/new/user00"); n != 3 {
		t.Errorf("%d messages, the mail of another among them", n)
	}
}

func TestRootFollowsNoLinkOfAUsersToOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make links of others")
	}
	dir, template := site(t, 3, 3)
	if err := os.MkdirAll(dir+"/old/thief", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../user00/Maildir", dir+"/old/thief/Maildir"); err != nil {
		t.Fatal(err)
	}
	give(t, dir+"/old/thief", 30001)
	r := run(t, template, convert.Options{})
	if wrong := errorsOf(r); len(wrong) != 1 || !strings.Contains(wrong["thief"], "not the user's") {
		t.Errorf("%q", wrong)
	}
	if _, err := os.Stat(dir + "/new/thief"); !os.IsNotExist(err) {
		t.Errorf("the thief has a store: %v", err)
	}
}

func TestWhatIsMadeBelongsToTheUserAndIsReachedByAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	dir, template := site(t, 1, 1)
	template.Target = "mdbox:" + dir + "/new/deep/%n"
	if r := run(t, template, convert.Options{}); r.ExitCode() != 0 {
		t.Fatal(errorsOf(r))
	}
	for path, want := range map[string]struct{ uid, mode uint32 }{
		"new": {0, 0o755}, "new/deep": {0, 0o755}, "new/deep/user00": {20001, 0o700}, "new/deep/user01": {20002, 0o700}, "new/deep/user01/storage": {20002, 0o700},
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != want.uid || st.Mode&0o777 != want.mode {
			t.Errorf("%s belongs to %d, mode %o; want %d, %o", path, st.Uid, st.Mode&0o777, want.uid, want.mode)
		}
	}
}

func TestARunThatIsStoppedGoesOn(t *testing.T) {
	_, template := site(t, 30, 30, 30, 30)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	users, err := convert.Folders(template)
	if err != nil {
		t.Fatal(err)
	}
	r, err := convert.Run(ctx, users, convert.Options{Jobs: 1, Done: func(*convert.UserReport) { stop() }})
	if !errors.Is(err, context.Canceled) || r.Unfinished == "" || r.Next == "" || r.Totals.Messages.Appended == 120 {
		t.Errorf("%v, %+v", err, r)
	}
	again := run(t, template, convert.Options{Verify: true})
	if again.Totals.Done != 4 || again.Totals.Messages.Appended+r.Totals.Messages.Appended != 120 || again.Totals.Verified.Identical != 120 {
		t.Errorf("%+v after %+v", again.Totals, r.Totals)
	}
}

func TestUsersThatCannotBeListedEndTheRun(t *testing.T) {
	broken := errors.New("the database is away")
	users := func(yield func(convert.User, error) bool) { yield(convert.User{}, broken) }
	if r, err := convert.Run(t.Context(), users, convert.Options{}); !errors.Is(err, broken) || r.Unfinished == "" {
		t.Errorf("%v, %+v", err, r)
	}
}
