package courier

import "dovetail/formats/maildir"

// decision is what is known of one thing that both servers keep: the lists of a folder, the subscriptions, an ACL.
type decision struct {
	opts         Options
	state        maildir.TakeState
	newer        bool   // the target's is younger than the source's
	source, dest string // states now
	was          states // when they last said the same, as the note has it
	marked       bool   // a run wrote the target, or was about to when it was cut off, and nobody touched it since
}

const (
	reasonOther = "it has other files for this server already, which are older than those to be converted"
	reasonNewer = "it has other files for this server already, which are newer than those to be converted"
	reasonBoth  = "both servers changed it since the conversion before"
)

// outcome is Converted when the target is to be written.
func (d decision) outcome() (Outcome, string) {
	wasSource, wasDest := d.was.of(d.opts.To)
	known := d.was != states{}
	switch {
	case d.state == maildir.TakeSame:
		return Already, ""
	case d.state == maildir.TakeAbsent:
		return Converted, "" // also when somebody removed it since: there is nothing to lose
	case known && d.dest == wasDest, d.marked:
		return Converted, "" // nobody touched the target since it was written or read
	case d.opts.OverwriteNewer, d.opts.Overwrite && !d.newer:
		return Converted, ""
	case known && d.source == wasSource:
		return Already, "" // the target has gone on since, and the source has nothing new
	case known:
		return Skipped, reasonBoth
	case d.newer:
		return Skipped, reasonNewer
	}
	return Skipped, reasonOther
}

func (d decision) next() string {
	if d.newer {
		return "see that the direction is right; --overwrite-newer replaces them"
	}
	return "--overwrite replaces them"
}
