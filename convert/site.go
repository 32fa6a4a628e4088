package convert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/location"
	"dovetail/sync"
)

// Options say how a site is moved.
type Options struct {
	// Jobs is how many mailboxes are worked on at a time, of however many users; 0: one for each processor.
	Jobs int

	Mailboxes []string // as in sync.Options
	RemoveOwn bool     // as in sync.Options
	DryRun    bool     // nothing is written
	Verify    bool     // both sides are compared afterwards

	// Done is told of each user when he is done, by one goroutine at a time.
	Done func(*UserReport)

	Progress *Progress    // nil: not wanted
	Log      *slog.Logger // nil: nothing is logged
}

// site is one run.
type site struct {
	Options
	do     func(*site, context.Context, *one) error // for one user
	slots  sync.Slots
	report *Report
}

// one is a user who is to be worked on.
type one struct {
	User
	look, make *disk.FS
	messages   int // in the source
	r          *UserReport
}

// Run moves the mail of all users. The error is for what ended the whole run: users who cannot be listed, or a context that is
// over; the report is there also then and says what was done. What is wrong with single users is in the report.
func Run(ctx context.Context, users Users, o Options) (*Report, error) {
	return run(ctx, users, o, "convert", (*site).move)
}

// Verify reads both sides of all users and writes nothing. Otherwise it is as Run.
func Verify(ctx context.Context, users Users, o Options) (*Report, error) {
	return run(ctx, users, o, "verify", (*site).compare)
}

func run(ctx context.Context, users Users, o Options, verb string, do func(*site, context.Context, *one) error) (*Report, error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Done == nil {
		o.Done = func(*UserReport) {}
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	s := &site{Options: o, do: do, slots: sync.NewSlots(o.Jobs), report: &Report{Verb: verb, DryRun: o.DryRun, Started: time.Now()}}
	all, err := s.gather(users)
	if err == nil {
		err = s.survey(ctx, all)
	}
	if err == nil {
		slices.SortStableFunc(all, func(a, b *one) int { return cmp.Compare(b.messages, a.messages) })
		err = s.workAll(ctx, all)
	}
	s.report.finish(err)
	return s.report, err
}

// gather lists the users; who cannot be worked on is done with.
func (s *site) gather(users Users) (all []*one, err error) {
	owners := map[string]string{} // by place of the target
	for u, err := range users {
		wrong, his := errors.AsType[*UserError](err)
		if err != nil && !his {
			return nil, fmt.Errorf("users cannot be listed: %w", err)
		}
		o := &one{User: u, r: &UserReport{User: u.Name}}
		if his {
			o.r.User = cmp.Or(u.Name, wrong.Name)
			s.aside(o, wrong.Err)
			continue
		}
		o.r.Source, o.r.Target = u.Source.String(), u.Target.String()
		if o.look, o.make, err = o.settle(); err == nil {
			err = o.apart(owners)
		}
		if err != nil {
			s.aside(o, err)
			continue
		}
		all = append(all, o)
	}
	s.Progress.UsersTotal.Store(int64(len(all)))
	return all, nil
}

// apart refuses a target that is another user's, or the source itself.
func (o *one) apart(owners map[string]string) error {
	for _, path := range o.Target.Paths() {
		place := realPath(path)
		if before, taken := owners[place]; taken && before != o.Name {
			return fmt.Errorf("%s is the target of %s, too: mail of both would be mixed", path, before)
		}
		owners[place] = o.Name
	}
	return Apart(o.Source, o.Target)
}

// Apart refuses two places that are the same, or one of which the other would take for mailboxes of its own. However the way
// to them is written, and whether they exist or not, does not matter.
func Apart(src, dst location.Location) error {
	for _, from := range src.Paths() {
		for _, to := range dst.Paths() {
			if sameFile(from, to) || realPath(from) == realPath(to) {
				return sync.ErrSameStore
			}
		}
	}
	if src.Holds(dst.Root) {
		return fmt.Errorf("%s lies within the source, which would take it for mailboxes of its own", dst.Root)
	}
	if dst.Holds(src.Root) {
		return fmt.Errorf("%s lies within the target, which would take it for mailboxes of its own", src.Root)
	}
	return nil
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// realPath follows the links of the part of a path that exists.
func realPath(path string) string {
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		up := filepath.Dir(path)
		if up == path {
			return filepath.Join(path, rest)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = up
	}
}

// survey counts what users have, which decides the order. What is wrong with a source shows when it is moved.
func (s *site) survey(ctx context.Context, all []*one) error {
	workers, wctx := errgroup.WithContext(ctx)
	workers.SetLimit(s.Jobs)
	for _, o := range all {
		workers.Go(func() error {
			o.messages = o.count(wctx, s.Mailboxes)
			s.Progress.Found.Add(int64(o.messages))
			return wctx.Err()
		})
	}
	return workers.Wait()
}

func (o *one) count(ctx context.Context, wanted []string) (n int) {
	store, err := location.Open(ctx, o.Source, location.Options{FS: o.look})
	if err != nil {
		return 0
	}
	defer store.Close()
	boxes, err := store.Mailboxes(ctx)
	if err != nil {
		return 0
	}
	for _, b := range boxes {
		if b.NoSelect || !sync.Wanted(wanted, b.Name) {
			continue
		}
		if mbox, err := store.Open(ctx, b.Name); err == nil {
			if status, err := mbox.Status(ctx); err == nil {
				n += int(status.Messages)
			}
			mbox.Close()
		}
	}
	return n
}

// workAll works on the users in their order.
func (s *site) workAll(ctx context.Context, all []*one) error {
	workers, wctx := errgroup.WithContext(ctx)
	workers.SetLimit(s.Jobs)
	for _, o := range all {
		if wctx.Err() != nil {
			break
		}
		workers.Go(func() error {
			begun := time.Now()
			err := s.do(s, wctx, o)
			o.r.Seconds = time.Since(begun).Seconds()
			s.aside(o, err)
			return wctx.Err()
		})
	}
	return errors.Join(workers.Wait(), ctx.Err())
}

// aside is done with a user: with what went wrong, or well.
func (s *site) aside(o *one, err error) {
	if err != nil {
		o.r.Error = reason(err)
	}
	s.Progress.Users.Add(1)
	s.report.add(o.r, s.Done)
}

// reason says why in words that need no look at a manual.
func reason(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped; run the same again: it goes on where this run ended"
	case errors.Is(err, fs.ErrNotExist):
		return "no mail: " + err.Error()
	}
	return err.Error()
}

// move does one user.
func (s *site) move(ctx context.Context, o *one) error {
	src, err := location.Open(ctx, o.Source, location.Options{FS: o.look})
	if err != nil {
		return err
	}
	defer src.Close()
	dst, done, err := s.openTarget(ctx, o)
	if err != nil {
		return err
	}
	defer done()
	if o.r.Report, err = sync.Mirror(ctx, src, dst, s.options(o)); err != nil {
		return err
	}
	o.r.Report.DryRun = s.DryRun
	if !s.Verify || s.DryRun {
		return nil
	}
	return s.compare(ctx, o)
}

// compare opens both sides anew and reads them.
func (s *site) compare(ctx context.Context, o *one) error {
	src, err := location.Open(ctx, o.Source, location.Options{FS: o.look})
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := location.Open(ctx, o.Target, location.Options{FS: o.look})
	if err != nil {
		return err
	}
	defer dst.Close()
	options := s.options(o)
	if o.r.Report != nil {
		options.Progress = nil // which has counted the messages already
	}
	o.r.Verified, err = sync.Verify(ctx, src, dst, options)
	return err
}

func (s *site) options(o *one) sync.Options {
	return sync.Options{Jobs: s.Jobs, Slots: s.slots, Mailboxes: s.Mailboxes, RemoveOwn: s.RemoveOwn, Source: o.Source.Identity(),
		Progress: &s.Progress.Progress, Log: s.Log}
}

// openTarget opens the target, for a dry run so that nothing happens to it.
func (s *site) openTarget(ctx context.Context, o *one) (dst formats.Store, done func(), err error) {
	if s.DryRun {
		return location.OpenDry(ctx, o.Target, o.look, func(verb, mailbox, detail string) {})
	}
	if err := o.makeParents(); err != nil {
		return nil, nil, err
	}
	dst, err = location.Open(ctx, o.Target, location.Options{FS: o.make, Create: true})
	if err != nil {
		return nil, nil, err
	}
	return dst, func() { dst.Close() }, nil
}
