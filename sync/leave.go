package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dovetail/formats"
)

// errNothingLeft keeps a source that shows nothing, as an unmounted disk does, from emptying the target.
var errNothingLeft = errors.New("the source has no mailboxes any more; nothing was deleted in the target")

// delete removes the mailboxes that earlier runs made and the source no longer has. Messages that came from elsewhere
// keep their mailbox alive.
func (m *mirror) delete(ctx context.Context, boxes []*box, gone []*entry, there map[string]formats.Info) error {
	if len(gone) > 0 && !slices.ContainsFunc(boxes, func(b *box) bool { return !b.info.NoSelect }) {
		return errNothingLeft
	}
	for _, e := range gone {
		if _, ok := there[e.target]; !ok {
			m.journal.remove(e.target)
			continue
		}
		if err := hiddenBy(boxes, e.name); err != nil {
			m.findings.setAside(e.name, 0, err, "mend the cause and run the same again: nothing was deleted in the target")
			continue
		}
		if err := m.deleteOne(ctx, e); err != nil {
			if fatal(err) {
				return err
			}
			m.findings.setAside(e.name, 0, err, "delete the mailbox in the target by hand if it is not wanted")
		}
	}
	return ctx.Err()
}

// hiddenBy gives the error of a parent that cannot be looked into: a mailbox below it may be there all the same.
func hiddenBy(boxes []*box, name string) error {
	for _, b := range boxes {
		if b.info.Err != nil && strings.HasPrefix(name, b.info.Name+"/") {
			return b.info.Err
		}
	}
	return nil
}

func (m *mirror) deleteOne(ctx context.Context, e *entry) error {
	r := MailboxReport{Mailbox: e.name, UIDValidity: e.dstUIDValidity}
	if e.target != e.name {
		r.Target = e.target
	}
	mbox, err := m.dst.Open(ctx, e.target)
	if err != nil {
		return err
	}
	ours, own, err := m.split(ctx, mbox, e)
	if err == nil && (len(own) > 0 || e.target == "INBOX") && len(ours) > 0 {
		_, err = mbox.Update(ctx, func(tx formats.Tx) error { return tx.Expunge(ours) })
	}
	if err = errors.Join(err, mbox.Close()); err != nil {
		return err
	}
	r.Expunged, r.Own = ours.Len(), own.Len()
	if len(own) == 0 && e.target != "INBOX" {
		if err := m.dst.Delete(ctx, e.target); err != nil {
			return err
		}
		r.Did = "deleted"
	}
	m.journal.remove(e.target)
	m.report(r)
	if len(own) > 0 {
		return fmt.Errorf("%w: the source deleted this mailbox, but %d messages in the target's did not come from there", errTargetHasMail, len(own))
	}
	return nil
}

// split tells which messages of a mailbox an entry knows.
func (m *mirror) split(ctx context.Context, mbox formats.Mailbox, e *entry) (ours, own formats.Ranges, err error) {
	want := formats.Want(0)
	if len(e.planned) > 0 {
		want = m.identities()
	}
	dst, err := load(ctx, mbox, want, newKeywordSets())
	if err != nil {
		return nil, nil, err
	}
	if dst.status.UIDValidity == e.dstUIDValidity {
		for p := range e.ours(dst) {
			ours.Add(formats.UID(p.dst))
		}
	}
	for _, r := range dst.recs {
		if uid := formats.UID(r.uid); m.o.RemoveOwn {
			ours.Add(uid)
		} else if !ours.Contains(uid) {
			own.Add(uid)
		}
	}
	return ours, own, nil
}

// subscriptions makes the target's list as the source's. Names that the target has beyond what an earlier run put there
// are its own and stay, at the end.
func (m *mirror) subscriptions(ctx context.Context, boxes []*box, tasks []task) error {
	names, err := subscribed(ctx, m.src)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		m.findings.setAside("", 0, fmt.Errorf("subscriptions: %w", err), "mend the cause and run the same again")
		return nil
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !Wanted(m.o.Mailboxes, n) })
	had, err := subscribed(ctx, m.dst)
	if errors.Is(err, errors.ErrUnsupported) {
		for _, name := range names {
			m.findings.lose(name, lostSubscription, "", m.limits.Format+" keeps no subscriptions")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the target's subscriptions: %w", err)
	}
	wanted := m.subscribeAs(names, tasks)
	merged := slices.Clone(wanted)
	for _, name := range had {
		put := slices.Contains(m.journal.subscribed(m.key), name) && Wanted(m.o.Mailboxes, name)
		if !put && !slices.Contains(merged, name) {
			merged = append(merged, name)
		}
	}
	if !sameNames(had, merged) {
		if err := formats.SetSubscriptions(ctx, m.dst.(formats.Subscriber), merged); err != nil {
			return fmt.Errorf("write the target's subscriptions: %w", err)
		}
	}
	for _, name := range m.journal.subscribed(m.key) {
		if !Wanted(m.o.Mailboxes, name) && !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	m.journal.setSubscribed(m.key, wanted)
	return nil
}

// subscribed lists a store's subscriptions; errors.ErrUnsupported if it has none.
func subscribed(ctx context.Context, s formats.Store) ([]string, error) {
	if sub, ok := s.(formats.Subscriber); ok {
		return sub.Subscriptions(ctx)
	}
	return nil, errors.ErrUnsupported
}

// subscribeAs gives the names in the target, each once.
func (m *mirror) subscribeAs(names []string, tasks []task) []string {
	as := map[string]string{}
	for _, t := range tasks {
		as[t.name] = t.target
	}
	var out []string
	for _, name := range names {
		target, ok := as[name]
		if !ok {
			target = name
			if m.limits.NameProblem != nil && m.limits.NameProblem(name) != "" {
				m.findings.lose(name, lostSubscription, "", m.limits.NameProblem(name))
				continue
			}
		}
		if !slices.Contains(out, target) {
			out = append(out, target)
		}
	}
	return out
}

func sameNames(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
