package courier

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"dovetail/formats/disk"

	"golang.org/x/sys/unix"
)

// What the servers write in a folder while clients work. Mail that arrives is in new/ and changes none of it.
var (
	courierWrites = []string{"courierimapuiddb", "courierimapkeywords", "courierpop3dsizelist", "courierimapsubscribed", "courierimapacl", "cur", "tmp/" + courierLock}
	dovecotWrites = []string{"dovecot-uidlist", "dovecot-keywords", "dovecot.index.log", "subscriptions", "dovecot-acl", "cur", "dovecot-uidlist.lock"}
)

// idlePoll is how often a Maildir that is to become quiet is looked at, at most.
const idlePoll = 100 * time.Millisecond

// clockSkew is how far the clocks of a file system and of this host may be apart.
const clockSkew = time.Minute

// lookForCourier fails with errRunning while Courier holds its lock of a folder, which it does as long as it scans it,
// unless IMAP_USELOCKS is 0. A lock of a process of this host that is dead does not count.
func (r *run) lookForCourier(f *folder) error {
	if r.opts.IgnoreRunning || r.opts.WaitIdle > 0 {
		return nil
	}
	tmp, err := r.root.OpenDir(dirName(f.found) + "/tmp")
	if err != nil {
		return nil // no lock can be there
	}
	defer tmp.Close()
	text, err := tmp.ReadFile(courierLock, 1024)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	pid, host, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	n, notNumber := strconv.Atoi(pid)
	if self, _ := os.Hostname(); err == nil && notNumber == nil && n > 0 && host == self && unix.Kill(n, 0) == unix.ESRCH {
		return nil
	}
	return fmt.Errorf("%w: it holds its lock of %s, %s", errRunning, f.name, tmp.Path()+"/"+courierLock)
}

const courierLock = "courier.lock"

// waitIdle waits until the source's server has written nothing for Options.WaitIdle. What was left alone for longer by its
// time stamps needs no waiting, so that a site of many users waits only for those who were there last, and for these at once.
func (r *run) waitIdle(ctx context.Context) error {
	if r.opts.WaitIdle <= 0 {
		return nil
	}
	last, written, err := r.activity()
	if err != nil || time.Since(written) > r.opts.WaitIdle+clockSkew {
		return err
	}
	if r.opts.aside != nil {
		defer r.opts.aside()()
	}
	since := time.Now()
	for err == nil && time.Since(since) < r.opts.WaitIdle {
		t := time.NewTimer(min(max(idlePoll, r.opts.WaitIdle/8), r.opts.WaitIdle))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		var now uint64
		if now, _, err = r.activity(); now != last {
			last, since = now, time.Now()
		}
	}
	return err
}

// activity is a number that changes with whatever the source's server writes in any folder, and when it wrote last.
func (r *run) activity() (uint64, time.Time, error) {
	var written time.Time
	writes := courierWrites
	if r.opts.To == ToCourier {
		writes = dovecotWrites
	}
	names, err := r.root.Names()
	if err != nil {
		return 0, written, err
	}
	h := fnv.New64a()
	for _, folder := range append(names, ".") {
		if folder[0] != '.' {
			continue
		}
		d, err := r.root.OpenDir(folder)
		if err != nil {
			continue // no folder, or none that anything is read from
		}
		when, err := stamp(h, d, writes)
		d.Close()
		if err != nil {
			return 0, written, err
		}
		if when.After(written) {
			written = when
		}
	}
	return h.Sum64(), written, nil
}

// stamp adds the state of files to a number and gives the time of the last change, which nobody can set.
func stamp(h io.Writer, d *disk.Dir, names []string) (last time.Time, err error) {
	for _, name := range names {
		st, err := d.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return last, err
		}
		fmt.Fprint(h, d.Path(), name, st.ID)
		if when := time.Unix(st.CTime.Unix()); when.After(last) {
			last = when
		}
	}
	return last, nil
}
