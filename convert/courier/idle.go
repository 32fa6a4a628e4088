package courier

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"time"

	"dovetail/formats/disk"
)

// What the servers write in a folder while clients work. Mail that arrives is in new/ and changes none of it.
var (
	courierWrites = []string{"courierimapuiddb", "courierimapkeywords", "courierpop3dsizelist", "courierimapsubscribed", "courierimapacl", "cur"}
	dovecotWrites = []string{"dovecot-uidlist", "dovecot-keywords", "dovecot.index.log", "subscriptions", "dovecot-acl", "cur"}
)

// idlePoll is how often a Maildir that is to become quiet is looked at.
const idlePoll = 100 * time.Millisecond

// waitIdle waits until the source's server has written nothing for Options.WaitIdle.
func (r *run) waitIdle(ctx context.Context) error {
	if r.opts.WaitIdle <= 0 {
		return nil
	}
	last, err := r.activity()
	since := time.Now()
	for err == nil && time.Since(since) < r.opts.WaitIdle {
		t := time.NewTimer(min(idlePoll, r.opts.WaitIdle))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		var now uint64
		if now, err = r.activity(); now != last {
			last, since = now, time.Now()
		}
	}
	return err
}

// activity is a number that changes with whatever the source's server writes in any folder.
func (r *run) activity() (uint64, error) {
	writes := courierWrites
	if r.opts.To == ToCourier {
		writes = dovecotWrites
	}
	names, err := r.root.Names()
	if err != nil {
		return 0, err
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
		err = stamp(h, d, writes)
		d.Close()
		if err != nil {
			return 0, err
		}
	}
	return h.Sum64(), nil
}

func stamp(h interface{ Write([]byte) (int, error) }, d *disk.Dir, names []string) error {
	for _, name := range names {
		st, err := d.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprint(h, d.Path(), name, st.ID)
	}
	return nil
}
