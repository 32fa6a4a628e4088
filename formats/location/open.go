package location

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/maildir"
	"dovetail/formats/mbox"
	"dovetail/formats/mdbox"
	"dovetail/formats/sdbox"
)

// Options of Open.
type Options struct {
	FS     *disk.FS // FS.ReadOnly opens a source
	Create bool     // make a missing root; without it a missing one wraps fs.ErrNotExist

	// Rotation says how the files of an mdbox grow.
	Rotation mdbox.Rotation

	// Locks says how long the locks of mbox files are waited for.
	Locks mbox.Locks

	// Mended is told what a store has mended by itself; nil: damage is left to check and repair. Only sdbox and mdbox do so;
	// what Maildir and mbox keep beside their messages is made anew in any case.
	Mended func(text string)
}

// Open opens the store of a location. The driver of a location without one is found by looking (Detect).
func Open(ctx context.Context, l Location, o Options) (formats.Store, error) {
	if l.Driver == "" {
		driver, err := Detect(l.Root)
		if err != nil {
			return nil, err
		}
		l.Driver = driver
		if err := l.check(); err != nil {
			return nil, &Error{Location: l.String(), Problem: err.Error()}
		}
	}
	var escape byte
	if l.Escape != "" {
		escape = l.Escape[0]
	}
	switch l.Driver {
	case "maildir":
		return asStore(maildir.Open(ctx, maildir.Options{Root: l.Root, Control: l.Control, Index: l.Index, Inbox: l.Inbox,
			Layout: l.Layout, UTF8: l.UTF8, Escape: escape, FS: o.FS, Create: o.Create}))
	case "courier":
		lists, err := courierLists(ctx, l, o)
		if err != nil {
			return nil, err
		}
		return asStore(maildir.Open(ctx, maildir.Options{Root: l.Root, Lists: lists, FS: o.FS, Create: o.Create}))
	case "mbox":
		dialect, err := mbox.ParseDialect(l.Dialect)
		if err != nil {
			return nil, &Error{Location: l.String(), Problem: err.Error()}
		}
		return asStore(mbox.Open(ctx, mbox.Options{Root: l.Root, Inbox: l.Inbox, Index: l.Index, Control: l.Control,
			UTF8: l.UTF8, Escape: escape, FS: o.FS, Create: o.Create, Dialect: dialect, Locks: o.Locks}))
	case "mdbox":
		return asStore(mdbox.Open(ctx, mdbox.Options{Root: l.Root, Index: l.Index, Control: l.Control, Alt: l.Alt, Attachments: l.Attachments,
			Layout: l.Layout, UTF8: l.UTF8, Escape: escape, FS: o.FS, Mended: o.Mended, Create: o.Create, Rotation: o.Rotation}))
	case "sdbox":
		return asStore(sdbox.Open(ctx, sdbox.Options{Root: l.Root, Index: l.Index, Control: l.Control, Alt: l.Alt, Attachments: l.Attachments,
			Layout: l.Layout, UTF8: l.UTF8, Escape: escape, FS: o.FS, Mended: o.Mended, Create: o.Create}))
	}
	return nil, fmt.Errorf("driver %s: %w", l.Driver, errors.ErrUnsupported)
}

// courierLists gives the version of a Courier tree: the one that is said, else the one found.
func courierLists(ctx context.Context, l Location, o Options) (maildir.Lists, error) {
	switch l.Version {
	case "4":
		return maildir.Courier4Lists, nil
	case "5":
		return maildir.Courier5Lists, nil
	}
	root, err := o.FS.OpenRoot(l.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return maildir.Courier5Lists, nil
	}
	if err != nil {
		return 0, err
	}
	defer root.Close()
	lists, sure, why, err := maildir.DetectCourier(ctx, root)
	if err == nil && !sure {
		err = &Error{Location: l.String(), Problem: "which Courier wrote this tree? Say VERSION=4 or VERSION=5; " + why}
	}
	return lists, err
}

// asStore keeps a nil *T from becoming a Store that is not nil.
func asStore[S formats.Store](s S, err error) (formats.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Detect finds the format of what is at root, in Dovecot 2.3's order: mdbox, sdbox, Maildir, mbox
// (src/lib-storage/index/*/*-storage.c, autodetect).
func Detect(root string) (string, error) {
	info, err := os.Stat(root)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "mbox", nil
	}
	for _, look := range []struct{ driver, below string }{
		{"mdbox", "storage/dovecot.map.index.log"},
		{"mdbox", "storage/dovecot.map.index"},
		{"sdbox", "mailboxes"},
		{"maildir", "cur"},
		{"maildir", "new"},
		{"mbox", "inbox"},
		{"mbox", "INBOX"},
		{"mbox", "mbox"},
		{"mbox", ".imap"},
	} {
		if _, err := os.Lstat(filepath.Join(root, look.below)); err == nil {
			return look.driver, nil
		}
	}
	if hidden, _ := filepath.Glob(filepath.Join(root, ".*", "cur")); len(hidden) > 0 {
		return "maildir", nil // Maildir++ folders whose inbox is elsewhere
	}
	return "", fmt.Errorf("%s: %w: neither Maildir, mbox, sdbox nor mdbox; write the driver in front, as in maildir:%s", root, fs.ErrNotExist, root)
}
