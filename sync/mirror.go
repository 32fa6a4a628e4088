package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dovetail/formats"
)

// mirror is one run of Mirror.
type mirror struct {
	src, dst     formats.Store
	from, limits formats.Limits // the source's, the target's
	o            Options
	key          string // names the source in the note
	progress     *Progress
	log          *slog.Logger
	journal      *journal
	findings     findings
	independent  bool              // what earlier runs noted is not believed
	successor    map[*entry]*entry // what entries became when the target's mailboxes were renamed

	mu      sync.Mutex // guards reports
	reports []MailboxReport
}

// box is a mailbox of the source as the run begins.
type box struct {
	info   formats.Info
	status formats.Status
	entry  *entry // what earlier runs remember
}

// Mirror makes dst like src: it copies what is missing, carries over changes, and removes what an earlier run put into
// dst and src no longer has. What dst got from elsewhere is left alone. See the package doc for what is carried and
// what is announced. An error means that the run ended early; the report then tells what was done, and the same call
// goes on from there. While another run writes into dst the error wraps disk.ErrLocked. The report is nil only if nothing was begun.
func Mirror(ctx context.Context, src, dst formats.Store, o Options) (*Report, error) {
	if samePlace(src, dst) {
		return nil, ErrSameStore
	}
	if c, ok := dst.(formats.Claimer); ok {
		release, err := c.Claim()
		if err != nil {
			return nil, fmt.Errorf("another run is writing into the target: %w", err)
		}
		defer release()
	}
	m, err := begin(ctx, src, dst, o, "nothing: messages were recognised by what they are, and the record is written anew")
	if err != nil {
		return nil, err
	}
	r := newReport("mirror", m)
	err = m.run(ctx)
	// What is done is done, also after Ctrl-C: the next run should know.
	err = errors.Join(err, m.journal.flush(context.WithoutCancel(ctx)))
	m.finish(r)
	if err != nil {
		r.Unfinished, r.Next = err.Error(), "run the same again: it goes on where this run ended"
	}
	return r, err
}

// begin reads the note of earlier runs; next is what to say about a damaged one.
func begin(ctx context.Context, src, dst formats.Store, o Options, next string) (*mirror, error) {
	o.fill()
	m := &mirror{src: src, dst: dst, from: src.Limits(), limits: dst.Limits(), o: o, key: sourceKey(src, o),
		progress: o.Progress, log: o.Log, successor: map[*entry]*entry{}}
	j, damage, err := openJournal(ctx, dst)
	if err != nil {
		return nil, err
	}
	m.journal = j
	if damage != nil {
		m.findings.setAside("", 0, fmt.Errorf("the record of earlier runs in the target: %w", damage), next)
	}
	return m, nil
}

// fill puts the defaults in.
func (o *Options) fill() {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.GroupMessages <= 0 {
		o.GroupMessages = 4000
	}
	if o.GroupBytes <= 0 {
		o.GroupBytes = 64 << 20
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func place(s formats.Store) string {
	if p, ok := s.(formats.Placer); ok {
		return p.Place()
	}
	return ""
}

func samePlace(src, dst formats.Store) bool {
	return src == dst || place(src) != "" && place(src) == place(dst)
}

func sourceKey(src formats.Store, o Options) string {
	if o.Source != "" {
		return o.Source
	}
	return src.Limits().Format + ":" + place(src)
}

func (m *mirror) report(r MailboxReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports = append(m.reports, r)
}

func (m *mirror) finish(r *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.findings.report(r)
	slices.SortFunc(m.reports, func(a, b MailboxReport) int { return formats.CompareNames(a.Mailbox, b.Mailbox) })
	for i := range m.reports {
		mr := &m.reports[i]
		for _, s := range r.SetAside {
			if s.Mailbox == mr.Mailbox && s.UID != 0 {
				mr.SetAside++
			}
		}
		r.Totals.Add(mr.Counts)
	}
	r.Mailboxes = append(r.Mailboxes, m.reports...)
	r.Duration = time.Since(r.Started).Seconds()
}

// run does everything that needs an order: renames before copies, copies of several mailboxes at once, then deletions.
func (m *mirror) run(ctx context.Context) error {
	boxes, err := m.look(ctx)
	if err != nil {
		return err
	}
	_, there, err := m.listTarget(ctx)
	if err != nil {
		return err
	}
	left := m.recall(ctx, boxes, there)
	if err := m.journal.flush(ctx); err != nil { // renames that a run could not note any more, before their old names are used again
		return err
	}
	named := m.names(boxes)
	tasks, stuck, err := m.tasks(ctx, boxes, named, there)
	if err != nil {
		return err
	}
	used := m.used(boxes, named)
	left = m.unused(left, used)
	if m.limits.NoChildren { // a mailbox that goes may stand where a folder has to be
		if err := m.delete(ctx, boxes, left, there); err != nil {
			return err
		}
		left = nil
	}
	if err := m.carryAll(ctx, tasks); err != nil {
		return err
	}
	for _, mv := range stuck {
		if !m.findings.isAside(mv.name) { // else the old mailbox is all that the target has of it
			left = append(left, m.unused([]*entry{mv.entry}, used)...)
		}
	}
	if err := m.delete(ctx, boxes, left, there); err != nil {
		return err
	}
	return m.subscriptions(ctx, boxes, tasks)
}

// listTarget gives what the target has, in its order and by name.
func (m *mirror) listTarget(ctx context.Context) (infos []formats.Info, there map[string]formats.Info, err error) {
	infos, err = m.dst.Mailboxes(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the target's mailboxes: %w", err)
	}
	there = map[string]formats.Info{}
	for _, info := range infos {
		there[info.Name] = info
	}
	return infos, there, nil
}

func (m *mirror) carryAll(ctx context.Context, tasks []task) error {
	return m.each(ctx, len(tasks), func(ctx context.Context, i int) error { return m.mailbox(ctx, tasks[i]) })
}

// each does something for n mailboxes, several at a time. The first error ends it.
func (m *mirror) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	workers, wctx := errgroup.WithContext(ctx)
	workers.SetLimit(m.o.Jobs)
	for i := range n {
		if wctx.Err() != nil {
			break
		}
		workers.Go(func() error {
			if !m.o.Slots.take(wctx) {
				return wctx.Err()
			}
			defer m.o.Slots.give()
			return do(wctx, i)
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// used are the names in the target that belong to mailboxes the source has now.
func (m *mirror) used(boxes []*box, named map[string]naming) map[string]bool {
	used := map[string]bool{}
	for _, b := range boxes {
		if n, ok := named[b.info.Name]; ok && !m.bareParent(b, named) {
			used[n.target] = true
		}
	}
	return used
}

// unused are those entries, as renames left them, whose mailbox in the target is no other one's now.
func (m *mirror) unused(entries []*entry, used map[string]bool) []*entry {
	var out []*entry
	for _, e := range entries {
		if e = m.latest(e); !used[e.target] {
			out = append(out, e)
		}
	}
	return out
}

// look lists the source's mailboxes with their status. Those that cannot be opened are set aside.
func (m *mirror) look(ctx context.Context) ([]*box, error) {
	infos, err := m.src.Mailboxes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the source's mailboxes: %w", err)
	}
	boxes := make([]*box, len(infos))
	err = m.each(ctx, len(infos), func(ctx context.Context, i int) error {
		info := infos[i]
		boxes[i] = &box{info: info}
		if info.NoSelect || info.Err != nil || !Wanted(m.o.Mailboxes, info.Name) {
			return nil
		}
		boxes[i].status, boxes[i].info.Err = m.statusOf(ctx, info.Name, m.recalled(info.Name))
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	wanted := 0
	for _, b := range boxes {
		if !m.wants(b) {
			continue
		}
		if wanted++; b.info.Err != nil {
			m.findings.setAside(b.info.Name, 0, b.info.Err, "mend the cause and run the same again: everything else is carried")
			continue
		}
		m.progress.MailboxesTotal.Add(1)
		m.progress.MessagesTotal.Add(int64(b.status.Messages))
	}
	if wanted == 0 && len(m.o.Mailboxes) > 0 {
		return nil, fmt.Errorf("no mailbox of the source is named %s", strings.Join(m.o.Mailboxes, " or "))
	}
	return boxes, nil
}

func (m *mirror) wants(b *box) bool {
	return !b.info.NoSelect && Wanted(m.o.Mailboxes, b.info.Name)
}

// recalled are the entries of a mailbox of the source that a run may go by; a verification goes by none.
func (m *mirror) recalled(name string) []*entry {
	if m.independent {
		return nil
	}
	return slices.DeleteFunc(m.journal.entries(), func(e *entry) bool { return e.key != m.key || e.name != name })
}

// statusOf gives the status of a mailbox of the source, without reading it when it is unchanged since one of the entries.
func (m *mirror) statusOf(ctx context.Context, name string, known []*entry) (formats.Status, error) {
	mbox, err := m.src.Open(ctx, name)
	if err != nil {
		return formats.Status{}, err
	}
	defer mbox.Close()
	if len(known) == 1 {
		if print := fingerprint(ctx, mbox); known[0].unchanged(name, print) {
			return known[0].status(), nil
		}
	}
	return mbox.Status(ctx)
}
