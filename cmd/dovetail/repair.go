package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"dovetail/formats"
)

func newRepair() *cobra.Command {
	var r repair
	cmd := &cobra.Command{
		Use:   "repair LOC [mailbox…]",
		Short: "Mend damage in a store",
		Long: `Look for damage as "dovetail check" does and mend what can be mended, telling
each problem and what is done about it. Look first with --dry-run. Nothing that
can still be read is removed: files that are in the way are renamed.

What gives something up for good, as a record whose message is gone, is done only
with --accept-loss. What is not mended is left over and makes the exit code 2.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail repair --dry-run sdbox:/srv/mail/ann
  dovetail repair --accept-loss sdbox:/srv/mail/ann INBOX`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			r.location, r.chosen = given[0], given[1:]
			r.problems.lines = newLines(cmd.OutOrStdout())
			return also(r.run(cmd), r.problems.lines.Flush())
		},
	}
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "print what would be done and change nothing")
	cmd.Flags().BoolVar(&r.acceptLoss, "accept-loss", false, "also mend what gives something up for good")
	cmd.Flags().BoolVar(&r.problems.asJSON, "json", false, "print one JSON object a problem")
	return cmd
}

type repair struct {
	location           string
	chosen             masks
	dryRun, acceptLoss bool
	problems           problems
	left               int // problems that are not mended
}

func (r *repair) run(cmd *cobra.Command) error {
	err := r.mend(cmd)
	if err == nil && r.left > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "dovetail: %d of %d problems are left\n", r.left, r.problems.found)
		return errLeftOver
	}
	return err
}

func (r *repair) mend(cmd *cobra.Command) error {
	ctx := cmd.Context()
	if r.dryRun {
		// The same problems from a store that cannot be written to.
		r.problems.mend = "would"
		return checkStore(cmd, r.location, r.chosen, func(p formats.Problem) { r.agree(p) })
	}
	r.problems.mend = "mended"
	store, err := openRepair(ctx, r.location)
	if err != nil {
		return err
	}
	defer store.Close()
	return eachMailbox(ctx, cmd.ErrOrStderr(), store, r.chosen, func(_ formats.Info, box formats.Mailbox) error {
		checker, err := checkerOf(store, box)
		if err != nil {
			return err
		}
		return checker.Repair(ctx, r.agree)
	})
}

// agree prints a problem and tells whether to mend it.
func (r *repair) agree(p formats.Problem) bool {
	ok := p.Mend != "" && (!p.Loses || r.acceptLoss)
	if !ok {
		r.left++
	}
	if ok {
		p.Loses = p.Loses && r.problems.asJSON // its condition is met: no need to print it
	}
	r.problems.print(p)
	return ok
}
