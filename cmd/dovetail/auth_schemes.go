package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"dovetail/auth"
	"dovetail/serve/authconf"
)

func newAuthSchemes() *cobra.Command {
	v := &schemesVerb{}
	cmd := &cobra.Command{
		Use:   "schemes [flags] [mask…]",
		Short: "Count the schemes of stored passwords",
		Long: `Count which scheme, with what cost, how many accounts have their passwords in:
those whom the userdbs can list, or of these the ones that fit a mask with "*" and
"?". Each passdb is counted by itself. One that checks passwords and does not give
them away (PAM, a directory that is bound to) is named with the accounts that no
other one has a password for. Passwords of master users are not looked at.

With --list the accounts follow whose password is weak, that is found in seconds or
days by who gets the list, and those with whom nobody can log in. Passwords and
hashes are never printed.
` + exitHelp(exitDone, exitUsage, exitTryAgain, exitConfig),
		Example: `  dovetail auth schemes -c /etc/dovecot/dovecot.conf
  dovetail auth schemes --list '*@example.org'`,
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, masks []string) error { return v.run(cmd, masks) },
	}
	configFlags(cmd, &v.config, &v.dialect)
	cmd.Flags().BoolVar(&v.list, "list", false, "name the accounts with weak passwords, and those with whom nobody can log in")
	cmd.Flags().BoolVar(&v.asJSON, "json", false, "print one JSON object a line")
	return cmd
}

type schemesVerb struct {
	authVerb
	list, asJSON bool
}

// Kinds of accounts that have no scheme.
const (
	notStoredHere = "not stored here"
	anyPassword   = "any password"
	nothingStored = "none"
	nobodyLogsIn  = "nobody can log in"
)

// storedScheme is a line of the table.
type storedScheme struct {
	Object   string `json:"object"`
	Database string `json:"database,omitempty"`
	Scheme   string `json:"scheme"`
	Rounds   uint32 `json:"rounds,omitempty"`
	Memory   uint32 `json:"kib,omitempty"`
	Weak     bool   `json:"weak"`
	Accounts int    `json:"accounts"`

	shown string // scheme and cost
}

// weakAccount is one that --list names.
type weakAccount struct {
	Object   string `json:"object"`
	User     string `json:"user"`
	Database string `json:"database,omitempty"`
	Scheme   string `json:"scheme,omitempty"`
	Weak     bool   `json:"weak"`
	Why      string `json:"why,omitempty"`
}

// schemes is what has been counted so far.
type schemes struct {
	counts   map[storedScheme]int
	accounts []weakAccount
	seen     map[string]bool
}

func (v *schemesVerb) run(cmd *cobra.Command, masks []string) error {
	c, err := v.load(cmd)
	if err != nil {
		return err
	}
	// Why each account is unknown to a passdb, or its password odd, is what the table is for.
	log := slog.New(warnings{stderrLog{cmd.ErrOrStderr()}})
	service, err := authconf.Build(cmd.Context(), c, nil, log)
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", err)
		return errInvalidConfig
	}
	defer service.Close()
	found := schemes{counts: map[storedScheme]int{}, seen: map[string]bool{}}
	r := auth.Request{Service: "doveadm"}
	for name, err := range service.Users(cmd.Context(), r) {
		switch {
		case err != nil:
			if ctx := cmd.Context().Err(); ctx != nil {
				return ctx
			}
			if !errors.Is(err, auth.ErrNoList) { // which is in the log
				fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "Error: the userdbs cannot list their users, so there is nothing to count")
			return ended(exitTryAgain)
		case !wanted(name, masks) || found.seen[name]:
			continue
		}
		found.seen[name] = true
		holdings, err := service.Stored(cmd.Context(), r, name)
		if errors.Is(err, auth.ErrTemporary) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Error: passdb lookup failed for %s\n", name)
			return ended(exitTryAgain)
		}
		found.add(name, holdings)
	}
	return v.print(cmd.OutOrStdout(), found)
}

// wanted tells whether a name fits a mask, whatever its case.
func wanted(name string, masks []string) bool {
	return len(masks) == 0 || slices.ContainsFunc(masks, func(mask string) bool {
		return fitsMask(strings.ToLower(name), strings.ToLower(mask))
	})
}

// add counts one account.
func (s *schemes) add(user string, holdings []auth.Holding) {
	usable, denied := false, false
	for _, h := range holdings {
		usable = usable || !h.Elsewhere && h.Why == ""
		denied = denied || h.Deny && !h.Elsewhere
	}
	elsewhere := false
	for _, h := range holdings {
		if h.Elsewhere && (usable || h.Deny) {
			continue
		}
		elsewhere = elsewhere || h.Elsewhere
		line := storedScheme{Object: "scheme", Database: h.Database, Scheme: h.Kind.Name, Rounds: h.Kind.Rounds, Memory: h.Kind.Memory, Weak: h.Weak, shown: h.Kind.String()}
		switch {
		case h.Deny:
			continue
		case h.Elsewhere:
			line.Scheme = notStoredHere
		case h.Any:
			line.Scheme = anyPassword
		case h.Kind.Name == "":
			line.Scheme = nothingStored
		}
		line.shown = cmp.Or(line.shown, line.Scheme)
		s.counts[line]++
		if h.Weak || h.Why != "" {
			s.accounts = append(s.accounts, weakAccount{"account", user, h.Database, line.shown, h.Weak, h.Why})
		}
	}
	if !usable && !elsewhere || denied {
		s.counts[storedScheme{Object: "scheme", Scheme: nobodyLogsIn, shown: nobodyLogsIn}]++
		s.blame(user, holdings)
	}
}

// blame adds why nobody can log in as a user, where no database's own words have said it.
func (s *schemes) blame(user string, holdings []auth.Holding) {
	for _, h := range holdings {
		if h.Deny {
			s.accounts = append(s.accounts, weakAccount{"account", user, h.Database, "", false, h.Why})
		}
	}
	if len(holdings) == 0 {
		s.accounts = append(s.accounts, weakAccount{"account", user, "", "", false, "no passdb knows this account"})
	}
}

// table gives the counts: by database, the most frequent first, and at the end those with whom nobody can log in.
func (s *schemes) table() (list []storedScheme) {
	total := map[string]int{}
	for line, n := range s.counts {
		line.Accounts = n
		total[line.Database] += n
		list = append(list, line)
	}
	slices.SortFunc(list, func(a, b storedScheme) int {
		if (a.Database == "") != (b.Database == "") {
			return strings.Compare(b.Database, a.Database)
		}
		return cmp.Or(total[b.Database]-total[a.Database], strings.Compare(a.Database, b.Database), b.Accounts-a.Accounts, strings.Compare(a.shown, b.shown))
	})
	return list
}

func (v *schemesVerb) print(w io.Writer, s schemes) error {
	if v.asJSON {
		out := newLines(w)
		for _, line := range s.table() {
			out.object(line)
		}
		for _, a := range s.accounts {
			if v.list {
				out.object(a)
			}
		}
		return out.Flush()
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "accounts\tscheme\tdatabase\t")
	for _, line := range s.table() {
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\n", line.Accounts, line.shown, line.Database, weakness(line.Weak, ""))
	}
	if v.list && len(s.accounts) > 0 {
		fmt.Fprintln(out, "\nuser\tscheme\tdatabase\t")
		for _, a := range s.accounts {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", shownName(a.User), a.Scheme, a.Database, weakness(a.Weak, a.Why))
		}
	}
	return out.Flush()
}

func weakness(weak bool, why string) string {
	switch {
	case weak && why != "":
		return "weak; " + why
	case weak:
		return "weak"
	}
	return why
}

// warnings leaves out what is less than a warning.
type warnings struct{ stderrLog }

func (warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// shownName is a name as it can stand in a table.
func shownName(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}
