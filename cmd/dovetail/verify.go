package main

import (
	"github.com/spf13/cobra"

	"dovetail/convert"
	"dovetail/sync"
)

func newVerify() *cobra.Command {
	var v verify
	cmd := &cobra.Command{
		Use:   "verify A B",
		Short: "Compare the mail of one user or many, message by message",
		Long: `Read both stores anew and compare everything a client can see: mailboxes, UIDs,
flags, keywords, dates, GUIDs, POP3 UIDLs and every byte of every message. Each
difference is listed. Neither side is written to.

Bytes count as identical as stored, or as equal when only the line ends differ
(LF on one side, CRLF on the other).

With variables in A and B, --users or -c both stores of many users are compared, as
"dovetail help convert" explains.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail verify maildir:/home/ann/Maildir sdbox:/srv/mail/ann
  dovetail verify --json --mailbox INBOX maildir:/home/ann/Maildir sdbox:/srv/mail/ann`,
		Args: args(cobra.RangeArgs(0, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if v.site.many(given) {
				return also(v.check(), v.runSite(cmd, given))
			}
			if len(given) != 2 {
				return usagef("A and B are needed: %s", cmd.UseLine())
			}
			v.a, v.b = given[0], given[1]
			return v.run(cmd)
		},
	}
	v.output.flags(cmd)
	v.site.flags(cmd)
	cmd.Flags().StringSliceVar(&v.mailboxes, "mailbox", nil, "only mailboxes of this `name` or mask; may be given more than once")
	return cmd
}

type verify struct {
	output
	site      siteFlags
	a, b      string
	mailboxes []string
}

// runSite compares the mail of many users.
func (v *verify) runSite(cmd *cobra.Command, given []string) error {
	return v.site.run(cmd, &v.output, given, "comparing", convert.Verify, convert.Options{Mailboxes: v.mailboxes})
}

func (v *verify) run(cmd *cobra.Command) error {
	if err := v.check(); err != nil {
		return err
	}
	report, err := v.read(cmd)
	if report == nil {
		return err
	}
	err = also(err, v.print(cmd.OutOrStdout(), report))
	return also(err, v.finish(report))
}

// read opens both stores and compares them.
func (v *verify) read(cmd *cobra.Command) (*sync.Report, error) {
	ctx := cmd.Context()
	a, err := openSource(ctx, v.a)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if err := mustExist(ctx, a, v.mailboxes); err != nil {
		return nil, err
	}
	b, err := openSource(ctx, v.b)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	p := v.begin(cmd, "comparing")
	defer p.end()
	return sync.Verify(ctx, a, b, sync.Options{
		Jobs: v.jobs, Mailboxes: v.mailboxes, Source: identity(v.a), Progress: &p.count.Progress, Log: p.log,
	})
}
