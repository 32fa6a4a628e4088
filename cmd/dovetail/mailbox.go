package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"dovetail/formats"
)

func newMailbox() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mailbox",
		Short: "List mailboxes and their status",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(given) == 0 {
				return usagef("mailbox: list or status?")
			}
			return usagef("no such verb: mailbox %s", given[0])
		},
	}
	cmd.AddCommand(newMailboxList(), newMailboxStatus())
	return cmd
}

// listed is the mailbox list of a store, narrowed to the masks of the command line.
func listed(ctx context.Context, store formats.Store, chosen masks) ([]formats.Info, error) {
	all, err := store.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, info := range all {
		names[i] = info.Name
	}
	if missing := chosen.unused(names); missing != "" {
		return nil, fmt.Errorf("%s: %w", missing, formats.ErrNoMailbox)
	}
	return slices.DeleteFunc(all, func(info formats.Info) bool { return !chosen.match(info.Name) }), nil
}

// mustExist refuses a mailbox named on the command line that store does not have.
func mustExist(ctx context.Context, store formats.Store, chosen masks) error {
	if len(chosen) == 0 {
		return nil
	}
	_, err := listed(ctx, store, chosen)
	return err
}

// subscribed is the set of subscribed names; nil where the store keeps none.
func subscribed(ctx context.Context, store formats.Store) (map[string]bool, error) {
	s, ok := store.(formats.Subscriber)
	if !ok {
		return nil, nil
	}
	names, err := s.Subscriptions(ctx)
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set, err
}

// eachMailbox opens the chosen mailboxes one after the other. One that cannot be opened or read is told on stderr, the
// others follow, and the end is errLeftOver.
func eachMailbox(ctx context.Context, stderr io.Writer, store formats.Store, chosen masks, do func(formats.Info, formats.Mailbox) error) error {
	list, err := listed(ctx, store, chosen)
	if err != nil {
		return err
	}
	var left error
	for _, info := range list {
		if info.NoSelect {
			continue
		}
		err := withMailbox(ctx, store, info, do)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errors.ErrUnsupported), err != nil && len(list) == 1 && err != errLeftOver:
			return err
		case err != nil:
			if err != errLeftOver {
				fmt.Fprintf(stderr, "dovetail: %s: %v\n", info.Name, err)
			}
			left = errLeftOver
		}
	}
	return left
}

func withMailbox(ctx context.Context, store formats.Store, info formats.Info, do func(formats.Info, formats.Mailbox) error) error {
	if info.Err != nil {
		return info.Err
	}
	box, err := store.Open(ctx, info.Name)
	if err != nil {
		return err
	}
	defer box.Close()
	return do(info, box)
}

// salvaged tells what is gone of a mailbox that can be read all the same; then the answer is not the whole one.
func salvaged(stderr io.Writer, box formats.Mailbox) error {
	s, ok := box.(formats.Salvaged)
	if !ok {
		return nil
	}
	lost := s.Lost()
	if lost == nil {
		return nil
	}
	fmt.Fprintln(stderr, "dovetail:", lost)
	return errLeftOver
}
