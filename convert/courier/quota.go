package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

// longSize is the size from which on Courier adds maildirsize up anew.
const longSize = 5120

// planSize checks maildirsize, which both servers keep in the same form. Its sums are kept when they are those of the
// messages: in cur and new of all folders but Trash, without messages marked as deleted, the size in the name before
// that of the file (maildirquota of Courier-IMAP). Otherwise they are made anew; limits are never touched. After a
// conversion the file is the other server's: without other work to do nothing is counted.
func (r *run) planSize() error {
	text, _, err := readSmall(r.root, maildir.MaildirSizeName)
	if err != nil && single(err) {
		r.Problems = append(r.Problems, Problem{Path: maildir.MaildirSizeName, What: err.Error(), Fate: "left alone"})
		return nil
	}
	if text == nil || err != nil || len(r.actions) == 0 {
		return err
	}
	size, skipped, err := maildir.ParseMaildirSize(text)
	if err != nil {
		r.Problems = append(r.Problems, Problem{Path: maildir.MaildirSizeName, What: err.Error(), Fate: "left alone: no limits are known"})
		return nil
	}
	if r.opts.To == ToDovecot && (size.Bytes > 0 || size.Messages > 0) {
		r.note("", "the quota %s does not count Trash; in Dovecot that is quota_rule2 = Trash:ignore", maildir.FormatMaildirQuota(size.Bytes, size.Messages))
	}
	bytes, messages, err := r.count(false)
	if err != nil {
		r.Problems = append(r.Problems, Problem{Path: maildir.MaildirSizeName, What: fmt.Sprintf("the messages cannot be counted: %v", err), Fate: "left alone"})
		return nil
	}
	said, saidMessages := size.Used()
	if said == bytes && saidMessages == messages && skipped == 0 && len(text) < longSize {
		return nil
	}
	why := fmt.Sprintf("it says %d bytes in %s, counted are %d in %d", said, countOf(int(saidMessages), "message"), bytes, messages)
	r.add(Step{Kind: WriteFile, To: maildir.MaildirSizeName, Why: why}, func(context.Context) error {
		bytes, messages, err := r.count(true)
		if err != nil {
			return err
		}
		size.Changes = []maildir.SizeChange{{Bytes: bytes, Messages: messages}}
		return replace(r.root, maildir.MaildirSizeName, maildir.AppendMaildirSize(nil, size))
	})
	return nil
}

// count adds up what the quota counts; renamed tells that the folders have their new names.
func (r *run) count(renamed bool) (bytes, messages int64, err error) {
	for _, f := range r.folders {
		path := f.found
		if renamed {
			path = f.path
		}
		if path == ".Trash" {
			continue
		}
		for _, sub := range []string{"cur", "new"} {
			d, err := r.root.OpenDir(dirName(path) + "/" + sub)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, disk.ErrNotRegular) {
				continue // a link is no folder of this user
			}
			if err != nil {
				return 0, 0, err
			}
			b, n, err := countIn(d)
			d.Close()
			if err != nil {
				return 0, 0, err
			}
			bytes, messages = bytes+b, messages+n
		}
	}
	return bytes, messages, nil
}

func countIn(d *disk.Dir) (bytes, messages int64, err error) {
	err = d.Each(func(raw []byte, kind fs.FileMode) error {
		name := string(raw)
		base, flags, _ := strings.Cut(name, ":2,")
		if name[0] == '.' || kind != 0 || strings.Contains(flags, "T") {
			return nil
		}
		size, ok := nameSize(base)
		if !ok {
			st, err := d.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			size = st.Size
		}
		bytes, messages = bytes+size, messages+1
		return nil
	})
	return bytes, messages, err
}

// nameSize reads ",S=" in a file's name.
func nameSize(base string) (int64, bool) {
	_, field, ok := strings.Cut(base, ",S=")
	if !ok {
		return 0, false
	}
	field, _, _ = strings.Cut(field, ",")
	n, err := strconv.ParseInt(field, 10, 64)
	return n, err == nil && n >= 0
}
