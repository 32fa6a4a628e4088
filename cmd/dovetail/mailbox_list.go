package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func newMailboxList() *cobra.Command {
	var location string
	var asJSON, onlySubscribed bool
	cmd := &cobra.Command{
		Use:   "list --location LOC [mailbox…]",
		Short: "List mailboxes",
		Long: `List the mailboxes of a store, one name a line, in UTF-8 with "/" between the
parts. Masks narrow the list: "*" stands for any characters, "%" for any but
"/". A name that exists only as the parent of others is listed too; --json says
which these are, which mailboxes are subscribed, and what is wrong with those
that cannot be opened.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitNotFound, exitPermission),
		Example: `  dovetail mailbox list --location maildir:/home/ann/Maildir
  dovetail mailbox list --json --location sdbox:/srv/mail/ann 'Work/*'`,
		RunE: func(cmd *cobra.Command, chosen []string) error {
			list := mailboxList{location: location, asJSON: asJSON, onlySubscribed: onlySubscribed, chosen: chosen}
			return list.run(cmd)
		},
	}
	locationFlag(cmd, &location)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.Flags().BoolVarP(&onlySubscribed, "subscribed", "s", false, "only subscribed mailboxes, also those that do not exist")
	return cmd
}

type mailboxList struct {
	location               string
	asJSON, onlySubscribed bool
	chosen                 masks
}

// mailboxEntry is one line of mailbox list --json.
type mailboxEntry struct {
	Mailbox    string `json:"mailbox"`
	NoSelect   bool   `json:"noselect"`
	Subscribed bool   `json:"subscribed"`
	SpecialUse string `json:"specialuse"`
	Err        string `json:"err"`
}

func (l mailboxList) run(cmd *cobra.Command) error {
	entries, err := l.entries(cmd)
	if err != nil {
		return err
	}
	var left error
	lines := newLines(cmd.OutOrStdout())
	for _, e := range entries {
		if l.onlySubscribed && !e.Subscribed {
			continue
		}
		if e.Err != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "dovetail: %s: %s\n", e.Mailbox, e.Err)
			left = errLeftOver
		}
		if l.asJSON {
			lines.object(e)
		} else {
			io.WriteString(lines, e.Mailbox+"\n")
		}
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	return left
}

// entries is the list of mailboxes, then the subscribed names that are no mailboxes if those are asked for.
func (l mailboxList) entries(cmd *cobra.Command) ([]mailboxEntry, error) {
	ctx := cmd.Context()
	store, err := openSource(ctx, l.location)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	list, err := listed(ctx, store, l.chosen)
	if err != nil {
		return nil, err
	}
	names, err := subscribed(ctx, store)
	if err != nil {
		return nil, err
	}
	var entries []mailboxEntry
	for _, info := range list {
		e := mailboxEntry{Mailbox: info.Name, NoSelect: info.NoSelect, Subscribed: names[info.Name], SpecialUse: info.SpecialUse}
		if info.Err != nil {
			e.Err = info.Err.Error()
		}
		entries = append(entries, e)
		delete(names, info.Name)
	}
	if !l.onlySubscribed {
		return entries, nil
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if l.chosen.match(name) {
			entries = append(entries, mailboxEntry{Mailbox: name, NoSelect: true, Subscribed: true})
		}
	}
	return entries, nil
}
