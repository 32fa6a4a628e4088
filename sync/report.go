package sync

import (
	"time"

	"dovetail/formats"
)

// Report says what a Mirror did, or would do, or what a Verify found. Its JSON form is part of the command line's
// contract: fields are only ever added.
type Report struct {
	Verb   string `json:"verb"`   // "mirror" or "verify"
	Source string `json:"source"` // format of the source: "sdbox"
	Target string `json:"target"`

	// DryRun is set by whoever ran it on formats.DryRun: nothing was written.
	DryRun bool `json:"dry_run,omitempty"`

	Mailboxes   []MailboxReport `json:"mailboxes"`
	Losses      []Loss          `json:"losses"`
	SetAside    []SetAside      `json:"set_aside"`
	Differences []Difference    `json:"differences"`

	Totals Counts `json:"totals"`

	Started  time.Time `json:"started"`
	Duration float64   `json:"seconds"`

	// Unfinished says why the run ended early and Next how to go on; both "" after a whole run.
	Unfinished string `json:"unfinished,omitempty"`
	Next       string `json:"next,omitempty"`
}

// ExitCode is 0 for a clean run and 2 when something was lost, left over or different. A run that also returned an
// error ends with 1, whatever this says.
func (r *Report) ExitCode() int {
	if len(r.SetAside) > 0 || len(r.Differences) > 0 || r.Unfinished != "" {
		return 2
	}
	for _, l := range r.Losses {
		if !l.Harmless {
			return 2
		}
	}
	return 0
}

// Counts are numbers of messages, and of bytes as stored.
type Counts struct {
	Messages  int   `json:"messages"` // in the source
	Appended  int   `json:"appended"`
	Flagged   int   `json:"flags_changed"`
	Expunged  int   `json:"expunged"`
	Unchanged int   `json:"unchanged"`
	Own       int   `json:"own"`       // the target's own messages, left alone
	SetAside  int   `json:"set_aside"` // not carried
	Identical int   `json:"identical"` // verify: the same bytes as stored
	Equal     int   `json:"equal"`     // verify: the same with CRLF line ends
	Bytes     int64 `json:"bytes"`     // copied, or read on the source's side by verify
}

// Add sums two counts up.
func (c *Counts) Add(d Counts) {
	c.Messages += d.Messages
	c.Appended += d.Appended
	c.Flagged += d.Flagged
	c.Expunged += d.Expunged
	c.Unchanged += d.Unchanged
	c.Own += d.Own
	c.SetAside += d.SetAside
	c.Identical += d.Identical
	c.Equal += d.Equal
	c.Bytes += d.Bytes
}

// MailboxReport is what became of one mailbox.
type MailboxReport struct {
	Mailbox string `json:"mailbox"`          // in the source; for a deleted mailbox its last name there
	Target  string `json:"target,omitempty"` // its name in the target, where that is another

	// Did is "created", "renamed", "recreated", "deleted" or "" for a mailbox that was there already. Was is the name in
	// the target before a rename.
	Did string `json:"did,omitempty"`
	Was string `json:"was,omitempty"`

	UIDValidity formats.UIDValidity `json:"uidvalidity,omitempty"` // in the target
	Counts
	Duration float64 `json:"seconds"`
}

// changed tells whether anything was done in the mailbox.
func (m *MailboxReport) changed() bool {
	return m.Did != "" || m.Appended+m.Flagged+m.Expunged > 0
}

// Loss is something that the source has and the target does not get. One Loss stands for all messages of a mailbox
// that lose the same thing for the same reason.
type Loss struct {
	Mailbox string `json:"mailbox,omitempty"` // in the source
	What    string `json:"what"`              // a kind of the table in the package doc: "keyword"
	Detail  string `json:"detail,omitempty"`  // which: `"$Junk"`, `"a.b" -> "a-b"`
	Why     string `json:"why"`
	Effect  string `json:"effect"` // what a client sees of it
	Count   int    `json:"count"`  // messages; 0: the mailbox as a whole
	UIDs    string `json:"uids,omitempty"`

	// Harmless losses are announced but do not make the exit code 2.
	Harmless bool `json:"harmless,omitempty"`
}

// SetAside is a message or a mailbox that was not carried. The rest went on without it.
type SetAside struct {
	Mailbox string      `json:"mailbox"`
	UID     formats.UID `json:"uid,omitempty"` // 0: the whole mailbox
	Reason  string      `json:"reason"`
	Path    string      `json:"path,omitempty"`
	Offset  int64       `json:"offset,omitempty"`
	Next    string      `json:"next,omitempty"` // what the user can do
}

// Difference is one thing that Verify found to be not the same on both sides.
type Difference struct {
	Mailbox string      `json:"mailbox"`
	UID     formats.UID `json:"uid,omitempty"` // in the source; in the target for what only the target has
	Field   string      `json:"field"`         // "flags", "body", "message"…
	Want    string      `json:"want"`
	Got     string      `json:"got"`
}
