package courier

import "time"

// Report sums up the users of a site. Its JSON form is part of the command line's contract: fields are only ever added.
type Report struct {
	To     string `json:"to"`
	DryRun bool   `json:"dry_run,omitempty"`

	Users []*UserReport `json:"users,omitempty"` // none with Options.Each
	Other []Found       `json:"other,omitempty"` // what the search found besides

	Outcomes  map[Outcome]int `json:"outcomes"`  // of users
	Mailboxes int             `json:"mailboxes"` // folders of all users, INBOX among them
	Totals    Counts          `json:"totals"`
	Losses    int             `json:"losses"`
	Problems  int             `json:"problems"`
	LeftOver  int             `json:"left_over"` // users, and findings of the search, that make the exit code 2

	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`

	// Unfinished says why the run ended early; "" after a whole one.
	Unfinished string `json:"unfinished,omitempty"`
}

func newReport(o Options) *Report {
	return &Report{To: o.To.String(), DryRun: !o.Convert, Other: []Found{}, Outcomes: map[Outcome]int{}, Started: time.Now()}
}

// NUsers is how many users there were.
func (r *Report) NUsers() (n int) {
	for _, count := range r.Outcomes {
		n += count
	}
	return n
}

// count takes in one user.
func (r *Report) count(u *UserReport) {
	r.Outcomes[u.Outcome]++
	r.Mailboxes += len(u.Folders)
	r.Totals.add(u.Totals)
	r.Losses += len(u.Losses)
	r.Problems += len(u.Problems)
	if u.ExitCode() != 0 {
		r.LeftOver++
	}
}

// ExitCode is 2 when it is for any user or for the search.
func (r *Report) ExitCode() int {
	if r.LeftOver > 0 || r.Unfinished != "" {
		return 2
	}
	return 0
}
