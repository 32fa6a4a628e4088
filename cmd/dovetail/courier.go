package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dovetail/convert/courier"
	"dovetail/formats/disk"
)

func newCourier() *cobra.Command {
	var c courierRun
	cmd := &cobra.Command{
		Use:   "courier [PATH…]",
		Short: "Turn Courier-IMAP's control files into Dovecot's in place, or back",
		Long:  courierHelp,
		Example: `  cd ~vpopmail/domains && dovetail courier --recursive
  dovetail courier --recursive --convert --report site.json ~vpopmail/domains
  dovetail courier --recursive --to-courier --convert ~vpopmail/domains
  dovetail courier --convert /home/ann/Maildir
  dovetail courier --settings /etc/courier --output /etc/dovecot`,
		RunE: func(cmd *cobra.Command, given []string) error {
			c.paths = given
			switch {
			case cmd.Flags().Changed("settings"):
				return c.makeSettings(cmd)
			case c.settings.output != "":
				return usagef("--output has a meaning with --settings only")
			}
			return c.run(cmd)
		},
	}
	c.flags(cmd)
	return cmd
}

// courierRun is one run of the verb courier.
type courierRun struct {
	output
	paths                        []string
	dryRun, toDovecot, toCourier bool
	find                         courier.FindOptions
	options                      courier.Options
	settings                     settingsRun

	leftOver []string // the first of the lines that are repeated at the end
	failed   error    // what ended a user's run early
}

func (c *courierRun) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&c.options.Convert, "convert", false, "do it; without this everything is read and nothing written")
	f.BoolVar(&c.dryRun, "dry-run", false, "only look, as is done without --convert anyway")
	f.BoolVarP(&c.find.Recursive, "recursive", "r", false, "find all Maildirs at and below PATH, at any depth")
	f.BoolVar(&c.toDovecot, "to-dovecot", false, "make Dovecot's files say what Courier's say (the default)")
	f.BoolVar(&c.toCourier, "to-courier", false, "make Courier's files say what Dovecot's say")
	f.BoolVar(&c.options.Overwrite, "overwrite", false, "replace files of the target that say something else and are older than the source's")
	f.BoolVar(&c.options.OverwriteNewer, "overwrite-newer", false, "replace them also if they are newer")
	f.IntVar(&c.options.Version, "courier-version", 0, "Courier is this `version`, 4 or 5 (default: what the files show)")
	f.StringVar(&c.options.POP3UIDLFormat, "pop3-uidl-format", courier.DefaultUIDLFormat, "with --to-courier: pop3_uidl_format of the Dovecot that is left was this `format`")
	f.StringVar(&c.find.Assign, "assign", "", "qmail's list of domains is this `file` (default /var/qmail/users/assign, then cdb)")
	f.StringVar(&c.find.Root, "root", "", "the site is unpacked or mounted in this `folder`: paths in its files begin there")
	f.DurationVar(&c.options.WaitIdle, "wait-idle", 0, "wait until Courier has left a Maildir alone for this `time`, as 30s")
	f.BoolVar(&c.options.IgnoreRunning, "ignore-running", false, "convert although Courier is running")
	f.StringVar(&c.settings.dir, "settings", "", "turn the settings of Courier in this `folder` into a configuration for Dovecot")
	f.StringVar(&c.settings.output, "output", "", "with --settings: write the configuration to this `folder`")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object a line: users, what else was found, then totals")
	f.StringVar(&c.report, "report", "", "write the whole report as JSON to this `file`")
	f.IntVar(&c.jobs, "jobs", 0, "work on this `number` of users at a time (default one for each processor)")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "print neither report nor progress, only errors")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "say on standard error how far it is")
}

// check refuses what cannot be meant, and settles what follows from the flags.
func (c *courierRun) check() error {
	switch {
	case c.toDovecot && c.toCourier:
		return usagef("--to-dovecot and --to-courier: which of them?")
	case c.dryRun && c.options.Convert:
		return usagef("--dry-run and --convert: which of them?")
	case c.options.Version != 0 && c.options.Version != 4 && c.options.Version != 5:
		return usagef("--courier-version %d: 4 or 5", c.options.Version)
	case !strings.Contains(c.options.POP3UIDLFormat, "%"):
		return usagef("--pop3-uidl-format %q: Dovecot takes only one with a variable, as %s", c.options.POP3UIDLFormat, courier.DefaultUIDLFormat)
	case c.options.WaitIdle < 0:
		return usagef("--wait-idle %s: less than nothing", c.options.WaitIdle)
	}
	if c.toCourier {
		c.options.To = courier.ToCourier
	}
	if len(c.paths) == 0 && c.find.Assign == "" {
		c.paths = []string{"."}
	}
	c.options.Jobs = c.jobs
	return c.output.check()
}

func (c *courierRun) run(cmd *cobra.Command) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.checkRunning(cmd); err != nil {
		return err
	}
	file, err := createCourierReport(c.report)
	if err != nil {
		return err
	}
	defer file.discard()
	out := newLines(cmd.OutOrStdout())
	c.printBeginning(out)
	report, err := c.site(cmd, out, file)
	if report.NUsers() == 0 && err != nil && report.Unfinished != stopped {
		return err // a wrong path: there is nothing to sum up
	}
	c.printTotals(out, report)
	err = also(err, errors.Join(out.Flush(), file.finish(report)))
	switch {
	case err == nil && c.failed != nil && report.NUsers() == 1:
		return c.failed
	case err == nil && report.ExitCode() == exitLeftOver:
		return errLeftOver
	}
	return err
}

// site runs through all users, printing as they are done.
func (c *courierRun) site(cmd *cobra.Command, out *lines, file *courierReport) (*courier.Report, error) {
	what := "looking"
	if c.options.Convert {
		what = "converting"
	}
	showing := c.output
	showing.quiet = c.quiet || !c.verbose && isTerminal(cmd.OutOrStdout()) // where the answer itself shows how far it is
	showing.endless = true
	p := showing.begin(cmd, what)
	defer p.end()
	c.options.Each = func(u *courier.UserReport) {
		p.count.Mailboxes.Add(1)
		p.count.Messages.Add(int64(u.Totals.Messages))
		c.remember(u)
		file.user(u)
		c.printUser(out, u)
	}
	c.options.Other = func(found courier.Found) {
		if found.Kind.LeftOver() {
			c.keep(found.String())
		}
		c.printFound(out, found)
	}
	report, err := courier.Site(cmd.Context(), courier.Find(cmd.Context(), c.paths, c.find), c.options)
	if errors.Is(err, context.Canceled) {
		report.Unfinished = stopped
	}
	return report, err
}

// maxLeftOver is how many lines of what was left over are repeated at the end.
const maxLeftOver = 100

func (c *courierRun) keep(line string) {
	if len(c.leftOver) < maxLeftOver {
		c.leftOver = append(c.leftOver, line)
	}
}

// remember keeps of a user what the end of the run needs.
func (c *courierRun) remember(u *courier.UserReport) {
	if u.Err != nil {
		c.failed = u.Err
	}
	if u.ExitCode() != 0 {
		c.keep(u.Line())
	}
}

// checkRunning refuses to convert while Courier runs; with --wait-idle it waits for sessions to end, as they do after the
// listeners were stopped. The listeners of this machine do not concern a site that is unpacked or mounted elsewhere.
func (c *courierRun) checkRunning(cmd *cobra.Command) error {
	if !c.options.Convert || c.options.IgnoreRunning {
		return nil
	}
	places := append([]string(nil), c.paths...)
	if len(places) == 0 || c.find.Root != "" { // all domains, or paths that may be the site's
		places = append(places, cmp.Or(c.find.Root, "/"))
	}
	for told := false; ; told = true {
		running := courier.Running("/proc", places, c.find.Root == "")
		switch {
		case len(running) == 0:
			return nil
		case c.options.WaitIdle == 0 || slices.ContainsFunc(running, courier.Process.Listens):
			return &courierRunningError{running}
		case !told && !c.quiet:
			fmt.Fprintln(cmd.ErrOrStderr(), "dovetail: waiting until these end:", names(running))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
	}
}

// names tells of the first few programs.
func names(running []courier.Process) string {
	const few = 3
	var all []string
	for _, p := range running[:min(len(running), few)] {
		all = append(all, p.String())
	}
	if more := len(running) - few; more > 0 {
		all = append(all, fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

// courierRunningError is a refusal: Courier would go on changing what is being converted.
type courierRunningError struct{ programs []courier.Process }

func (e *courierRunningError) Error() string { return "Courier is running: " + names(e.programs) }

// Unwrap makes the exit code that of a lock.
func (e *courierRunningError) Unwrap() error { return disk.ErrLocked }
