package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/formats"
)

func newFetch() *cobra.Command {
	var f fetch
	var uids string
	cmd := &cobra.Command{
		Use:   "fetch --location LOC [mailbox…]",
		Short: "Print messages or what a store knows of them",
		Long: `Print the messages of the mailboxes chosen by name or mask, of all mailboxes
when none is given.

Fields: ` + strings.Join(fieldNames(), " ") + `.
doveadm's names of the same things are understood as well: mailbox-guid,
date.received, date.saved, size.physical, size.virtual, pop3.uidl, pop3.order.

size is in bytes as stored; vsize and sha256 are those of the message with every
line end as CRLF, the form a client gets. Dates are RFC 3339 with the zone that
the format keeps, null where none is known. flags are IMAP's names.

Without --json the fields are printed as doveadm does, "name: value", with a
form feed between messages. --body prints the messages themselves as stored.
A damaged message is told on standard error, with --json also by the field err,
and the others follow.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail fetch --json --location maildir:/home/ann/Maildir
  dovetail fetch --fields uid,flags,date --location sdbox:/srv/mail/ann INBOX 'Work/*'
  dovetail fetch --body --uid 17 --location sdbox:/srv/mail/ann INBOX`,
		RunE: func(cmd *cobra.Command, chosen []string) error {
			f.chosen = chosen
			if err := f.check(uids); err != nil {
				return err
			}
			return f.run(cmd)
		},
	}
	locationFlag(cmd, &f.location)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a message")
	cmd.Flags().BoolVar(&f.body, "body", false, "print the messages as stored, one after the other")
	cmd.Flags().StringSliceVar(&f.names, "fields", nil, "the `fields` to print (default all)")
	cmd.Flags().StringVar(&uids, "uid", "", "only these `UIDs`, as in IMAP: 3,17:20,30:*")
	return cmd
}

type fetch struct {
	location     string
	asJSON, body bool
	names        []string
	chosen       masks

	fields []field
	uids   formats.Ranges // nil: all
}

func (f *fetch) check(uids string) (err error) {
	if f.body && (f.asJSON || len(f.names) > 0) {
		return usagef("--body prints messages only, without --json and --fields")
	}
	if f.fields, err = chooseFields(f.names); err != nil {
		return err
	}
	if uids != "" {
		f.uids, err = parseUIDs(uids)
	}
	return err
}

func (f *fetch) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	store, err := openSource(ctx, f.location)
	if err != nil {
		return err
	}
	defer store.Close()
	out := newLines(cmd.OutOrStdout())
	err = eachMailbox(ctx, cmd.ErrOrStderr(), store, f.chosen, func(_ formats.Info, box formats.Mailbox) error {
		return f.mailbox(ctx, box, out, cmd.ErrOrStderr())
	})
	return also(err, out.Flush())
}

// mailbox prints one mailbox, a message at a time: memory does not grow with their number or size.
func (f *fetch) mailbox(ctx context.Context, box formats.Mailbox, out *lines, stderr io.Writer) error {
	st, err := box.Status(ctx)
	if err != nil {
		return err
	}
	left := salvaged(stderr, box)
	for m, err := range box.Messages(ctx, formats.Query{Want: f.want()}) {
		if f.uids != nil && !f.uids.Contains(m.UID) && (err == nil || isDamage(err)) {
			continue
		}
		if err != nil && !isDamage(err) {
			return err
		}
		r := record{Message: m, mailbox: box.Name(), status: st, err: err}
		if err == nil {
			r.err = f.readBody(ctx, box, &r, out)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case r.err != nil:
			fmt.Fprintln(stderr, "dovetail:", r.err)
			left = errLeftOver
		}
		f.print(out, &r)
	}
	return left
}

// isDamage tells whether err is about one message only.
func isDamage(err error) bool {
	_, one := formats.Damaged(err)
	return one
}

func (f *fetch) want() (w formats.Want) {
	for _, field := range f.fields {
		w |= field.want
	}
	if f.readsBodies() {
		w &^= formats.WantVirtualSize // known when the body has been read
	}
	return w
}

func (f *fetch) readsBodies() bool {
	return slices.ContainsFunc(f.fields, func(field field) bool { return field.body })
}

// readBody reads the message where a field or --body needs it.
func (f *fetch) readBody(ctx context.Context, box formats.Mailbox, r *record, out io.Writer) error {
	if !f.body && !f.readsBodies() {
		return nil
	}
	body, err := box.Body(ctx, &r.Message)
	if err != nil {
		return err
	}
	defer body.Close()
	if f.body {
		_, err = body.WriteTo(out)
		return err
	}
	return r.digest(body)
}

func (f *fetch) print(out *lines, r *record) {
	switch {
	case f.body:
	case f.asJSON:
		out.object(r.object(f.fields))
	default:
		for _, field := range f.fields {
			fmt.Fprintf(out, "%s: %s\n", field.name, text(field.value(r)))
		}
		io.WriteString(out, "\f\n")
	}
}
