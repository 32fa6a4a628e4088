package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index"
	"dovetail/formats/index/cache"
	"dovetail/formats/index/translog"
	"dovetail/formats/mbox"
)

func newDump() *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:   "dump FILE",
		Short: "Print a file of any format with byte offsets",
		Long: `Print what is in a file of a mail store, each part with the byte at which it
begins. The kind of file is known from its name, else from its first bytes, else
from --as KIND. The first line printed is the kind.

Kinds:
` + kindsHelp() + exitHelp(exitDone, exitFailed, exitUsage, exitData, exitNotFound, exitPermission),
		Example: `  dovetail dump /srv/mail/ann/mailboxes/INBOX/dbox-Mails/dovecot.index.log
  dovetail dump /srv/mail/ann/mailboxes/INBOX/dbox-Mails/u.17
  dovetail dump --as mbox /tmp/old-mail.bak`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return dump(cmd.OutOrStdout(), given[0], as)
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "the `KIND` of the file")
	return cmd
}

// kind is one kind of file that dump knows.
type kind struct {
	name, about string
	names       []string                // how the name of the file ends; nil: any
	head        func(first []byte) bool // whether the first bytes fit; nil: any
	dump        func(w io.Writer, r io.ReaderAt, size int64) error
}

func (k kind) named(file string) bool {
	return k.names == nil || slices.ContainsFunc(k.names, func(end string) bool { return strings.HasSuffix(file, end) })
}

// kinds in the order in which they are tried.
var kinds = []kind{
	{"log", "Dovecot's transaction log", []string{".log", ".log.2"}, nil, translog.Dump},
	{"cache", "Dovecot's cache of message data", []string{".cache"}, nil, cache.Dump},
	{"index", "Dovecot's index", []string{".index", ".index.backup"}, nil, index.Dump},
	{"dbox", "sdbox and mdbox message files", nil, isDbox, dumpDbox},
	{"mbox", "mbox", nil, isMbox, mbox.Dump},
	{"lines", "text: uid lists, keywords, subscriptions, a message", nil, isText, dumpLines},
}

func kindsHelp() string {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "  %-6s %s\n", k.name, k.about)
	}
	return b.String()
}

func dump(w io.Writer, path, as string) error {
	root, err := (&disk.FS{ReadOnly: true}).OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.Open(filepath.Base(path))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	k, err := kindOf(path, as, f)
	if err != nil {
		return err
	}
	out := newLines(w)
	fmt.Fprintf(out, "%s: %s, %d bytes\n", path, k.about, info.Size)
	err = k.dump(out, f, info.Size)
	return also(err, out.Flush())
}

// kindOf recognises a file.
func kindOf(path, as string, r io.ReaderAt) (kind, error) {
	if as != "" {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == as })
		if i < 0 {
			return kind{}, usagef("no such kind of file: %s", as)
		}
		return kinds[i], nil
	}
	first := make([]byte, 512)
	n, err := r.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return kind{}, err
	}
	for _, k := range kinds {
		if k.named(filepath.Base(path)) && (k.head == nil || k.head(first[:n])) {
			return k, nil
		}
	}
	return kind{}, &fs.PathError{Op: "dump", Path: path, Err: formats.Corrupt("no kind of file that is known; --as says which it is")}
}

func isMbox(first []byte) bool { return bytes.HasPrefix(first, []byte("From ")) }

func isDbox(first []byte) bool {
	return bytes.HasPrefix(first, []byte("1 ")) && bytes.Contains(first, []byte(" M")) || bytes.HasPrefix(first, []byte("2 M"))
}

// isText tells that there are no NUL bytes; the end of first may lie in the middle of a character.
func isText(first []byte) bool {
	return bytes.IndexByte(first, 0) < 0 && utf8.Valid(first[:max(0, len(first)-utf8.UTFMax)])
}
