package courier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"dovetail/formats/disk"
	"dovetail/formats/maildir"
)

// maxFile bounds subscriptions, ACLs and filters.
const maxFile = 16 << 20

// file is a small control file that has a counterpart at the other server.
type file struct {
	key    string // in the note
	folder string // as clients see it; "" the Maildir as a whole
	box    string // where both lie after the renames, "" the root; found is where they lie now
	found  string

	source, target string // names
	from, to       []byte // contents; nil: no such file
	newer          bool   // the target is younger than the source
	same           bool   // the target says what the source says
	want           []byte // what is to be written; nil: the target goes away
	what           string // "3 names"
	bad            []int  // lines of the source that are not understood
	write          func(ctx context.Context, box *disk.Dir) error
}

// readSmall gives nil for a file that is not there.
func readSmall(d *disk.Dir, name string) ([]byte, disk.Info, error) {
	text, err := d.ReadFile(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, disk.Info{}, nil
	}
	if err != nil {
		return nil, disk.Info{}, err
	}
	st, err := d.Stat(name)
	if text == nil {
		text = []byte{}
	}
	return text, st, err
}

// read reads both sides. It is false where one of them cannot be read, which is told; the error ends the run.
func (r *run) read(f *file) (bool, error) {
	err := f.read(r.root)
	if err == nil || !single(err) {
		return err == nil, err
	}
	r.Problems = append(r.Problems, Problem{Folder: f.folder, Path: within(f.found, f.source), What: err.Error(), Fate: "not carried"})
	return false, nil
}

func (f *file) read(root *disk.Dir) error {
	box, err := root.OpenDir(dirName(f.found))
	if err != nil {
		return err
	}
	defer box.Close()
	var source, target disk.Info
	if f.from, source, err = readSmall(box, f.source); err != nil {
		return err
	}
	f.to, target, err = readSmall(box, f.target)
	f.newer = target.MTime.Nano() > source.MTime.Nano()
	return err
}

func dirName(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// stateOf is a file's fingerprint; "" for none.
func stateOf(text []byte) string {
	if text == nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:8])
}

// planFile decides as for lists and plans the writing. It tells whether the file is written.
func (r *run) planFile(f *file) bool {
	now := newStates(r.opts.To, stateOf(f.from), stateOf(f.to))
	if f.same && now != (states{}) {
		r.sames[f.key] = now
	}
	if f.same || r.was != nil && now != (states{}) && now == r.was.files[f.key] {
		return false
	}
	d := decision{opts: r.opts, state: maildir.TakeDiffers, newer: f.newer, source: stateOf(f.from), dest: stateOf(f.to)}
	if f.to == nil {
		d.state = maildir.TakeAbsent
	}
	if r.was != nil {
		d.was = r.was.files[f.key]
		d.marked = r.was.unfinished() && r.was.to == r.opts.To
	}
	outcome, reason := d.outcome()
	switch outcome {
	case Skipped:
		r.Problems = append(r.Problems, Problem{
			Folder: f.folder, Path: within(f.box, f.target), What: reason, Fate: f.source + " is not carried; " + d.next(),
		})
		return false
	case Already:
		return false
	}
	r.actions = append(r.actions, r.fileAction(f))
	return true
}

// fileAction writes the file; what goes wrong with it alone is told, and the run goes on.
func (r *run) fileAction(f *file) action {
	step := Step{Kind: WriteFile, Folder: f.folder, From: f.source, To: f.target, Why: f.what}
	if f.want == nil {
		step = Step{Kind: ReplaceFile, Folder: f.folder, From: f.target, Why: f.what}
	}
	return action{[]Step{step}, func(ctx context.Context) ([]Step, error) {
		err := r.writeFile(ctx, f)
		switch {
		case err == nil:
			return []Step{step}, nil
		case single(err), errors.Is(err, disk.ErrLocked) && ctx.Err() == nil:
			r.Problems = append(r.Problems, Problem{Folder: f.folder, Path: within(f.box, f.target), What: err.Error(), Fate: f.source + " is not carried"})
			return nil, nil
		}
		return nil, err
	}}
}

func within(box, name string) string {
	if box == "" {
		return name
	}
	return box + "/" + name
}

// writeFile writes the target unless one of the two was changed since it was read. What is replaced is kept beside.
func (r *run) writeFile(ctx context.Context, f *file) error {
	box, err := r.root.OpenDir(dirName(f.box))
	if err != nil {
		return err
	}
	defer box.Close()
	from, _, err := readSmall(box, f.source)
	if err != nil {
		return err
	}
	to, _, err := readSmall(box, f.target)
	if err != nil {
		return err
	}
	if stateOf(from) != stateOf(f.from) || stateOf(to) != stateOf(f.to) {
		return fmt.Errorf("%w: %s or %s changed while they were read", errRunning, within(f.box, f.source), f.target)
	}
	if to != nil {
		if err := replace(box, oldPrefix+f.target, to); err != nil {
			return err
		}
	}
	switch {
	case f.want == nil:
		err = errors.Join(box.Remove(f.target), box.Sync())
	case f.write != nil:
		err = f.write(ctx, box)
	default:
		err = replace(box, f.target, f.want)
	}
	if err != nil {
		return err
	}
	if to, _, err = readSmall(box, f.target); err == nil {
		r.now.files[f.key] = newStates(r.opts.To, stateOf(from), stateOf(to))
	}
	return err
}

// oldPrefix is put in front of the name of what is replaced.
const oldPrefix = "dovetail-old-"

func replace(box *disk.Dir, name string, text []byte) error {
	return box.ReplaceFile(name, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
