package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"dovetail/formats"
)

func newCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check LOC [mailbox…]",
		Short: "Find damage in a store",
		Long: `Read everything that belongs to the mailboxes chosen by name or mask (all when
none is given) and list what is damaged: what is wrong, in which file at which
byte, what it costs, and what "dovetail repair" would do about it. Nothing is
written.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitPermission),
		Example: `  dovetail check maildir:/home/ann/Maildir
  dovetail check --json sdbox:/srv/mail/ann INBOX`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			out := problems{lines: newLines(cmd.OutOrStdout()), asJSON: asJSON, mend: "repair would"}
			err := checkStore(cmd, given[0], given[1:], out.print)
			if err == nil && out.found > 0 {
				err = formats.Corrupt("%d problems found in %s", out.found, given[0])
			}
			return also(err, out.lines.Flush())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a problem")
	return cmd
}

// checkStore gives each problem of the chosen mailboxes to found. The store is opened read-only.
func checkStore(cmd *cobra.Command, location string, chosen masks, found func(formats.Problem)) error {
	ctx := cmd.Context()
	store, err := openSource(ctx, location)
	if err != nil {
		return err
	}
	defer store.Close()
	return eachMailbox(ctx, cmd.ErrOrStderr(), store, chosen, func(_ formats.Info, box formats.Mailbox) error {
		checker, err := checkerOf(store, box)
		if err != nil {
			return err
		}
		return check(ctx, checker, found)
	})
}

func check(ctx context.Context, c formats.Checker, found func(formats.Problem)) error {
	for p, err := range c.Check(ctx) {
		if err != nil {
			return err
		}
		found(p)
	}
	return nil
}

func checkerOf(store formats.Store, box formats.Mailbox) (formats.Checker, error) {
	if c, ok := box.(formats.Checker); ok {
		return c, nil
	}
	return nil, fmt.Errorf("%s mailboxes cannot be checked: %w", store.Limits().Format, errors.ErrUnsupported)
}

// problems prints problems, one each line or object.
type problems struct {
	lines  *lines
	asJSON bool
	mend   string // before what is done about it: "would"
	found  int
}

// problemEntry is one line of check --json.
type problemEntry struct {
	Mailbox string      `json:"mailbox"`
	UID     formats.UID `json:"uid,omitempty"`
	Path    string      `json:"path,omitempty"`
	Offset  int64       `json:"offset,omitempty"`
	What    string      `json:"what"`
	Cost    string      `json:"cost"`
	Mend    string      `json:"mend,omitempty"`
	Loses   bool        `json:"loses"`
}

func (o *problems) print(p formats.Problem) {
	o.found++
	if o.asJSON {
		o.lines.object(problemEntry(p))
		return
	}
	io.WriteString(o.lines, p.String()+"\n")
	switch {
	case p.Mend == "":
	case p.Loses:
		fmt.Fprintf(o.lines, "  %s, with --accept-loss: %s\n", o.mend, p.Mend)
	default:
		fmt.Fprintf(o.lines, "  %s: %s\n", o.mend, p.Mend)
	}
}
