package courier

import (
	"context"
	"iter"
)

// Kind says what was found.
type Kind string

// The kinds of findings. Those that are users are converted; the others are listed.
const (
	Mailbox  Kind = "user"                                 // a Maildir
	Orphan   Kind = "mail directory without user"          // a Maildir below a domain's folder that no account names; converted like the others
	Alias    Kind = "alias"                                // another name of a domain or a Maildir that was found already
	Unused   Kind = "user who never logged in"             // an account without a directory: it is made at the first login
	NoMail   Kind = "user without mail directory"          // an account whose directory is not there
	Refused  Kind = "link that is not followed"            // whoever may have planted it
	Unread   Kind = "folder that cannot be read"           // or is too deep
	NoPlace  Kind = "no Maildir"                           // a PATH in which there is none
	BadEntry Kind = "damaged entry of an account database" // and what becomes of it
)

func (k Kind) isUser() bool { return k == Mailbox || k == Orphan }

// leftOver tells whether there may be mail that was not looked at.
func (k Kind) leftOver() bool {
	switch k {
	case NoMail, Refused, Unread, NoPlace, BadEntry:
		return true
	}
	return false
}

// Found is one finding of the search.
type Found struct {
	User
	Kind Kind
}

// FindOptions say how users are searched for.
type FindOptions struct {
	// Recursive searches below the paths, at any depth. Without it a path is a Maildir, or a home with one.
	Recursive bool

	// Assign is the file users/assign of qmail, or its compiled form; "" means /var/qmail/users/assign, or cdb beside it, if
	// one of its domains lies below a path or holds it.
	Assign string

	// Root is put in front of all paths that files and links of the site name: where it is unpacked or mounted.
	Root string
}

// Find gives the users at or below paths, each Maildir once. A finding that is no user says why. The error ends the search:
// a path that does not exist, a list of domains that cannot be read, a context that is over.
func Find(ctx context.Context, paths []string, o FindOptions) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		for _, path := range paths {
			if !yield(Found{User{Name: path, Maildir: path, Why: "named"}, Mailbox}, ctx.Err()) {
				return
			}
		}
	}
}
