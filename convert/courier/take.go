package courier

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

// errRunning sets a user aside: what is read while the other server works is old when it is written.
var errRunning = errors.New("it is running")

// listSteps are what becomes of a folder, from what was planned or done.
func (r *run) listSteps(f *folder, t *maildir.Taking) []Step {
	source, target := "courierimapuiddb", "dovecot-uidlist"
	if r.opts.To == ToCourier {
		source, target = target, source
	}
	why := counted(t)
	if t.State == maildir.TakeDiffers {
		why += "; in place of another list"
	}
	steps := []Step{{Kind: WriteLists, Folder: f.name, From: source, To: target, Why: why}}
	for _, file := range t.Replaced {
		steps = append(steps, Step{Kind: ReplaceFile, Folder: f.name, From: file})
	}
	for _, m := range t.Renames {
		steps = append(steps, Step{Kind: RenameMessage, Folder: f.name, From: m.From, To: m.To, Why: m.Why})
	}
	return steps
}

// counted says in words what a list will hold.
func counted(t *maildir.Taking) string {
	parts := []string{countOf(t.Messages, "message")}
	for _, c := range []struct {
		n    int
		what string
	}{{t.Unlisted, "of them numbered now"}, {t.UIDLs, "with a POP3 UIDL"}, {t.Keywords, "with keywords"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

// take writes the lists of one folder. What goes wrong with this folder alone makes it a skipped one.
func (r *run) take(ctx context.Context, f *folder) ([]Step, error) {
	steps, err := r.takeLists(ctx, f)
	switch {
	case err == nil:
	case errors.Is(err, maildir.ErrCourierRuns), errors.Is(err, disk.ErrLocked):
		return steps, fmt.Errorf("%w (%w)", errRunning, err)
	case errors.Is(err, errRunning), !single(err):
		return steps, err
	default:
		r.skip(f, readable(err), "%v", err)
	}
	return steps, nil
}

func (r *run) takeLists(ctx context.Context, f *folder) ([]Step, error) {
	from, to, err := r.boxes(ctx, f.path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	defer to.Close()
	before, err := r.unchanged(f, from, f.source)
	if err != nil {
		return nil, err
	}
	how := maildir.TakeOptions{Replace: f.replace}
	if f.replace {
		how.If = f.dest
	}
	t, err := to.Take(ctx, from, how)
	if err != nil {
		return nil, err
	}
	f.taking, f.done = t, true
	after, err := to.ListsState()
	if err == nil {
		r.now.folders[r.names.dovecotName(f.path)] = newStates(r.opts.To, before, after)
		_, err = r.unchanged(f, from, before)
	}
	return r.listSteps(f, t), err
}

// unchanged gives the state of the source's lists, which must still be the one given.
func (r *run) unchanged(f *folder, from *maildir.Mailbox, want string) (string, error) {
	now, err := from.ListsState()
	if err == nil && now != want && !r.opts.IgnoreRunning {
		err = fmt.Errorf("%w: the lists of %s changed while they were read", errRunning, f.name)
	}
	return now, err
}
