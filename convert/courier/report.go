package courier

import "dovetail/formats"

// Outcome is what became of a user or a folder.
type Outcome string

// The outcomes. A run that only looks gives the same ones: what it says is what the run would then do.
const (
	Converted Outcome = "converted"          // something was written
	Already   Outcome = "already converted"  // the target says what the source says
	Nothing   Outcome = "nothing to convert" // the source's server has never been here
	Partly    Outcome = "partly converted"   // of a user: some folders were skipped
	Skipped   Outcome = "skipped"            // see Reason; nothing of it was changed
)

// Outcomes are all of them, in the order in which they are summed up.
var Outcomes = []Outcome{Converted, Partly, Already, Nothing, Skipped}

// UserReport says what was found in one Maildir and what was done, or would be. Its JSON form is part of the command
// line's contract: fields are only ever added.
type UserReport struct {
	User    string `json:"user"`
	Maildir string `json:"maildir"`
	FoundBy string `json:"found_by,omitempty"`
	To      string `json:"to"` // "dovecot" or "courier"
	DryRun  bool   `json:"dry_run,omitempty"`

	// Courier is the version whose files are read or written, 4 or 5 (0: none found); CourierWhy is how that is known.
	Courier    int    `json:"courier_version,omitempty"`
	CourierWhy string `json:"courier_version_why,omitempty"`

	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"` // of Skipped and Nothing
	Next    string  `json:"next,omitempty"`   // what the user can do about it

	Steps    []Step         `json:"steps"` // in the order in which they are done
	Folders  []FolderReport `json:"folders"`
	Losses   []Loss         `json:"losses"`
	Problems []Problem      `json:"problems"`
	Notes    []Note         `json:"notes"`

	Totals Counts `json:"totals"`

	// Err is what ended the run of this user early, set by Site; Reason says it in words.
	Err error `json:"-"`
}

// Counts are numbers of one folder or user.
type Counts struct {
	Messages  int `json:"messages"`
	Numbered  int `json:"numbered"`  // had no UID in the source's list and got one
	Stale     int `json:"stale"`     // entries of the source's list whose message is gone
	UIDLs     int `json:"uidls"`     // POP3 UIDLs that are carried
	Keywords  int `json:"keywords"`  // messages with keywords
	Converted int `json:"converted"` // folders
	Already   int `json:"already"`   // folders
	Skipped   int `json:"skipped"`   // folders
	Renamed   int `json:"renamed"`   // folders
}

func (c *Counts) add(d Counts) {
	c.Messages += d.Messages
	c.Numbered += d.Numbered
	c.Stale += d.Stale
	c.UIDLs += d.UIDLs
	c.Keywords += d.Keywords
	c.Converted += d.Converted
	c.Already += d.Already
	c.Skipped += d.Skipped
	c.Renamed += d.Renamed
}

// StepKind is what a step changes.
type StepKind string

// The kinds of steps, in the words in which they are printed.
const (
	RenameFolder  StepKind = "rename folder"
	RenameMessage StepKind = "rename message"
	MakeMarker    StepKind = "make maildirfolder"
	WriteLists    StepKind = "write lists"
	WriteFile     StepKind = "write file"
	ReplaceFile   StepKind = "put aside" // or removed, where it holds nothing that could be wanted back
)

// Step is one change. A run that only looks and one that converts give the same list.
type Step struct {
	Kind   StepKind `json:"step"`
	Folder string   `json:"folder"`         // the name that clients see, its parts joined by "/"
	From   string   `json:"from,omitempty"` // what is read, or the old name on disk
	To     string   `json:"to,omitempty"`   // what is written, or the new name on disk
	Why    string   `json:"why,omitempty"`
}

// FolderReport is what became of one folder.
type FolderReport struct {
	Folder  string  `json:"folder"`        // the name that clients of the target see, parts joined by "/"
	Path    string  `json:"path"`          // on disk below the Maildir, as it is in the target; "" is INBOX
	Was     string  `json:"was,omitempty"` // the path before it was renamed
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	Next    string  `json:"next,omitempty"`
	Counts
}

// Loss is something that the source has and the target cannot hold.
type Loss struct {
	Folder  string      `json:"folder,omitempty"`
	What    string      `json:"what"`              // "POP3 UIDL", "subscription", "ACL", …
	Detail  string      `json:"detail,omitempty"`  // which
	UID     formats.UID `json:"uid,omitempty"`     // of a single message
	Message string      `json:"message,omitempty"` // base name of its file
	Why     string      `json:"why"`
}

// Problem is damage found in the source and what becomes of it.
type Problem struct {
	Folder string `json:"folder,omitempty"`
	Path   string `json:"path,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	What   string `json:"what"`
	Fate   string `json:"fate,omitempty"`

	// Harmless says that nothing a client saw changes by it: it does not make the exit code 2.
	Harmless bool `json:"harmless,omitempty"`
}

// Note is a fact that whoever moves the server should know: nothing is lost by it.
type Note struct {
	Folder string `json:"folder,omitempty"`
	Text   string `json:"text"`
}

func newUserReport(u User, o Options) *UserReport {
	return &UserReport{
		User: u.Name, Maildir: u.Maildir, FoundBy: u.Why,
		To: o.To.String(), DryRun: !o.Convert, Courier: o.Version,
		Outcome: Nothing,
		Steps:   []Step{}, Folders: []FolderReport{}, Losses: []Loss{}, Problems: []Problem{}, Notes: []Note{},
	}
}

// ExitCode is 0 when everything was carried, or would be, and 2 when something was skipped or lost.
func (r *UserReport) ExitCode() int {
	if r.Outcome == Skipped || r.Outcome == Partly || r.Totals.Skipped > 0 || len(r.Losses) > 0 {
		return 2
	}
	for _, p := range r.Problems {
		if !p.Harmless {
			return 2
		}
	}
	return 0
}
