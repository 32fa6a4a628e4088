package formats

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// Problem is one thing that is wrong with a mailbox on disk.
type Problem struct {
	Mailbox string // as the user names it
	UID     UID    // 0: no single message
	Path    string // "" when no file is to blame
	Offset  int64  // byte in Path; 0 or less: unknown or the file as a whole

	// What is wrong, Cost what it costs while it stays so, Mend what Repair would do about it. Mend is "" when Repair
	// cannot help; Cost then says what the user can do.
	What, Cost, Mend string

	// Loses says that mending gives something up for good (a record whose message file is gone).
	Loses bool
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Mailbox)
	if p.UID != 0 {
		fmt.Fprintf(&b, " uid %d", p.UID)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	if p.Offset > 0 {
		fmt.Fprintf(&b, " at byte %d", p.Offset)
	}
	b.WriteString(": " + p.What)
	if p.Cost != "" {
		b.WriteString("; " + p.Cost)
	}
	return b.String()
}

// Checker is a Mailbox that can look for damage and mend it.
type Checker interface {
	// Check reads everything that belongs to the mailbox and gives each problem. It changes nothing. A pair is a problem
	// or an error that ends the iteration; what cannot be read because it is damaged is a problem, not an error.
	Check(ctx context.Context) iter.Seq2[Problem, error]

	// Repair checks again and mends each problem that has a Mend and for which agree answers true. agree is asked once
	// for each, before anything is done about it, so a dry run answers false. Nothing that could still be read is
	// removed: files that are set aside are renamed. An error ends the repair; what was mended before it stays mended.
	Repair(ctx context.Context, agree func(Problem) bool) error
}

// Salvaged is a Mailbox that can be read although a part of what it held is gone.
type Salvaged interface {
	// Lost says what is gone (flags and keywords because the index is missing, for instance); nil when nothing is. What
	// is still there is given as if the mailbox were sound, so whoever carries it on must report the loss. It is complete
	// only after Status or Messages.
	Lost() error
}
