package courier

import (
	"errors"
	"fmt"
	"strings"

	"dovetail/formats"
)

// nothing ends a run that found nothing of the server it was to read from.
func (r *run) nothing() {
	server := "Courier"
	if r.opts.To == ToCourier {
		server = "Dovecot"
	}
	r.Outcome, r.Reason = Nothing, fmt.Sprintf("%s has never kept anything here", server)
	r.Notes, r.Courier, r.CourierWhy = []Note{}, 0, ""
	r.Problems, r.Losses = append([]Problem{}, r.binc...), []Loss{}
	if len(r.binc) > 0 {
		r.Reason += ", but BincIMAP has"
	}
	for _, f := range r.folders {
		if f.outcome == Skipped && r.names.stuck[f.found] == nil {
			r.Outcome, r.Reason = Skipped, "nothing to convert in what could be looked at"
			r.report(f)
		}
	}
}

// conclude sums the folders up and says what became of the user.
func (r *run) conclude(err error) error {
	for _, f := range r.folders {
		if err != nil && r.opts.Convert && f.outcome == Converted && !f.done {
			r.skip(f, "", "the run ended before it was its turn")
		}
		if f.outcome != "" {
			r.report(f)
		}
	}
	if len(r.actions) == 0 {
		r.Notes = []Note{} // they were said when something was done
	} else {
		r.Problems = append(r.Problems, r.binc...)
	}
	if !r.opts.Convert {
		r.Totals.Renamed = len(r.names.movesOrNone())
	}
	switch {
	case errors.Is(err, errRunning):
		r.Outcome, r.Reason = Skipped, fmt.Sprintf("%s: %v", r.server(), err)
		r.Next = "stop it and run again, or wait until it is quiet (--wait-idle)"
		if len(r.Steps) > 0 {
			r.Outcome = Partly
		}
		return nil
	case err != nil:
		r.Outcome, r.Reason = Skipped, err.Error()
		if len(r.Steps) > 0 {
			r.Outcome = Partly
		}
		return err
	}
	r.Outcome = r.whole()
	return nil
}

// server is the one whose files are read.
func (r *run) server() string {
	if r.opts.To == ToCourier {
		return "Dovecot"
	}
	return "Courier"
}

func (n *naming) movesOrNone() []move {
	if n == nil {
		return nil
	}
	return n.moves
}

// whole is the outcome of a user whose run came to its end.
func (r *run) whole() Outcome {
	switch {
	case r.Totals.Skipped == 0 && len(r.Steps) == 0:
		return Already
	case r.Totals.Skipped == 0:
		return Converted
	case len(r.Steps) > 0 || r.Totals.Already > 0:
		return Partly
	}
	return Skipped
}

// report adds a folder to the report, with the damage and the losses of its lists if they are written.
func (r *run) report(f *folder) {
	out := FolderReport{Folder: f.name, Path: f.path, Outcome: f.outcome, Reason: f.reason, Next: f.next}
	if f.found != f.path {
		out.Was = f.found
	}
	if t := f.taking; t != nil {
		out.Messages, out.Numbered, out.Stale, out.UIDLs, out.Keywords = t.Messages, t.Unlisted, t.Stale, t.UIDLs, t.Keywords
	}
	switch f.outcome {
	case Converted:
		out.Counts.Converted = 1
		r.damage(f)
	case Already:
		out.Counts.Already = 1
	case Skipped:
		out.Counts.Skipped = 1
	case Nothing:
		if f.taking != nil {
			r.damage(f)
		}
	}
	r.Totals.add(out.Counts)
	r.Folders = append(r.Folders, out)
}

func (r *run) damage(f *folder) {
	for _, p := range f.taking.Problems {
		problem := r.problemOf(f.name, p)
		if rest, ok := strings.CutPrefix(problem.Path, f.path+"/"); ok && f.path != "" {
			problem.Path = f.found + "/" + rest // where it was when the run began, so that looking and doing say the same
		}
		r.Problems = append(r.Problems, problem)
	}
	for _, l := range f.taking.Lost {
		r.Losses = append(r.Losses, Loss{Folder: f.name, What: l.What, UID: l.UID, Message: l.Base, Why: l.Why})
	}
	if n := f.taking.Reordered; n > 0 {
		r.note(f.name, "%s of POP3 before others that Dovecot showed first: Courier goes by file names", countOf(n, "message"))
	}
}

// problemOf tells of damage with paths below the Maildir.
func (r *run) problemOf(folder string, p formats.Problem) Problem {
	fate := strings.TrimPrefix(p.Cost, "none: ")
	if p.Mend != "" && fate != "" {
		fate += "; "
	}
	path := strings.TrimPrefix(p.Path, strings.TrimSuffix(r.user.Maildir, "/")+"/")
	return Problem{Folder: folder, Path: path, Offset: p.Offset, What: p.What, Fate: fate + p.Mend, Harmless: !p.Loses}
}
