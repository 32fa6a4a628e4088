package convert

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	gosync "sync"
	"sync/atomic"
	"time"

	"dovetail/sync"
)

// Report says what became of the users of a site. Its JSON form is part of the command line's contract: fields are only ever
// added.
type Report struct {
	Verb    string        `json:"verb"`
	DryRun  bool          `json:"dry_run,omitempty"`
	Users   []*UserReport `json:"users"` // in the order of their names
	Totals  Totals        `json:"totals"`
	Started time.Time     `json:"started"`
	Seconds float64       `json:"seconds"`

	// Unfinished says why the run ended early and Next how to go on; both "" after a whole run.
	Unfinished string `json:"unfinished,omitempty"`
	Next       string `json:"next,omitempty"`

	mu gosync.Mutex
}

// UserReport is what became of one user.
type UserReport struct {
	User   string `json:"user"`
	Source string `json:"source"`
	Target string `json:"target"`

	// Error is why he was not moved, or not to the end; "" when he was.
	Error string `json:"error,omitempty"`

	Report   *sync.Report `json:"report,omitempty"`   // nil for who was not begun
	Verified *sync.Report `json:"verified,omitempty"` // of Options.Verify
	Seconds  float64      `json:"seconds"`
}

// Totals are numbers of users, and of messages of all of them.
type Totals struct {
	Users    int         `json:"users"`
	Done     int         `json:"done"`      // with nothing left over
	LeftOver int         `json:"left_over"` // moved, but something was lost, set aside or differs
	Failed   int         `json:"failed"`    // not moved, or not to the end
	Messages sync.Counts `json:"messages"`
	Verified sync.Counts `json:"verified"`
}

// Progress counts while a run goes on; another goroutine may read it at any time. The zero value is ready.
type Progress struct {
	Users, UsersTotal atomic.Int64
	Found             atomic.Int64 // messages of all users; it grows until the first is begun
	sync.Progress
}

// add is done with a user. done is told of one at a time.
func (r *Report) add(u *UserReport, done func(*UserReport)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Users = append(r.Users, u)
	r.Totals.Users++
	switch u.ExitCode() {
	case 0:
		r.Totals.Done++
	case 2:
		r.Totals.LeftOver++
	default:
		r.Totals.Failed++
	}
	if u.Report != nil {
		r.Totals.Messages.Add(u.Report.Totals)
	}
	if u.Verified != nil {
		r.Totals.Verified.Add(u.Verified.Totals)
	}
	done(u)
}

// finish closes the report.
func (r *Report) finish(err error) {
	slices.SortStableFunc(r.Users, func(a, b *UserReport) int { return cmp.Compare(a.User, b.User) })
	r.Seconds = time.Since(r.Started).Seconds()
	if err != nil {
		r.Unfinished, r.Next = err.Error(), "run the same again: it goes on where this run ended"
	}
}

// ExitCode is 0 when every user was moved whole and 2 when anything is left over. A run that also returned an error ends
// with 1, whatever this says.
func (r *Report) ExitCode() int {
	if r.Totals.LeftOver+r.Totals.Failed > 0 || r.Unfinished != "" {
		return 2
	}
	return 0
}

// ExitCode is 0 for a user who was moved whole, 2 if something of him is left over, and 1 if he was not moved.
func (u *UserReport) ExitCode() int {
	code := 0
	for _, r := range []*sync.Report{u.Report, u.Verified} {
		if r != nil {
			code = max(code, r.ExitCode())
		}
	}
	if u.Error != "" {
		code = 1
	}
	return code
}

// WriteText prints what became of a user: a line for each thing that was left over, and one in the end. Nothing is printed
// of who was up to date already.
func (u *UserReport) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, r := range []*sync.Report{u.Report, u.Verified} {
		if r == nil {
			continue
		}
		for line := range r.LeftOver {
			fmt.Fprintf(out, "%s: %s\n", u.User, line)
		}
		if t := r.Totals; r.Verb == "verify" || t.Appended+t.Flagged+t.Expunged+t.SetAside > 0 {
			fmt.Fprintf(out, "%s: %s\n", u.User, r.Summary())
		}
	}
	if u.Error != "" {
		fmt.Fprintf(out, "%s: failed: %s\n", u.User, u.Error)
	}
	return out.Flush()
}

// WriteText prints the totals.
func (r *Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	t := r.Totals
	users := "users"
	if t.Users == 1 {
		users = "user"
	}
	fmt.Fprintf(out, "%d %s: %d done, %d with something left over, %d failed, in %.1f s\n", t.Users, users, t.Done, t.LeftOver, t.Failed, r.Seconds)
	if m := t.Messages; r.Verb != "verify" {
		fmt.Fprintf(out, "%d messages: %d appended (%d bytes), %d with new flags, %d expunged, %d unchanged\n",
			m.Messages, m.Appended, m.Bytes, m.Flagged, m.Expunged, m.Unchanged)
	}
	if v := t.Verified; v.Messages > 0 {
		fmt.Fprintf(out, "verified %d messages, %d bytes: %d identical, %d equal but for line ends\n", v.Messages, v.Bytes, v.Identical, v.Equal-v.Identical)
	}
	if r.Unfinished != "" {
		fmt.Fprintf(out, "not finished: %s\n%s\n", r.Unfinished, r.Next)
	}
	return out.Flush()
}
