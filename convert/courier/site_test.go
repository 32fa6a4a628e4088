package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"testing"
)

// manyUsers gives n users with a message each, and one without a Maildir in their middle.
func manyUsers(t *testing.T, n int) (users []Found) {
	root := tree(t)
	for i := range n {
		name := fmt.Sprintf("u%03d", i)
		users = append(users, Found{User{Name: name, Maildir: filepath.Join(root, name), NoLinks: true}, Mailbox})
		if i == n/2 {
			continue
		}
		for _, line := range []string{"%s*", "%s/cur/1000.a:2,S: text\n", "%s/courierimapuiddb: 1 142307211 48\n7 1000.a\n"} {
			if err := plant(root, fmt.Sprintf(line, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return users
}

func listed(users []Found) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func TestABadUserDoesNotStopASite(t *testing.T) {
	users := manyUsers(t, 40)
	users = append(users, Found{User{Name: "alias.example"}, Alias}, Found{User{Name: "gone@example.com"}, NoMail})
	var told []string
	o := Options{Convert: true, Jobs: 4, Each: func(u *UserReport) { told = append(told, u.User) }, Other: func(f Found) { told = append(told, f.Name) }}
	r, err := Site(t.Context(), listed(users), o)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, u := range users {
		want = append(want, u.Name)
	}
	if !slices.Equal(told, want) {
		t.Errorf("told of %q\nwant %q", told, want)
	}
	if r.Outcomes[Converted] != 39 || r.Outcomes[Skipped] != 1 || r.NUsers() != 40 || r.Mailboxes != 39 || r.Totals.Messages != 39 {
		t.Errorf("outcomes %v, %d mailboxes, totals %+v", r.Outcomes, r.Mailboxes, r.Totals)
	}
	if r.LeftOver != 2 || r.ExitCode() != 2 || r.Users != nil || len(r.Other) != 2 {
		t.Errorf("left over %d, exit code %d, %d users kept, %d others", r.LeftOver, r.ExitCode(), len(r.Users), len(r.Other))
	}
}

func TestTheReportOfAUserThatCouldNotBeOpened(t *testing.T) {
	users := manyUsers(t, 1)
	r, err := Site(t.Context(), listed(users), Options{})
	if err != nil || len(r.Users) != 1 {
		t.Fatalf("%d users, %v", len(r.Users), err)
	}
	if u := r.Users[0]; u.Outcome != Skipped || u.Reason == "" || !errors.Is(u.Err, fs.ErrNotExist) {
		t.Errorf("outcome %q, reason %q, error %v", u.Outcome, u.Reason, u.Err)
	}
}

func TestASiteEndsWhenTheContextIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := 0
	endless := func(yield func(Found, error) bool) {
		users := manyUsers(t, 1)
		users[0].Maildir = filepath.Dir(users[0].Maildir)
		for ; yield(users[0], nil); begun++ {
		}
	}
	r, err := Site(ctx, endless, Options{Jobs: 2, Each: func(*UserReport) { cancel() }})
	if !errors.Is(err, context.Canceled) || r.Unfinished == "" || r.ExitCode() == 0 {
		t.Errorf("error %v, unfinished %q", err, r.Unfinished)
	}
}

func TestASearchThatCannotGoOnEndsASite(t *testing.T) {
	bad := errors.New("the list of domains is gone")
	users := func(yield func(Found, error) bool) {
		for _, u := range manyUsers(t, 1) {
			if !yield(u, nil) {
				return
			}
		}
		yield(Found{}, bad)
	}
	r, err := Site(t.Context(), users, Options{})
	if err != bad || r.NUsers() != 1 {
		t.Errorf("error %v, %d users", err, r.NUsers())
	}
}
