package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/formats"
)

func newMailboxStatus() *cobra.Command {
	var s mailboxStatus
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status --location LOC [mailbox…]",
		Short: "Print counters and identity of mailboxes",
		Long: `Print the status of the mailboxes chosen by name or mask, of all when none is
given: in doveadm's form, or with --json as one object a line.

Fields: ` + strings.Join(statusFields, " ") + `.
size is in bytes as stored, vsize with every line end as CRLF; to know vsize
some formats must read the messages.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail mailbox status --location maildir:/home/ann/Maildir INBOX
  dovetail mailbox status --json --location sdbox:/srv/mail/ann 'Work/*'
  dovetail mailbox status --fields messages,uidnext --location sdbox:/srv/mail/ann`,
		RunE: func(cmd *cobra.Command, chosen []string) error {
			for _, f := range s.fields {
				if !slices.Contains(statusFields, f) {
					return usagef("no such field: %s (there are %s)", f, strings.Join(statusFields, " "))
				}
			}
			s.chosen = chosen
			return s.run(cmd, asJSON)
		},
	}
	locationFlag(cmd, &s.location)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line, always with all fields")
	cmd.Flags().StringSliceVar(&s.fields, "fields", statusFields, "the `fields` to print without --json")
	cmd.Flags().Lookup("fields").DefValue = "all"
	return cmd
}

type mailboxStatus struct {
	location string
	fields   []string
	chosen   masks
}

var statusFields = []string{
	"guid", "uidvalidity", "uidnext", "highestmodseq", "messages", "unseen", "recent", "size", "vsize", "subscribed", "specialuse",
}

// statusEntry is one line of mailbox status --json.
type statusEntry struct {
	Mailbox       string              `json:"mailbox"`
	GUID          string              `json:"guid"`
	UIDValidity   formats.UIDValidity `json:"uidvalidity"`
	UIDNext       formats.UID         `json:"uidnext"`
	HighestModSeq formats.ModSeq      `json:"highestmodseq"`
	Messages      uint32              `json:"messages"`
	Unseen        uint32              `json:"unseen"`
	Recent        uint32              `json:"recent"`
	Size          int64               `json:"size"`
	VSize         int64               `json:"vsize"`
	Subscribed    bool                `json:"subscribed"`
	SpecialUse    string              `json:"specialuse"`
}

func (s mailboxStatus) run(cmd *cobra.Command, asJSON bool) error {
	ctx := cmd.Context()
	store, err := openSource(ctx, s.location)
	if err != nil {
		return err
	}
	defer store.Close()
	names, err := subscribed(ctx, store)
	if err != nil {
		return err
	}
	out := newLines(cmd.OutOrStdout())
	err = eachMailbox(ctx, cmd.ErrOrStderr(), store, s.chosen, func(info formats.Info, box formats.Mailbox) error {
		e := statusEntry{Mailbox: info.Name, Subscribed: names[info.Name], SpecialUse: info.SpecialUse}
		bad := e.read(ctx, box, asJSON || s.wantsSizes())
		if bad != nil && bad != errLeftOver {
			return bad
		}
		if asJSON {
			out.object(e)
		} else {
			e.print(out, s.fields)
		}
		return also(salvaged(cmd.ErrOrStderr(), box), bad)
	})
	return also(err, out.Flush())
}

func (s mailboxStatus) wantsSizes() bool {
	return slices.Contains(s.fields, "size") || slices.Contains(s.fields, "vsize")
}

// read fills in the counters. Messages whose size cannot be known count nothing and make the answer incomplete.
func (e *statusEntry) read(ctx context.Context, box formats.Mailbox, sizes bool) error {
	st, err := box.Status(ctx)
	if err != nil {
		return err
	}
	if !st.GUID.IsZero() {
		e.GUID = st.GUID.String()
	}
	e.UIDValidity, e.UIDNext, e.HighestModSeq = st.UIDValidity, st.UIDNext, st.HighestModSeq
	e.Messages, e.Unseen, e.Recent = st.Messages, st.Unseen, st.Recent
	if !sizes {
		return nil
	}
	var damaged error
	for m, err := range box.Messages(ctx, formats.Query{Want: formats.WantSize | formats.WantVirtualSize}) {
		if err != nil {
			if !isDamage(err) {
				return err
			}
			damaged = errLeftOver
			continue
		}
		e.Size += max(m.Size, 0)
		e.VSize += max(m.VirtualSize, 0)
	}
	return damaged
}

// print writes doveadm's form: INBOX messages=3 uidnext=8.
func (e statusEntry) print(w io.Writer, fields []string) {
	value := map[string]string{
		"guid": e.GUID, "specialuse": e.SpecialUse, "subscribed": strconv.FormatBool(e.Subscribed),
		"uidvalidity": fmt.Sprint(e.UIDValidity), "uidnext": fmt.Sprint(e.UIDNext),
		"highestmodseq": fmt.Sprint(e.HighestModSeq), "messages": fmt.Sprint(e.Messages),
		"unseen": fmt.Sprint(e.Unseen), "recent": fmt.Sprint(e.Recent),
		"size": fmt.Sprint(e.Size), "vsize": fmt.Sprint(e.VSize),
	}
	io.WriteString(w, e.Mailbox)
	for _, f := range fields {
		fmt.Fprintf(w, " %s=%s", f, value[f])
	}
	io.WriteString(w, "\n")
}
