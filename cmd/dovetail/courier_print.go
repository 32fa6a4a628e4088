package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"dovetail/convert/courier"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (c *courierRun) printBeginning(out *lines) {
	if c.quiet || c.asJSON || c.options.Convert {
		return
	}
	fmt.Fprintln(out, "looking only, nothing is written; with --convert this would be done:")
}

func (c *courierRun) printUser(out *lines, u *courier.UserReport) {
	switch {
	case c.asJSON:
		out.object(struct {
			Kind string `json:"kind"`
			*courier.UserReport
		}{"user", u})
	case !c.quiet:
		u.WriteText(out) // an error shows at the end
	}
}

func (c *courierRun) printFound(out *lines, found courier.Found) {
	switch {
	case c.asJSON:
		out.object(struct {
			Kind string `json:"kind"`
			courier.Found
		}{"found", found})
	case !c.quiet:
		fmt.Fprintln(out, found)
	}
}

func (c *courierRun) printTotals(out *lines, r *courier.Report) {
	switch {
	case c.asJSON:
		totals := *r
		totals.Other = nil // printed already
		out.object(struct {
			Kind string `json:"kind"`
			Verb string `json:"verb"`
			*courier.Report
		}{"totals", "courier", &totals})
	case !c.quiet:
		c.printSummary(out, r)
	}
}

// printSummary says in words what a run came to, what was left over, and what to do next.
func (c *courierRun) printSummary(out *lines, r *courier.Report) {
	if len(c.leftOver) > 0 {
		fmt.Fprintf(out, "\nleft over, lost or damaged, for %d of them:\n", r.LeftOver)
		for _, line := range c.leftOver {
			fmt.Fprintln(out, " ", line)
		}
		if more := r.LeftOver - len(c.leftOver); more > 0 {
			fmt.Fprintf(out, "  and %d more\n", more)
		}
	}
	fmt.Fprintf(out, "\nTotal: %d mailboxes / %d users, %d messages, %d POP3 UIDLs\n", r.Mailboxes, r.NUsers(), r.Totals.Messages, r.Totals.UIDLs)
	var users, others []string
	for _, outcome := range courier.Outcomes {
		if n := r.Outcomes[outcome]; n > 0 {
			users = append(users, fmt.Sprintf("%d %s", n, c.tense(outcome)))
		}
	}
	for _, kind := range kindsOf(r.Other) {
		others = append(others, fmt.Sprintf("%s: %d", kind, count(r.Other, kind)))
	}
	fmt.Fprintf(out, "  users      %s\n", orNone(users))
	fmt.Fprintf(out, "  mailboxes  %d %s, %d already converted, %d skipped\n", r.Totals.Converted, c.tense(courier.Converted), r.Totals.Already, r.Totals.Skipped)
	fmt.Fprintf(out, "  lost       %d, damaged or repaired %d\n", r.Losses, r.Problems)
	fmt.Fprintf(out, "  also found %s\n", orNone(others))
	if r.Unfinished != "" {
		fmt.Fprintf(out, "\nunfinished: %s\n", r.Unfinished)
	}
	if n := r.NUsers(); n > 0 && r.Outcomes[courier.Nothing] == n {
		fmt.Fprintf(out, "\nThere is nothing of %s here: is this the right place, and the right direction?\n", c.source())
	}
	if !c.options.Convert && r.Outcomes[courier.Converted]+r.Outcomes[courier.Partly] > 0 {
		fmt.Fprint(out, "\nNothing was converted: this was only a look. Stop Courier and run it again with --convert.\n")
	}
}

// source is the server whose files are read.
func (c *courierRun) source() string {
	if c.options.To == courier.ToCourier {
		return "Dovecot's"
	}
	return "Courier's"
}

// tense makes an outcome what it is in a run that only looks.
func (c *courierRun) tense(outcome courier.Outcome) string {
	if !c.options.Convert && (outcome == courier.Converted || outcome == courier.Partly) {
		return "would be " + string(outcome)
	}
	return string(outcome)
}

func orNone(words []string) string { return cmp.Or(strings.Join(words, ", "), "none") }

func kindsOf(found []courier.Found) (kinds []courier.Kind) {
	for _, f := range found {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.SortFunc(kinds, func(a, b courier.Kind) int { return cmp.Compare(a, b) })
	return kinds
}

func count(found []courier.Found, kind courier.Kind) (n int) {
	for _, f := range found {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

// courierReport is the file of --report: one object, written as the users are done, since there may be a million of them.
// The nil one is none.
type courierReport struct {
	f     *reportFile
	done  bool
	out   *lines
	users int
}

// createCourierReport begins a file that finish puts in place.
func createCourierReport(path string) (*courierReport, error) {
	if path == "" {
		return nil, nil
	}
	f, err := createReport(path)
	if err != nil {
		return nil, err
	}
	r := &courierReport{f: f, out: newLines(f)}
	fmt.Fprint(r.out, "{\"verb\":\"courier\",\"users\":[\n")
	return r, nil
}

func (r *courierReport) user(u *courier.UserReport) {
	if r == nil {
		return
	}
	if r.users++; r.users > 1 {
		fmt.Fprint(r.out, ",")
	}
	r.out.object(u)
}

// finish writes the rest.
func (r *courierReport) finish(report *courier.Report) error {
	if r == nil {
		return nil
	}
	rest, err := json.Marshal(report)
	if err == nil {
		fmt.Fprint(r.out, "],\n")
		r.out.Write(rest[1:]) // the members of the object that is open
		fmt.Fprintln(r.out)
		err = r.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", r.f.path, err)
	}
	if err := r.f.finish(); err != nil {
		return err
	}
	r.done = true
	return nil
}

// discard removes a file that was not finished.
func (r *courierReport) discard() {
	if r != nil && !r.done {
		r.f.discard()
	}
}
