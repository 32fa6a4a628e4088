package mbox

import (
	"context"
	"time"

	"dovetail/formats/disk"
)

// Dialect says how a file tells the end of a message from a line of text that begins with "From ".
type Dialect string

// The dialects. Which one a foreign file has cannot be seen in it.
const (
	// Auto is what Dovecot reads and writes: Content-Length where it is right, else the next From_ line. Nothing is
	// unquoted.
	Auto Dialect = ""

	MboxO   Dialect = "mboxo"   // no Content-Length; ">From " at the start of a body line was "From "
	MboxRD  Dialect = "mboxrd"  // no Content-Length; one ">" is taken from ">From ", ">>From " and so on
	MboxCL  Dialect = "mboxcl"  // Content-Length, and quoted as in MboxO
	MboxCL2 Dialect = "mboxcl2" // Content-Length, not quoted
)

func (d Dialect) usesLength() bool { return d != MboxO && d != MboxRD }

// Options say where the mail is and how it is to be treated.
type Options struct {
	Root    string // folder of mailbox files
	Inbox   string // file of INBOX; "" is Root/INBOX or what the folder has in its place
	Index   string // root of indexes; "" is .imap/ beside each file
	Control string // folder of subscriptions; "" is Root

	FS      *disk.FS
	Create  bool // make a missing root
	Dialect Dialect

	// Zone is that of dates without one; nil is the local zone.
	Zone *time.Location
}

// Open opens a store.
func Open(ctx context.Context, o Options) (*Store, error) { return nil, nil }

// Store is a user's mail in mbox files.
type Store struct{}
