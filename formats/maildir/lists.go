package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/layout"
)

// Lists says whose control files a store goes by.
type Lists uint8

const (
	// DovecotLists are dovecot-uidlist and dovecot-keywords. Where there is no uidlist, Courier's files are read.
	DovecotLists Lists = iota

	// Courier4Lists are courierimapuiddb, courierpop3dsizelist (written as version 2) and courierimapkeywords; folder
	// names on disk are modified UTF-7. Dovecot's files are not looked at. Courier-IMAP 4.x and older.
	Courier4Lists

	// Courier5Lists are the same with a POP3 list of version 3 and folder names in UTF-8. Courier-IMAP 5.x.
	Courier5Lists
)

func (l Lists) String() string {
	switch l {
	case Courier4Lists:
		return "Courier 4"
	case Courier5Lists:
		return "Courier 5"
	}
	return "Dovecot"
}

// courier tells whether the lists are Courier's.
func (l Lists) courier() bool { return l != DovecotLists }

// DetectCourier tells which Courier wrote the tree below root, a user's Maildir, and why in words. Bytes above 127 in a
// folder's name or in the subscriptions and a POP3 list of version 3 are Courier 5's; a POP3 list below version 2 and
// names in modified UTF-7 are Courier 4's. Without any of these it is Courier 4, and sure is false when there are names
// that the two would read differently: why lists them.
func DetectCourier(ctx context.Context, root *disk.Dir) (lists Lists, sure bool, why string, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, "", err
	}
	version, err := pop3ListVersion(root)
	if err != nil {
		return 0, false, "", err
	}
	if version == 3 {
		return Courier5Lists, true, courierPOP3Name + " is of version 3", nil
	}
	names, err := courierNames(root)
	if err != nil {
		return 0, false, "", err
	}
	var coded, doubtful []string
	for _, name := range names {
		if strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) >= 0 {
			return Courier5Lists, true, fmt.Sprintf("%q has bytes above 127", name), nil
		}
		if !strings.Contains(name, "&") {
			continue
		}
		if _, err := layout.DecodeMUTF7(name); err == nil {
			coded = append(coded, name)
		} else {
			doubtful = append(doubtful, name)
		}
	}
	switch {
	case version >= 0 && version < 2:
		return Courier4Lists, true, fmt.Sprintf("%s is of version %d, which Courier 5 throws away", courierPOP3Name, version), nil
	case len(doubtful) > 0:
		return Courier4Lists, false, fmt.Sprintf("ambiguous names: %q (Courier 5 means the & itself)", doubtful), nil
	case len(coded) > 0:
		return Courier4Lists, true, fmt.Sprintf("%q is modified UTF-7", coded[0]), nil
	}
	return Courier4Lists, true, "nothing in it differs between Courier 4 and 5", nil
}

// courierNames are the names of folders on disk and of subscriptions.
func courierNames(root *disk.Dir) ([]string, error) {
	var names []string
	err := root.Each(func(name []byte, kind fs.FileMode) error {
		if len(name) > 1 && name[0] == '.' && kind == fs.ModeDir && !bytes.HasPrefix(name, []byte("..DOVECOT-")) {
			names = append(names, string(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := root.ReadFile(courierSubscribedName, maxControl)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range ParseCourierSubscribed(text) {
		if _, ok := courierFolder(name); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// pop3ListVersion is that of the POP3 list; -1 when there is none.
func pop3ListVersion(root *disk.Dir) (int, error) {
	text, err := root.ReadFile(courierPOP3Name, maxControl)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	header, _, err := parseCourierPOP3Header(text)
	if err != nil || len(text) == 0 {
		return -1, nil // says nothing
	}
	return header.Version, nil
}
