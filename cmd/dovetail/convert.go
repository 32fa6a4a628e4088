package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"dovetail/convert"
	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/location"
	"dovetail/sync"
)

func newConvert() *cobra.Command {
	var c convertVerb
	cmd := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert the mail of one user or many into another format",
		Long: `Make the store DST hold what the store SRC holds: mailboxes, messages byte for
byte, UIDs, flags, keywords, dates, GUIDs, POP3 UIDLs and subscriptions. What the
format of DST cannot hold is listed, with what clients will see of it: look first
with --dry-run, which prints what a real run would do and writes nothing.

SRC is never written to. Run it as often as you like: a run takes over what has
changed in SRC since the last one, and one that was stopped or killed goes on
where it stopped. Messages that DST got from elsewhere are left alone.

A damaged message or mailbox is set aside with its reason and the rest goes on;
then the exit code is 2.

As root, files in DST belong to the owner of DST's root if that exists, else to
the owner of SRC's root, unless --owner says otherwise.

Many users are converted in one run when SRC and DST have variables: %u is the
user's name, %n and %d its parts before and behind "@", and ~ or %h the home. The
users are those who have a folder as SRC says, or those of --users: a file with one
name a line (with columns for SRC, DST and uid:gid behind tabs, where they differ),
or a list of accounts: passwd: for the system's, vpopmail:HOME, passwd-file:FILE,
userdb:PATH. With -c they are those of a configuration's userdbs, and mail is where
that says if only DST is given. The largest mailboxes come first. Who cannot be
converted is listed with the reason, the others go on, and the exit code is 2. As
root no link is followed that leads to what is not the user's.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail convert --dry-run maildir:/home/ann/Maildir sdbox:/srv/mail/ann
  dovetail convert --verify --report ann.json maildir:/home/ann/Maildir sdbox:/srv/mail/ann
  dovetail convert mbox:/home/ann/mail:INBOX=/var/mail/ann maildir:/home/ann/Maildir
  dovetail convert --mailbox INBOX --mailbox 'Work/*' sdbox:/srv/mail/ann maildir:/tmp/ann
  dovetail convert --dry-run mbox:/home/%n/mail:INBOX=/var/mail/%n sdbox:/srv/mail/%n
  dovetail convert --users passwd: maildir:~/Maildir sdbox:~/mail
  dovetail convert -c /etc/dovecot/dovecot.conf sdbox:/srv/mail/%d/%n`,
		Args: args(cobra.RangeArgs(0, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if c.site.many(given) {
				return also(c.check(), c.runSite(cmd, given))
			}
			if len(given) != 2 {
				return usagef("SRC and DST are needed: %s", cmd.UseLine())
			}
			c.src, c.dst = given[0], given[1]
			return c.run(cmd)
		},
	}
	c.output.flags(cmd)
	c.site.flags(cmd)
	cmd.Flags().StringSliceVar(&c.mailboxes, "mailbox", nil, "only mailboxes of this `name` or mask; may be given more than once")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "print what would be done and change nothing")
	cmd.Flags().BoolVar(&c.verify, "verify", false, "compare both sides afterwards, message by message")
	cmd.Flags().BoolVar(&c.removeOwn, "remove-own", false, "also remove or overwrite messages that DST got from elsewhere")
	cmd.Flags().StringVar(&c.owner, "owner", "", "as root: files in DST belong to this `user[:group]`")
	return cmd
}

type convertVerb struct {
	output
	site           siteFlags
	src, dst       string
	mailboxes      []string
	dryRun, verify bool
	removeOwn      bool // let SRC win over mail that DST got from elsewhere
	owner          string
	own            *owner // what owner says
}

func (c *convertVerb) run(cmd *cobra.Command) error {
	own, err := parseOwner(c.owner)
	if err != nil {
		return err
	}
	c.own = own
	if err := also(c.check(), c.checkPlaces()); err != nil {
		return err
	}
	src, err := openSource(cmd.Context(), c.src)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := mustExist(cmd.Context(), src, c.mailboxes); err != nil {
		return err
	}
	dst, done, err := c.openTarget(cmd)
	if err != nil {
		return err
	}
	defer done()
	if c.dryRun && !c.quiet && !c.asJSON {
		fmt.Fprintln(cmd.OutOrStdout(), "dry run, nothing is written; a real run would do this:")
	}
	report, err := c.mirror(cmd, src, dst)
	if report == nil {
		return err
	}
	err = also(err, c.print(cmd.OutOrStdout(), report))
	if err == nil && c.verify && !c.dryRun {
		err = c.compare(cmd, report)
	}
	return also(err, c.finish(report))
}

// compare reads both sides anew, prints what it found and puts it into the report.
func (c *convertVerb) compare(cmd *cobra.Command, report *sync.Report) error {
	v := verify{output: c.output, mailboxes: c.mailboxes, a: c.src, b: c.dst}
	found, err := v.read(cmd)
	if found == nil {
		return err
	}
	report.Differences = append(report.Differences, found.Differences...)
	report.Totals.Identical, report.Totals.Equal = found.Totals.Identical, found.Totals.Equal
	return also(err, c.print(cmd.OutOrStdout(), found))
}

// checkPlaces refuses what cannot end well before anything is opened or made.
func (c *convertVerb) checkPlaces() error {
	src, err := parseLocation(c.src)
	if err != nil {
		return err
	}
	dst, err := parseLocation(c.dst)
	if err != nil {
		return err
	}
	if err := convert.Apart(src, dst); err != nil {
		return usagef("%s and %s: %w", c.src, c.dst, err)
	}
	return nil
}

func (c *convertVerb) mirror(cmd *cobra.Command, src, dst formats.Store) (*sync.Report, error) {
	p := c.begin(cmd, "converting")
	defer p.end()
	report, err := sync.Mirror(cmd.Context(), src, dst, sync.Options{
		Jobs: c.jobs, Mailboxes: c.mailboxes, Source: identity(c.src), Progress: &p.count.Progress, Log: p.log,
		RemoveOwn: c.removeOwn,
	})
	if errors.Is(err, sync.ErrSameStore) {
		err = &usageError{fmt.Errorf("%s and %s: %w", c.src, c.dst, err)}
	}
	if report != nil {
		report.DryRun = c.dryRun
		if errors.Is(err, context.Canceled) {
			report.Unfinished = stopped
		}
	}
	return report, err
}

// openTarget opens DST, for a dry run so that nothing happens to it. done closes it.
func (c *convertVerb) openTarget(cmd *cobra.Command) (dst formats.Store, done func(), err error) {
	if !c.dryRun {
		dst, err = openTarget(cmd.Context(), c.dst, c.src, c.own)
		if err != nil {
			return nil, nil, err
		}
		return dst, func() { dst.Close() }, nil
	}
	loc, err := parseLocation(c.dst)
	if err != nil {
		return nil, nil, err
	}
	return location.OpenDry(cmd.Context(), loc, &disk.FS{ReadOnly: true}, func(verb, mailbox, detail string) {
		if c.verbose {
			fmt.Fprintln(cmd.ErrOrStderr(), "would", verb, mailbox, detail)
		}
	})
}
