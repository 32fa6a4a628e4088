package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"dovetail/formats"
)

func newPurge() *cobra.Command {
	var p purge
	cmd := &cobra.Command{
		Use:   "purge LOC",
		Short: "Give the room of expunged messages back",
		Long: `Give the room back that expunged messages use. Only mdbox has any: there a
message that is expunged stays in its file until this is done, for instance once
a night. It may run while the mail is in use, by this program's server and by
Dovecot; a file that somebody else is busy with is left for the next time, which
makes the exit code 2.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitTryAgain, exitPermission),
		Example: `  dovetail purge --dry-run mdbox:/srv/mail/ann
  dovetail purge mdbox:/srv/mail/ann:ALT=/slow/ann`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return p.run(cmd, given[0]) },
	}
	cmd.Flags().BoolVar(&p.dryRun, "dry-run", false, "print what would be done and change nothing")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print one JSON object")
	return cmd
}

type purge struct{ dryRun, asJSON bool }

func (p *purge) run(cmd *cobra.Command, location string) error {
	open := openRepair
	if p.dryRun {
		open = openSource
	}
	store, err := open(cmd.Context(), location)
	if err != nil {
		return err
	}
	defer store.Close()
	purger, ok := store.(formats.Purger)
	if !ok {
		return fmt.Errorf("%s: %w: its messages are removed as soon as they are expunged", store.Limits().Format, errors.ErrUnsupported)
	}
	do := purger.Purge
	if p.dryRun {
		do = purger.Purgeable
	}
	done, err := do(cmd.Context())
	if err := also(err, p.print(cmd.OutOrStdout(), done)); err != nil {
		return err
	}
	if done.Busy > 0 {
		return errLeftOver
	}
	return nil
}

func (p *purge) print(w io.Writer, done formats.Purged) error {
	if p.asJSON {
		return json.NewEncoder(w).Encode(struct {
			Messages int   `json:"messages"`
			Files    int   `json:"files"`
			Bytes    int64 `json:"bytes"`
			Busy     int   `json:"busy"`
		}{done.Messages, done.Files, done.Bytes, done.Busy})
	}
	verb := "removed"
	if p.dryRun {
		verb = "would remove"
	}
	_, err := fmt.Fprintf(w, "%s %d messages, %d bytes, from %d files; %d files in use\n", verb, done.Messages, done.Bytes, done.Files, done.Busy)
	return err
}

func newAltMove() *cobra.Command {
	var a altMove
	var uids string
	cmd := &cobra.Command{
		Use:   "altmove --location LOC [mailbox…]",
		Short: "Move messages to the alt storage, or back",
		Long: `Move the messages of the mailboxes chosen by name or mask, of all mailboxes when
none is given, to the alt storage of an mdbox (ALT= in the location), which is
for messages that are seldom read; with --reverse back from there. A message that
was copied lies in one place for all its mailboxes: it is moved there when all of
them are chosen. Expunged messages of the same files are purged with this.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail altmove --location mdbox:/srv/mail/ann:ALT=/slow/ann Archive
  dovetail altmove --reverse --uid 17:30 --location mdbox:/srv/mail/ann:ALT=/slow/ann INBOX`,
		RunE: func(cmd *cobra.Command, chosen []string) (err error) {
			a.chosen = chosen
			if a.uids, err = parseUIDs(uids); err != nil {
				return err
			}
			return a.run(cmd)
		},
	}
	locationFlag(cmd, &a.location)
	cmd.Flags().BoolVarP(&a.reverse, "reverse", "r", false, "from the alt storage back")
	cmd.Flags().StringVar(&uids, "uid", "1:*", "only these `UIDs`, as in IMAP: 3,17:20,30:*")
	return cmd
}

type altMove struct {
	location string
	reverse  bool
	uids     formats.Ranges
	chosen   masks
}

func (a *altMove) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	store, err := openRepair(ctx, a.location)
	if err != nil {
		return err
	}
	defer store.Close()
	mover, ok := store.(formats.AltMover)
	if !ok {
		return fmt.Errorf("%s: %w: its messages are not moved to alt storage", store.Limits().Format, errors.ErrUnsupported)
	}
	list, err := listed(ctx, store, a.chosen)
	if err != nil {
		return err
	}
	what := map[string]formats.Ranges{}
	for _, info := range list {
		if !info.NoSelect {
			what[info.Name] = a.uids
		}
	}
	done, err := mover.MoveAlt(ctx, what, !a.reverse)
	if err == nil && done.Busy > 0 {
		return errLeftOver
	}
	return err
}
