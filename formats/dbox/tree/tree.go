// Package tree is what sdbox and mdbox have in common around their messages: the roots, the folders below
// mailboxes/, the small files beside them, and what the header of a folder's index says of all its messages.
package tree

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Options say where a user's mail is.
type Options struct {
	// Root is the mail root. Index, Control and Alt are roots of their own, "" for none. An Alt of "" is taken from the
	// link dbox-alt-root.
	Root, Index, Control, Alt string

	// Attachments is the root of mail_attachment_dir, "" if there is none.
	Attachments string

	// Layout is "fs" (also "") or "index".
	Layout string

	// UTF8 and Escape are the options of that name of layout.Naming.
	UTF8   bool
	Escape byte

	// Rotation says how the files of an mdbox grow.
	Rotation Rotation

	FS *disk.FS

	// Mended is told what a store that may be written has mended by itself, when somebody met the damage: an index that
	// was made anew, a message that is lost. nil: damage is an error, and left to check and repair.
	Mended func(text string)

	// Create makes missing roots; without it a missing mail root is an error that wraps fs.ErrNotExist.
	Create bool
}

// Rotation says how the files of an mdbox grow.
type Rotation struct {
	Size        int64         // bytes, from which on a file gets no more messages (mdbox_rotate_size); 0: 10 MiB
	Interval    time.Duration // after which a new file is begun (mdbox_rotate_interval); 0: never
	Preallocate bool          // room for Size bytes is asked for when a file is made (mdbox_preallocate_space)
}

// Names of directories and of the link to the alt root.
const (
	MailboxesDir = "mailboxes"
	MailsDir     = "dbox-Mails"
	altLink      = "dbox-alt-root"
	rootMode     = 0o700
	trashDir     = "trash"
	newPrefix    = "dovetail-new."
	inbox        = "INBOX"
)

// Tree is one user's mail directories.
type Tree struct {
	Options Options
	Naming  layout.Naming

	Mail, Index, Control *disk.Dir // Index and Control may be Mail
	Alt, Attachments     *disk.Dir // nil if there is none
}

// Open opens the roots of a store of the format named.
func Open(format string, o Options) (*Tree, error) {
	if o.Layout != "" && o.Layout != "fs" && o.Layout != "index" {
		return nil, fmt.Errorf("layout %q: %s has fs and index", o.Layout, format)
	}
	t := &Tree{Options: o}
	t.Naming = layout.Naming{Separator: '/', UTF8: o.UTF8, Escape: o.Escape, Reserved: []string{MailsDir}, Format: format}
	if err := t.openRoots(); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Tree) openRoots() (err error) {
	if t.Mail, err = t.openRoot(t.Options.Root); err != nil {
		return err
	}
	t.Index, t.Control = t.Mail, t.Mail
	if t.Options.Index != "" && t.Options.Index != t.Options.Root {
		if t.Index, err = t.openRoot(t.Options.Index); err != nil {
			return err
		}
	}
	if t.Options.Control != "" && t.Options.Control != t.Options.Root {
		if t.Control, err = t.openRoot(t.Options.Control); err != nil {
			return err
		}
	}
	if t.Options.Attachments != "" {
		if t.Attachments, err = t.Options.FS.OpenRoot(t.Options.Attachments); err != nil {
			return fmt.Errorf("attachment root: %w", err)
		}
	}
	return t.openAlt()
}

func (t *Tree) openRoot(path string) (*disk.Dir, error) {
	if t.Options.Create {
		return t.Options.FS.MakeRoot(path, rootMode)
	}
	return t.Options.FS.OpenRoot(path)
}

// openAlt opens the alt root. One that is named but cannot be opened is an error: its disk may not be mounted, and then
// messages would seem to be gone. The link may have been planted by the mail user, so it is followed only to a
// directory with the owner of the mail root.
func (t *Tree) openAlt() (err error) {
	if t.Options.Alt != "" {
		t.Alt, err = t.openRoot(t.Options.Alt)
		return err
	}
	target, err := t.Mail.Readlink(altLink)
	if err != nil {
		if exists, err := disk.Exists(err); err != nil || exists {
			return fmt.Errorf("alt storage: %w", err)
		}
		return nil
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(t.Options.Root, target)
	}
	alt, err := t.Options.FS.OpenRoot(target)
	if err != nil {
		return fmt.Errorf("alt storage, from the link %s: %w", altLink, err)
	}
	t.Alt = alt
	mail, err := t.Mail.StatSelf()
	if err != nil {
		return err
	}
	there, err := alt.StatSelf()
	if err == nil && there.UID != mail.UID {
		err = fmt.Errorf("alt storage: the link %s/%s leads to %s, which belongs to another user\nname it in the location (ALT=%s) if that is right",
			t.Options.Root, altLink, target, target)
	}
	return err
}

// Close gives the handles back.
func (t *Tree) Close() error {
	closed := map[*disk.Dir]bool{nil: true}
	for _, d := range []*disk.Dir{t.Mail, t.Index, t.Control, t.Alt, t.Attachments} {
		if !closed[d] {
			d.Close()
			closed[d] = true
		}
	}
	return nil
}

// Place is where the mail root is.
func (t *Tree) Place() string {
	st, err := t.Mail.StatSelf()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// Claim claims the mail root.
func (t *Tree) Claim() (release func(), err error) { return t.Mail.Claim() }

func (t *Tree) failOr(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return t.fail(op, name, err)
}

func (t *Tree) fail(op, name string, err error) error {
	if e, ok := errors.AsType[*formats.Error](err); ok && e.Mailbox == name {
		return err
	}
	return &formats.Error{Op: op, Mailbox: name, Err: err}
}
