package courier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

// run is one Run: what it opened and found, and what it is going to do.
type run struct {
	user User
	opts Options
	*UserReport

	root           *disk.Dir // written through with the owner of the Maildir; read-only when nothing is to be converted
	source, target *maildir.Store
	utf8Names      bool // of Courier: its version is 5

	was     *note // what earlier runs left; nil: none did
	now     note  // what this one leaves
	names   *naming
	folders []*folder
	others  []string // what is beside them
	actions []action
	trace   bool // the source's server has been here
	binc    []Problem
	sames   map[string]states // files that need nothing, for the note
}

// action is one thing to do. steps are what a run that only looks tells of; do gives those that were done.
type action struct {
	steps []Step
	do    func(ctx context.Context) ([]Step, error)
}

func (r *run) add(step Step, do func(ctx context.Context) error) {
	r.actions = append(r.actions, action{[]Step{step}, func(ctx context.Context) ([]Step, error) {
		if err := do(ctx); err != nil {
			return nil, err
		}
		return []Step{step}, nil
	}})
}

// open opens the Maildir so that everything made belongs to its owner.
func (r *run) open() error {
	look := &disk.FS{ReadOnly: true, NoLinks: r.user.NoLinks}
	root, err := look.OpenRoot(r.user.Maildir)
	if err != nil {
		return err
	}
	defer root.Close()
	st, err := root.StatSelf()
	if err != nil {
		return err
	}
	if _, err := root.Stat("cur"); err != nil {
		return fmt.Errorf("not a Maildir: %w", err)
	}
	files := &disk.FS{
		ReadOnly: !r.opts.Convert, NoLinks: r.user.NoLinks, Fault: r.opts.Fault,
		Own: os.Geteuid() == 0, UID: st.UID, GID: st.GID,
	}
	if r.root, err = files.OpenRoot(r.user.Maildir); err != nil {
		return err
	}
	again, err := r.root.StatSelf()
	if err == nil && (again.Ino != st.Ino || again.Dev != st.Dev) {
		err = &fs.PathError{Op: "open", Path: r.user.Maildir, Err: errExchanged}
	}
	return err
}

var errExchanged = errors.New("exchanged for another folder while it was opened")

func (r *run) close() {
	for _, s := range []*maildir.Store{r.source, r.target} {
		if s != nil {
			s.Close()
		}
	}
	if r.root != nil {
		r.root.Close()
	}
}

// openStores opens the Maildir twice: as the server whose lists are read sees it, and as the one whose are written.
func (r *run) openStores(ctx context.Context) (err error) {
	theirs := maildir.Courier4Lists
	if r.utf8Names {
		theirs = maildir.Courier5Lists
	}
	from, to := theirs, maildir.DovecotLists
	if r.opts.To == ToCourier {
		from, to = to, from
	}
	look := &disk.FS{ReadOnly: true, NoLinks: r.user.NoLinks}
	r.source, err = maildir.Open(ctx, maildir.Options{Root: r.user.Maildir, FS: look, Lists: from,
		POP3UIDLFormat: cmp.Or(r.opts.POP3UIDLFormat, DefaultUIDLFormat)})
	if err != nil {
		return err
	}
	r.target, err = maildir.Open(ctx, maildir.Options{Root: r.user.Maildir, FS: look, Lists: to})
	if err != nil {
		return err
	}
	return r.samePlace()
}

// samePlace makes sure that the Maildir that was opened by its path again is still the same.
func (r *run) samePlace() error {
	st, err := r.root.StatSelf()
	if err != nil {
		return err
	}
	here := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	for _, s := range []*maildir.Store{r.source, r.target} {
		if place, _, _ := strings.Cut(s.Place(), " "); place != here {
			return &fs.PathError{Op: "open", Path: r.user.Maildir, Err: errExchanged}
		}
	}
	return nil
}

// reopenTarget opens the target so that it can be written.
func (r *run) reopenTarget(ctx context.Context) error {
	lists := maildir.DovecotLists
	if r.opts.To == ToCourier {
		if lists = maildir.Courier4Lists; r.utf8Names {
			lists = maildir.Courier5Lists
		}
	}
	target, err := maildir.Open(ctx, maildir.Options{Root: r.user.Maildir, FS: r.root.FS(), Lists: lists})
	if err != nil {
		return err
	}
	r.target.Close()
	r.target = target
	return r.samePlace()
}

// detect finds out which Courier the files are of, or for.
func (r *run) detect(ctx context.Context) error {
	switch {
	case r.opts.Version != 0:
		r.Courier, r.CourierWhy = r.opts.Version, "as asked for"
	case r.was != nil && r.was.version != 0:
		r.Courier, r.CourierWhy = r.was.version, "as in the conversion before"
		// The files of then may have been those of any version, and what only Courier 5 makes has come since.
		lists, sure, why, err := maildir.DetectCourier(ctx, r.root)
		if err == nil && sure && lists == maildir.Courier5Lists && r.Courier == 4 {
			r.Courier, r.CourierWhy = 5, why
			r.note("", "taken for Courier 5 now, and not for 4 as before: %s", why)
		}
	case r.opts.To == ToCourier && !r.courierWasHere():
		r.Courier, r.CourierWhy = 5, "it has never been here: a newer one is more likely to come"
		r.note("", "the files are made for Courier 5, which keeps folder names in UTF-8; --courier-version 4 makes those for older ones")
	default:
		lists, sure, why, err := maildir.DetectCourier(ctx, r.root)
		if err != nil && single(err) {
			lists, sure, why, err = maildir.Courier4Lists, false, err.Error(), nil
		}
		if err != nil {
			return err
		}
		if r.Courier, r.CourierWhy = 4, why; lists == maildir.Courier5Lists {
			r.Courier = 5
		}
		if !sure {
			r.Problems = append(r.Problems, Problem{What: fmt.Sprintf("taken for Courier %d, which is a guess: %s", r.Courier, why),
				Fate: "say --courier-version 4 or 5 if that is wrong"})
		}
	}
	if r.Courier != 4 && r.Courier != 5 {
		return fmt.Errorf("version %d of Courier: only 4 and 5 are known", r.Courier)
	}
	r.utf8Names = r.Courier == 5
	return nil
}

// courierWasHere tells whether Courier has kept anything in the root: what is in folders it began there.
func (r *run) courierWasHere() bool {
	for _, name := range []string{"courierimapuiddb", "courierpop3dsizelist", "courierimapkeywords", courierSubscribed,
		maildir.CourierACLName, maildir.CourierHierACLName} {
		if _, err := r.root.Stat(name); err == nil {
			return true
		}
	}
	return false
}

func (r *UserReport) note(folder, format string, args ...any) {
	r.Notes = append(r.Notes, Note{folder, fmt.Sprintf(format, args...)})
}

// prepare reads the note and everything else, and decides what is to be done; nothing is written.
func (r *run) prepare(ctx context.Context) error {
	var err error
	if r.was, err = readNote(r.root); err != nil {
		return err
	}
	if err := r.detect(ctx); err != nil {
		return err
	}
	if err := r.waitIdle(ctx); err != nil {
		return err
	}
	if err := r.openStores(ctx); err != nil {
		return err
	}
	if err := r.find(); err != nil {
		return err
	}
	r.planRenames()
	r.remarkGuess()
	for _, f := range r.folders {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.planFolder(ctx, f); err != nil {
			return err
		}
	}
	for _, plan := range []func() error{r.planSubscriptions, r.planACLs, r.planSize} {
		if err := plan(); err != nil {
			return err
		}
	}
	if r.opts.To == ToDovecot {
		r.remarkBinc()
		// Names that were never Dovecot's stand in its way also where Courier kept no list yet.
		r.trace = r.trace || len(r.names.moves) > 0 && !slices.ContainsFunc(r.folders, func(f *folder) bool { return f.dest != "" })
	}
	return r.remark()
}

// carryOut does what was planned. The note goes first, so that a run that is cut off is finished by the next one.
func (r *run) carryOut(ctx context.Context) error {
	if len(r.actions) == 0 && !r.was.unfinished() {
		return nil
	}
	if err := r.reopenTarget(ctx); err != nil {
		return err
	}
	r.begin()
	if err := r.now.writeNote(r.root); err != nil {
		return err
	}
	for _, a := range r.actions {
		err := ctx.Err()
		if err == nil {
			var done []Step
			done, err = a.do(ctx)
			r.Steps = append(r.Steps, done...)
		}
		if err != nil {
			r.now.writeNote(r.root) // best effort: what is in it by now saves the next run a question
			return err
		}
	}
	r.now.begun, r.now.to, r.now.moves, r.now.writes = false, ToDovecot, nil, nil
	return r.now.writeNote(r.root)
}

// begin makes the note of a run that is about to change something.
func (r *run) begin() {
	r.now = note{
		version: r.Courier, begun: true, to: r.opts.To, names: r.names.names(), pairs: r.names.pairs, moves: r.names.moves,
		folders: map[string]states{}, files: map[string]states{},
	}
	if r.was != nil {
		for path, s := range r.was.folders {
			r.now.folders[path] = s
		}
		for key, s := range r.was.files {
			r.now.files[key] = s
		}
		if r.was.to == r.opts.To {
			r.now.writes = append(r.now.writes, r.was.writes...)
		}
	}
	for key, s := range r.sames {
		r.now.files[key] = s
	}
	for _, f := range r.folders {
		if f.outcome == Converted {
			r.now.writes = append(r.now.writes, r.names.dovecotName(f.path))
		} else if f.outcome == Already && f.known != (states{}) {
			r.now.folders[r.names.dovecotName(f.path)] = f.known
		}
	}
}
