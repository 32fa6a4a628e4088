package courier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dovetail/formats/disk"
	"dovetail/formats/layout"
	"dovetail/formats/maildir"
)

const (
	courierSubscribed = "courierimapsubscribed"
	dovecotSubscribed = "subscriptions"
)

// dovecots are the names of Dovecot's folders.
var dovecots = layout.Naming{Separator: '.', Format: "Maildir++"}

// planSubscriptions makes one server's list of subscriptions from the other's:
//
//	courierimapsubscribed       subscriptions (without Dovecot's prefix "INBOX.")
//	INBOX                       INBOX
//	INBOX.Entwürfe.2019         Entw&APw-rfe.2019      renamed as the folder is, whether it exists or not
//	shared.x, #shared.x         not carried: another namespace
//
// On the way back Courier's lines of other namespaces stay.
func (r *run) planSubscriptions() error {
	f := &file{key: dovecotSubscribed, source: courierSubscribed, target: dovecotSubscribed}
	if r.opts.To == ToCourier {
		f.source, f.target = f.target, f.source
	}
	if ok, err := r.read(f); !ok || f.from == nil {
		return err
	}
	r.trace = true
	courier, dovecot := f.from, f.to
	if r.opts.To == ToCourier {
		courier, dovecot = dovecot, courier
	}
	names, foreign, odd := r.subscribed(courier)
	theirs := dovecots.ParseSubscriptions(dovecot).Names
	f.same = courier != nil && dovecot != nil && slices.Equal(names, theirs)
	if r.opts.To == ToDovecot {
		f.want, f.what = []byte{}, countOf(len(names), "name")
		f.write = func(ctx context.Context, box *disk.Dir) error {
			return r.writeSubscriptions(ctx, box, names)
		}
		if r.planFile(f) {
			r.subscriptionLosses(foreign, odd)
		}
		if f.same && r.was.unfinished() {
			r.actions = append(r.actions, action{nil, r.unlockSubscriptions})
		}
		return nil
	}
	lines := append(r.courierLines(theirs), foreign...)
	f.want, f.what = maildir.AppendCourierSubscribed([]byte{}, lines), countOf(len(lines), "name")
	r.planFile(f)
	return nil
}

// writeSubscriptions writes Dovecot's file under its lock; an empty list is a file, too.
func (r *run) writeSubscriptions(ctx context.Context, box *disk.Dir, names []string) error {
	if len(names) == 0 {
		return replace(box, dovecotSubscribed, dovecots.FormatSubscriptions(layout.Subscriptions{}))
	}
	return dovecots.ChangeSubscriptions(ctx, box, dovecotSubscribed, 0o600, func([]string) []string { return names })
}

// unlockSubscriptions removes the lock of a run that was cut off behind the file.
func (r *run) unlockSubscriptions(ctx context.Context) ([]Step, error) {
	lock, err := r.root.Dotlock(ctx, dovecotSubscribed, 30*time.Second, 0o600)
	if err != nil {
		return nil, err
	}
	return nil, lock.Unlock()
}

// subscribed reads Courier's lines: names for Dovecot's clients with "/" between their parts, lines of other namespaces, and
// lines that are read otherwise than they stand there.
func (r *run) subscribed(text []byte) (names, foreign, odd []string) {
	seen := map[string]bool{}
	for _, line := range maildir.ParseCourierSubscribed(text) {
		plain := strings.TrimSuffix(line, "\r")
		path, ok := folderPath(plain)
		if !ok {
			foreign = append(foreign, line)
			continue
		}
		if plain != line {
			odd = append(odd, line)
		}
		name := shown(r.names.forDovecot(path), false)
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, foreign, odd
}

// folderPath turns a subscribed name into a folder's place; ok is false for other namespaces.
func folderPath(name string) (path string, ok bool) {
	if strings.EqualFold(name, inboxName) {
		return "", true
	}
	prefix := inboxName + "."
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		return "." + name[len(prefix):], true
	}
	return "", false
}

// courierLines are what Courier's file says for names of Dovecot's.
func (r *run) courierLines(names []string) []string {
	var lines []string
	for _, name := range names {
		if name == inboxName {
			lines = append(lines, name)
			continue
		}
		storage := strings.TrimSuffix(string(dovecots.FormatSubscriptions(layout.Subscriptions{Version: 1, Names: []string{name}})), "\n")
		lines = append(lines, inboxName+r.names.forCourier("."+storage))
	}
	return lines
}

func (r *run) subscriptionLosses(foreign, odd []string) {
	for _, line := range foreign {
		why := "it is of a shared namespace, which has other names in Dovecot: subscribe to it again"
		if strings.HasPrefix(strings.ToUpper(line), inboxName) {
			why = "no folder can have this name"
		}
		r.Losses = append(r.Losses, Loss{What: "subscription", Detail: fmt.Sprintf("%q", line), Why: why})
	}
	for _, line := range odd {
		r.Problems = append(r.Problems, Problem{Path: courierSubscribed, What: fmt.Sprintf("%q ends in a carriage return", line),
			Fate: "subscribed without it", Harmless: true})
	}
}
