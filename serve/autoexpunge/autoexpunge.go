// Package autoexpunge removes old messages from mailboxes whose settings say so:
//
//	mailbox Trash {
//	  autoexpunge = 30 days            by the time at which they came into the mailbox
//	  autoexpunge_max_mails = 1000     the oldest of those that are too many
//	}
//
// It is done when a session of the user ends and behind a delivery, as by Dovecot 2.3.19
// (src/lib-storage/mail-autoexpunge.c). Messages go from the oldest on, up to the first that is young enough. A mailbox
// that was renamed counts its messages from then on: what was moved to the trash as a whole stays there as long as what
// was moved one by one.
package autoexpunge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"dovetail/formats"
	"dovetail/formats/parsed"
	"dovetail/serve/config/options"
	"dovetail/serve/namespace"
	"dovetail/sync/watch"
)

// Cleaner does it for all users of a process. A nil one does nothing. It may be used by several goroutines.
type Cleaner struct {
	Hub *watch.Hub
	Now func() time.Time // nil: time.Now

	mu   sync.Mutex
	busy map[string]bool // users whose mail is being looked through
}

// Clean removes what is due in a user's mailboxes, and gives the number of messages. While another session does that
// already nothing is done. What fails is logged; it is tried again at the next time.
func (c *Cleaner) Clean(ctx context.Context, u *namespace.User, log func(level slog.Level, text string)) (removed int) {
	if !c.Wanted(u) || ctx.Err() != nil || !c.begin(u.Name) {
		return 0
	}
	defer c.end(u.Name)
	for _, s := range u.Spaces {
		for _, set := range s.Mailboxes {
			if set.Autoexpunge == 0 && set.AutoexpungeMaxMails == 0 || s.IsAlias() {
				continue
			}
			names, err := fitting(ctx, u, s, set.Name)
			if err != nil {
				log(slog.LevelError, fmt.Sprintf("Failed to iterate autoexpunge mailboxes '%s': %v", s.Prefix+set.Name, err))
			}
			for _, m := range names {
				n, err := c.clean(ctx, m, set)
				if err != nil {
					log(slog.LevelError, fmt.Sprintf("Failed to autoexpunge mailbox '%s': %v", m.Full, err))
				}
				removed += n
			}
		}
	}
	return removed
}

// Wanted tells whether messages expire in any mailbox of a user.
func (c *Cleaner) Wanted(u *namespace.User) bool {
	if c == nil {
		return false
	}
	for _, s := range u.Spaces {
		for _, set := range s.Mailboxes {
			if set.Autoexpunge > 0 || set.AutoexpungeMaxMails > 0 {
				return true
			}
		}
	}
	return false
}

func (c *Cleaner) begin(user string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[user] {
		return false
	}
	if c.busy == nil {
		c.busy = map[string]bool{}
	}
	c.busy[user] = true
	return true
}

func (c *Cleaner) end(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, user)
}

// fitting gives the mailboxes of a name, in which "*" and "?" may be.
func fitting(ctx context.Context, u *namespace.User, s *namespace.Space, name string) ([]namespace.Mailbox, error) {
	if strings.ContainsAny(name, "*?") {
		return s.Fitting(ctx, name)
	}
	m, err := u.Find(strings.TrimSuffix(s.Prefix+name, string(s.Separator)))
	if err != nil {
		return nil, err
	}
	return []namespace.Mailbox{m}, nil
}

// clean removes what is due in one mailbox, if it is there.
func (c *Cleaner) clean(ctx context.Context, m namespace.Mailbox, set options.Mailbox) (int, error) {
	store, err := m.Space.Store(ctx)
	if err != nil {
		return 0, err
	}
	box, err := c.Hub.Open(ctx, store, m.Name)
	if errors.Is(err, formats.ErrNoMailbox) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer box.Close()
	now := time.Now()
	if c.Now != nil {
		now = c.Now()
	}
	due := due{ctx: ctx, box: box, now: now, most: set.AutoexpungeMaxMails}
	if set.Autoexpunge > 0 {
		due.until = now.Add(-set.Autoexpunge)
		if err := remembering(ctx, box); err != nil {
			return 0, err
		}
	}
	uids, err := due.find()
	if len(uids) == 0 {
		return 0, err
	}
	_, failed := box.Update(ctx, func(tx formats.Tx) error { return tx.Expunge(uids) })
	if failed != nil {
		return 0, errors.Join(err, failed)
	}
	return uids.Len(), err
}

// remembering makes sure that there is a place for when messages came in, beside the mailbox's index.
func remembering(ctx context.Context, box *watch.Box) error {
	s, ok := box.Mailbox.(formats.Sidecar)
	if !ok || box.Snapshot().Status.Messages == 0 {
		return nil
	}
	dir, _, err := s.Side()
	if errors.Is(err, fs.ErrNotExist) {
		_, err = box.Update(ctx, namespace.WithIndex)
		return err
	}
	if err == nil {
		dir.Close()
	}
	return err
}

// due finds what is too old or too much.
type due struct {
	ctx   context.Context
	box   *watch.Box
	now   time.Time
	until time.Time // what came then or before goes; zero: age does not count
	most  uint32    // messages that stay; 0: any number

	known *parsed.Cache
	read  *parsed.Reader
}

func (d *due) find() (uids formats.Ranges, err error) {
	v := d.box.Snapshot()
	stays := d.until.IsZero() || namespace.Renamed(d.box.Mailbox).After(d.until)
	if !stays {
		d.known = d.box.Parsed()
		d.read = d.known.Reader()
		defer d.known.Flush()
		if err := d.note(v); err != nil {
			return nil, err
		}
	}
	v.Each(1, v.Len(), func(seq uint32, m watch.Record) bool {
		if d.most > 0 && v.Len()-seq+1 > d.most {
			uids.Add(m.UID)
			return true
		}
		if stays || d.ctx.Err() != nil {
			return false
		}
		saved, _, failed := d.saved(m.UID)
		switch {
		case errors.Is(failed, formats.ErrNoMessage):
			return true
		case failed != nil:
			err = failed
			return false
		case saved.After(d.until):
			return false
		}
		uids.Add(m.UID)
		return true
	})
	return uids, err
}

// note makes messages count from now on that came in since the last time, where nothing else tells when they did.
func (d *due) note(v *watch.Snapshot) error {
	for seq := v.Len(); seq > 0 && d.ctx.Err() == nil; seq-- {
		switch _, known, err := d.saved(v.At(seq).UID); {
		case known:
			return nil
		case err != nil && !errors.Is(err, formats.ErrNoMessage):
			return err
		}
	}
	return nil
}

// saved is when a message came into the mailbox. Where that is not kept, as in an mbox, it counts from the first time that
// somebody asks, as by Dovecot (mbox_mail_get_save_date); known is false at that time.
func (d *due) saved(uid formats.UID) (at time.Time, known bool, err error) {
	data, ok := d.read.Get(uid, -1)
	if ok && data.HasSaved {
		return time.Unix(data.Saved, 0), true, nil
	}
	m := formats.Message{UID: uid}
	body, err := d.box.Body(d.ctx, &m)
	if err != nil {
		return time.Time{}, false, err
	}
	defer body.Close()
	known = !m.SaveDate.IsZero()
	if !known {
		m.SaveDate = d.now
	}
	is := parsed.Data{Size: body.Size(), VirtualSize: -1}
	if ok && data.Size == is.Size {
		is = *data
	}
	is.Saved, is.HasSaved = m.SaveDate.Unix(), true
	d.known.Put(uid, &is)
	return m.SaveDate, known, nil
}
