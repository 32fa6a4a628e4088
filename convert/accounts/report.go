package accounts

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"dovetail/auth/scheme"
)

// Kind is how grave a remark is.
type Kind string

// The kinds. All but Note make the run one that left something over.
const (
	Damage   Kind = "damage"    // the source's list is not as it should be
	SetAside Kind = "set aside" // an account that does not go over
	Loss     Kind = "loss"      // an account goes over and something of it does not
	Note     Kind = "note"      // worth knowing, nothing is lost
)

// Remark is one thing to know about one account, or about the whole list when User is "".
type Remark struct {
	Kind Kind   `json:"kind"`
	User string `json:"user,omitempty"`
	What string `json:"what"`
}

func (r Remark) String() string {
	if r.User == "" {
		return fmt.Sprintf("%s: %s", r.Kind, visible(r.What))
	}
	return fmt.Sprintf("%s: %s: %s", r.Kind, visible(r.User), visible(r.What))
}

// visible keeps what a damaged or hostile list holds from acting on a terminal.
func visible(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

// SchemeCount says how many accounts hold passwords of one scheme.
type SchemeCount struct {
	Scheme   string `json:"scheme"` // "none" for accounts without a password
	Accounts int    `json:"accounts"`
	Weak     bool   `json:"weak,omitempty"`
}

// FileReport is one file or table of the target.
type FileReport struct {
	Path  string `json:"path"`
	State string `json:"state"` // new, changed, same
	Kept  string `json:"kept,omitempty"`
}

// Totals are numbers of accounts, but for Aliases, which are domains.
type Totals struct {
	Accounts int `json:"accounts"`
	Carried  int `json:"carried"`
	SetAside int `json:"set_aside"`
	Losses   int `json:"losses"`
	Damages  int `json:"damages"`
	Aliases  int `json:"alias_domains"`
	NoIMAP   int `json:"no_imap"`
	NoPOP3   int `json:"no_pop3"`
	NoSMTP   int `json:"no_smtp"`
	NoMail   int `json:"no_mail"`
}

// Report is what a run did, or would do.
type Report struct {
	Verb    string        `json:"verb"`
	DryRun  bool          `json:"dry_run,omitempty"`
	Source  string        `json:"source"`
	Target  string        `json:"target,omitempty"`
	Remarks []Remark      `json:"remarks,omitempty"`
	Stored  []SchemeCount `json:"schemes"`           // of the source: its hash, else its clear text
	Written []SchemeCount `json:"written,omitempty"` // in the target
	Clear   int           `json:"clear_text"`        // accounts whose password the source also holds in clear text
	Files   []FileReport  `json:"files,omitempty"`
	Totals  Totals        `json:"totals"`
}

// LeftOver tells whether anything was damaged, set aside or lost.
func (r *Report) LeftOver() bool {
	return slices.ContainsFunc(r.Remarks, func(m Remark) bool { return m.Kind != Note })
}

func (r *Report) add(k Kind, user, format string, args ...any) {
	r.Remarks = append(r.Remarks, Remark{k, user, fmt.Sprintf(format, args...)})
}

// NewReport counts what is in a list.
func NewReport(source string, l *List) *Report {
	r := &Report{Verb: "accounts", Source: source, Remarks: slices.Clone(l.Remarks)}
	var stored []scheme.Scheme
	for _, u := range l.Users {
		s := scheme.Tell(u.Hash)
		if s.Name == "" && u.Clear != "" {
			s = scheme.Plain(u.Clear)
		}
		stored = append(stored, s)
		if u.Clear != "" {
			r.Clear++
		}
		for service, n := range map[Service]*int{IMAP: &r.Totals.NoIMAP, POP3: &r.Totals.NoPOP3, SMTP: &r.Totals.NoSMTP, LMTP: &r.Totals.NoMail} {
			if u.Deny&service != 0 {
				*n++
			}
		}
	}
	r.Stored = count(stored)
	r.Totals.Accounts, r.Totals.Aliases = len(l.Users), len(l.Aliases)
	return r
}

// count sums up schemes, the most frequent one first.
func count(schemes []scheme.Scheme) []SchemeCount {
	counts := map[SchemeCount]int{}
	for _, s := range schemes {
		counts[SchemeCount{Scheme: cmp.Or(s.Name, "none"), Weak: s.Weak}]++
	}
	var list []SchemeCount
	for c, n := range counts {
		c.Accounts = n
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b SchemeCount) int {
		return cmp.Or(b.Accounts-a.Accounts, strings.Compare(a.Scheme, b.Scheme))
	})
	return list
}

// sum counts the remarks at the end of a run.
func (r *Report) sum() {
	for _, m := range r.Remarks {
		switch m.Kind {
		case SetAside:
			r.Totals.SetAside++
		case Loss:
			r.Totals.Losses++
		case Damage:
			r.Totals.Damages++
		}
	}
}

// WriteText prints the report for people: the same lines for a dry run and a real one.
func (r *Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, m := range r.Remarks {
		fmt.Fprintln(out, m)
	}
	r.writeSchemes(out)
	for _, f := range r.Files {
		fmt.Fprintf(out, "%s: %s", f.State, f.Path)
		if f.Kept != "" {
			fmt.Fprintf(out, " (what was there is kept as %s)", f.Kept)
		}
		fmt.Fprintln(out)
	}
	t := r.Totals
	fmt.Fprintf(out, "%d accounts", t.Accounts)
	if r.Target != "" {
		fmt.Fprintf(out, ", %d carried, %d set aside, %d losses", t.Carried, t.SetAside, t.Losses)
	}
	fmt.Fprintf(out, ", %d damages; %d alias domains; without IMAP %d, POP3 %d, SMTP %d, new mail %d\n",
		t.Damages, t.Aliases, t.NoIMAP, t.NoPOP3, t.NoSMTP, t.NoMail)
	return out.Flush()
}

func (r *Report) writeSchemes(w io.Writer) {
	for _, part := range []struct {
		name   string
		counts []SchemeCount
	}{{"stored", r.Stored}, {"written", r.Written}} {
		for _, c := range part.counts {
			weak := ""
			if c.Weak {
				weak = ", weak"
			}
			fmt.Fprintf(w, "passwords %s: %s %d%s\n", part.name, c.Scheme, c.Accounts, weak)
		}
	}
	if r.Clear > 0 {
		fmt.Fprintf(w, "passwords in clear text in the source: %d\n", r.Clear)
	}
}
