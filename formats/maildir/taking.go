package maildir

import (
	"errors"
	"time"

	"dovetail/formats"
)

// Taking is what one folder's control files say compared with another server's for the same folder, and what was or
// would be done about it.
type Taking struct {
	State TakeState
	Newer bool // with TakeDiffers: the target's files are younger than the source's
	Done  bool // Take wrote the target's files; with TakeSame there was nothing to write

	// Nothing: the source has no control files for the folder, so there is nothing to take.
	Nothing bool

	// Untouched: nobody changed what the target's lists say since Take last wrote them, or was killed while it did. They
	// may be replaced without loss.
	Untouched bool

	Messages int // files of the folder that get a place in the target's list
	Unlisted int // of these: files in cur/ that the source did not list, numbered now in its order
	Waiting  int // files in new/: not listed, the target numbers them when it finds them
	Stale    int // entries of the source without a file
	UIDLs    int // messages whose POP3 UIDL is carried
	Keywords int // messages with keywords

	// Reordered is how often, on the way to Courier, a message comes before the one that it followed in Dovecot's POP3
	// order, which was that of UIDs; Courier's is that of file names.
	Reordered int

	// Renames are message files that get another name: letters of keywords, bases with a colon.
	Renames []FileRename

	// Problems is the damage in the source's files and what becomes of it.
	Problems []formats.Problem

	// Lost is what the target's files cannot hold.
	Lost []Loss

	// Replaced are files of the target that go away or are put aside: lists that are replaced (kept one generation as
	// dovetail-old-<name>), index files of an earlier trial.
	Replaced []string
}

// TakeState compares the lists of two servers.
type TakeState uint8

const (
	TakeAbsent  TakeState = iota // the target has no list
	TakeSame                     // the target says what the source says
	TakeDiffers                  // the target has another list
)

func (s TakeState) String() string { return [...]string{"absent", "same", "differs"}[s] }

// FileRename is a message file that changes its name; From and To are below the folder: "cur/1.host:2,Sa".
type FileRename struct{ From, To, Why string }

// Loss is something of one message (Base and UID, or neither: of the folder) that is not carried.
type Loss struct {
	UID             formats.UID
	Base, What, Why string
}

// TakeOptions say how far Take may go.
type TakeOptions struct {
	// Replace writes although the target has another list (TakeDiffers) that others changed. Without it Take returns
	// ErrDiffers then. What is Untouched is replaced in any case.
	Replace bool

	// If, when not "", is the ListsState that the target must still have once the locks are held; else ErrDiffers.
	If string

	// Wait is how long to wait for the locks of running programs; 0: ten seconds.
	Wait time.Duration
}

var (
	// ErrDiffers: the target has another list than the one to be written, and nobody said that it may be replaced.
	ErrDiffers = errors.New("the folder has another list already")

	// ErrCourierRuns: Courier holds its lock of the folder, so it is running.
	ErrCourierRuns = errors.New("the folder is locked by Courier, which is still running")
)
