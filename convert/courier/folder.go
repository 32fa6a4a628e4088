package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

const markerName = "maildirfolder"

// folder is one folder of the Maildir.
type folder struct {
	found, path string // on disk: now, and for the target
	name        string // as clients of the target see it

	outcome      Outcome
	reason, next string
	taking       *maildir.Taking
	source, dest string // states of the lists when it was planned
	marked       bool   // a run that was cut off was about to write them
	replace      bool
	done         bool   // the lists are written
	known        states // what the note is to say of a folder that needs nothing
}

func (r *run) skip(f *folder, next, format string, args ...any) {
	f.outcome, f.reason, f.next = Skipped, fmt.Sprintf(format, args...), next
}

// find lists what is or looks like a folder directly below the Maildir.
func (r *run) find() error {
	entries, err := r.root.ReadDir()
	if err != nil {
		return err
	}
	r.folders = []*folder{{}}
	for _, e := range entries {
		name := e.Name()
		if len(name) < 2 || name[0] != '.' || strings.HasPrefix(name, "..DOVECOT-") {
			continue
		}
		f := r.look(name, e.Type())
		if f != nil {
			r.folders = append(r.folders, f)
		}
		if f == nil || f.outcome == Skipped {
			r.others = append(r.others, name)
		}
	}
	slices.SortFunc(r.folders, func(a, b *folder) int { return strings.Compare(a.found, b.found) })
	return nil
}

// look gives nil for what is no folder. Links beside the mail are usual (.dovecot.sieve); any other may be a folder that
// Courier follows.
func (r *run) look(name string, kind fs.FileMode) *folder {
	f := &folder{found: name, path: name}
	dovecots := strings.HasPrefix(name, ".dovecot")
	switch {
	case kind == fs.ModeSymlink && !dovecots:
		r.skip(f, "if it leads to mail of this user, put the folder itself in its place", "a symbolic link, which is not followed")
		return f
	case kind == fs.ModeDir:
	case dovecots:
		return nil
	default:
		r.note("", "%s is a file: Courier lists it like a folder, Dovecot does not", name)
		return nil
	}
	box, err := r.root.OpenDir(name)
	if err == nil {
		defer box.Close()
		var cur *disk.Dir
		if cur, err = box.OpenDir("cur"); err == nil {
			cur.Close()
		}
	}
	switch {
	case err == nil && emptyPart(name):
		r.note("", "%s has an empty part in its name: Courier did not list it, Dovecot lists it and refuses to open it; it is left alone", name)
		return nil
	case err == nil:
		return f
	case errors.Is(err, fs.ErrNotExist):
		return nil // a folder of some other program, or one that is being made
	}
	r.skip(f, readable(err), "it cannot be read: %v", err)
	return f
}

// readable is what helps against a refusal.
func readable(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "run again as root"
	}
	return ""
}

// planRenames decides what folders are called and plans their renames.
func (r *run) planRenames() {
	var found []string
	for _, f := range r.folders {
		if f.outcome != Skipped {
			found = append(found, f.found)
		}
	}
	r.names = newNaming(found, r.others, r.opts.To, r.utf8Names, r.was, r.opts.IgnoreRunning)
	for _, f := range r.folders {
		if f.outcome != Skipped {
			f.path = r.names.at[f.found]
		}
		f.name = shown(f.path, r.utf8Names && r.opts.To == ToCourier)
		if err := r.names.stuck[f.found]; err != nil {
			next := "rename one of the two folders with a mail client, or by hand while both servers are stopped"
			if errors.Is(err, errTooLong) {
				next = "give it a shorter name with a mail client"
			}
			r.skip(f, next, "%v", err)
		}
	}
	r.loseNames()
	if left := r.names.left; len(left) > 0 {
		some := left[:min(len(left), 5)]
		r.Problems = append(r.Problems, Problem{
			What: fmt.Sprintf("%s not renamed, because clients of a running Courier would miss them: %q", countOf(len(left), "folder"), some),
			Fate: "Dovecot does not find them by their names until a run without --ignore-running has renamed them",
		})
	}
	whys := map[string]string{}
	for found, to := range r.names.at {
		whys[to] = r.names.why[found]
	}
	for _, m := range r.names.moves {
		why := whys[m.to]
		if noticed(why) {
			r.Losses = append(r.Losses, Loss{Folder: shown(m.to, false), What: "folder name", Detail: fmt.Sprintf("%q", m.from),
				Why: why + "; clients see another folder and download it"})
		}
		step := Step{Kind: RenameFolder, Folder: shown(m.to, r.utf8Names && r.opts.To == ToCourier), From: m.from, To: m.to, Why: why}
		r.add(step, func(context.Context) error {
			if err := r.root.RenameNew(m.from, r.root, m.to); err != nil {
				return err
			}
			r.Totals.Renamed++
			return r.root.Sync()
		})
	}
}

// loseNames tells of names that Courier 5 cannot show, once.
func (r *run) loseNames() {
	if r.opts.To != ToCourier || !r.utf8Names || r.was != nil && r.was.names == ToCourier {
		return
	}
	for _, f := range r.folders {
		if hidden(f.path) {
			r.Losses = append(r.Losses, Loss{Folder: f.name, What: "folder name", Detail: fmt.Sprintf("%q", shown(f.path, false)),
				Why: "Courier 5 ends every session that lists a character beyond U+FFFF: clients see it in modified UTF-7"})
		}
	}
}

// boxes opens a folder as both servers have it. path is where it is now.
func (r *run) boxes(ctx context.Context, path string) (from, to *maildir.Mailbox, err error) {
	if from, err = r.source.OpenFolder(ctx, path); err != nil {
		return nil, nil, err
	}
	if to, err = r.target.OpenFolder(ctx, path); err != nil {
		from.Close()
		return nil, nil, err
	}
	return from, to, nil
}

// planFolder compares the lists of both servers and decides what becomes of the target's.
func (r *run) planFolder(ctx context.Context, f *folder) error {
	if f.outcome == Skipped {
		return nil
	}
	from, to, err := r.boxes(ctx, f.found)
	if err == nil {
		defer from.Close()
		defer to.Close()
		err = r.compare(ctx, f, from, to)
	}
	if err != nil {
		if !single(err) {
			return err
		}
		r.skip(f, readable(err), "%v", err)
		return nil
	}
	if f.outcome == Converted || f.outcome == Already {
		r.planMarker(f)
	}
	switch {
	case f.outcome == Converted:
		r.actions = append(r.actions, action{r.listSteps(f, f.taking), func(ctx context.Context) ([]Step, error) { return r.take(ctx, f) }})
	case f.outcome == Already && f.marked:
		// Who was cut off behind the lists left locks.
		r.actions = append(r.actions, action{nil, func(ctx context.Context) ([]Step, error) {
			_, err := r.take(ctx, f)
			return nil, err
		}})
	}
	return nil
}

// single tells whether an error concerns one folder only, so that the others go on.
func single(err error) bool {
	for _, one := range []error{fs.ErrPermission, fs.ErrNotExist, formats.ErrNoMailbox, formats.ErrCorrupt, disk.ErrNotRegular, maildir.ErrDiffers} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

func (r *run) compare(ctx context.Context, f *folder, from, to *maildir.Mailbox) error {
	var err error
	if f.source, err = from.ListsState(); err != nil {
		return err
	}
	if f.dest, err = to.ListsState(); err != nil {
		return err
	}
	if f.source == "" {
		f.outcome = Nothing
		return nil
	}
	r.trace = true
	if err := r.lookForCourier(f); err != nil {
		return err
	}
	if f.taking, err = to.PlanTake(ctx, from); err != nil {
		return err
	}
	if f.taking.Nothing { // its list is damaged so that the server itself would throw it away
		f.outcome = Nothing
		return nil
	}
	r.decide(f)
	return nil
}

// decide applies the rules of the package doc to what was found.
func (r *run) decide(f *folder) {
	t, was := f.taking, states{}
	key := r.names.dovecotName(f.path)
	if r.was != nil {
		was = r.was.lists(key, r.opts.To, f.source, f.dest)
		f.marked = r.was.to == r.opts.To && slices.Contains(r.was.writes, key)
	}
	d := decision{r.opts, t.State, t.Newer, f.source, f.dest, was, f.marked || t.Untouched}
	f.outcome, f.reason = d.outcome()
	switch {
	case f.outcome == Skipped:
		f.next = d.next()
	case t.State == maildir.TakeSame:
		f.known = newStates(r.opts.To, f.source, f.dest)
	}
	f.replace = t.State == maildir.TakeDiffers && f.outcome == Converted
}

func (r *run) planMarker(f *folder) {
	if f.path == "" {
		return
	}
	box, err := r.root.OpenDir(f.found)
	if err != nil {
		return // it was opened before: the next step says what is wrong now
	}
	defer box.Close()
	if _, err := box.Stat(markerName); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	step := Step{Kind: MakeMarker, Folder: f.name, Why: "delivery agents know a folder by it"}
	r.add(step, func(context.Context) error {
		box, err := r.root.OpenDir(f.path)
		if err != nil {
			return err
		}
		defer box.Close()
		m, err := box.Create(markerName, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(m.Sync(), m.Close(), box.Sync())
	})
}
