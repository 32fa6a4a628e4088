package courier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// noteName lies in the root of the Maildir. Neither server looks at a file of that name.
const noteName = "dovetail-courier"

const (
	noteMagic = "dovetail courier 1"
	maxNote   = 64 << 20
)

// note is what runs remember in the Maildir. As a file it is lines of words, texts quoted as in Go:
//
//	dovetail courier 1
//	version 5                             of Courier
//	begun dovecot                         the run that wrote this, to Dovecot, has not ended
//	names dovecot                         whose names the folders have on disk; with "move" lines: will have
//	name ".R&D" ".R&-D"                   the name for Courier and the one for Dovecot, where they differ
//	move ".R&D" ".R&-D"                   planned by a run that has begun, in order
//	write ".R&-D"                         a folder whose lists that run writes
//	folder ".R&-D" "…" "…"                the state of Courier's and of Dovecot's lists when they said the same
//	file "subscriptions" "…" "…"          the same of other files: Courier's, Dovecot's
//	end
//
// Folders are called as for Dovecot; "" is INBOX. The note is written before the first change and after the last.
type note struct {
	version int
	begun   bool
	to      Direction // of the run that has begun
	names   Direction
	pairs   []move // from: for Courier, to: for Dovecot
	moves   []move
	writes  []string
	folders map[string]states
	files   map[string]states

	bySide map[sideState]states // folders by what one side said; nil until it is needed
}

// sideState is the state of Courier's lists, or of Dovecot's.
type sideState struct {
	courier bool
	state   string
}

// move is a folder's old and new place.
type move struct{ from, to string }

// unfinished tells whether the run that wrote the note has not ended.
func (n *note) unfinished() bool { return n != nil && n.begun }

// states are fingerprints of what the two servers keep for the same thing; "" is no file.
type states struct{ courier, dovecot string }

// of gives the side that a run in this direction writes, and the other.
func (s states) of(to Direction) (source, target string) {
	if to == ToCourier {
		return s.dovecot, s.courier
	}
	return s.courier, s.dovecot
}

func newStates(to Direction, source, target string) states {
	if to == ToCourier {
		return states{courier: target, dovecot: source}
	}
	return states{courier: source, dovecot: target}
}

// lists gives the states of a folder's lists when they said the same. They lie in the folder and move with it: where those
// under its name are of neither side, a client has given it the name since, and they stand under the one before.
func (n *note) lists(key string, to Direction, source, target string) states {
	was := n.folders[key]
	wasSource, wasTarget := was.of(to)
	switch {
	case target != "" && target == wasTarget, source == "" && target == "":
		return was
	case n.bySide == nil:
		n.bySide = map[sideState]states{}
		for _, s := range n.folders {
			n.bySide[sideState{true, s.courier}], n.bySide[sideState{false, s.dovecot}] = s, s
		}
	}
	if moved, ok := n.bySide[sideState{to == ToCourier, target}]; ok && target != "" {
		return moved
	}
	if moved, ok := n.bySide[sideState{to != ToCourier, source}]; ok && source != "" && source != wasSource {
		return moved
	}
	return was
}

func (n *note) marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nversion %d\n", noteMagic, n.version)
	if n.begun {
		fmt.Fprintf(&b, "begun %s\n", n.to)
	}
	fmt.Fprintf(&b, "names %s\n", n.names)
	for _, m := range n.pairs {
		fmt.Fprintf(&b, "name %q %q\n", m.from, m.to)
	}
	for _, m := range n.moves {
		fmt.Fprintf(&b, "move %q %q\n", m.from, m.to)
	}
	for _, path := range n.writes {
		fmt.Fprintf(&b, "write %q\n", path)
	}
	for _, kind := range []struct {
		word string
		of   map[string]states
	}{{"folder", n.folders}, {"file", n.files}} {
		keys := make([]string, 0, len(kind.of))
		for key := range kind.of {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			fmt.Fprintf(&b, "%s %q %q %q\n", kind.word, key, kind.of[key].courier, kind.of[key].dovecot)
		}
	}
	b.WriteString("end\n")
	return b.Bytes()
}

func (n *note) unmarshal(text []byte) error {
	*n = note{folders: map[string]states{}, files: map[string]states{}}
	line, ended := 0, false
	for l := range strings.Lines(string(text)) {
		if line++; ended || !strings.HasSuffix(l, "\n") {
			return formats.Corrupt("line %d: not what was written", line)
		}
		l = strings.TrimSuffix(l, "\n")
		switch {
		case line == 1 && l != noteMagic:
			return formats.Corrupt("line 1: not a record of an earlier conversion, or of a newer version of this program")
		case line == 1:
		case l == "end":
			ended = true
		default:
			if err := n.line(l); err != nil {
				return formats.Corrupt("line %d: %v", line, err)
			}
		}
	}
	if !ended {
		return formats.Corrupt("cut off after line %d", line)
	}
	return nil
}

var errNoteLine = errors.New("not understood")

func (n *note) line(l string) error {
	word, rest, _ := strings.Cut(l, " ")
	switch word + " " + rest {
	case "begun dovecot", "begun courier":
		n.begun, n.to = true, direction(rest)
		return nil
	case "version 4", "version 5":
		n.version = int(rest[0] - '0')
		return nil
	case "names dovecot", "names courier":
		n.names = direction(rest)
		return nil
	}
	texts, err := quoted(rest)
	if err != nil {
		return err
	}
	want := map[string]int{"name": 2, "move": 2, "write": 1, "folder": 3, "file": 3}[word]
	if want == 0 || len(texts) != want {
		return errNoteLine
	}
	return n.entry(word, texts)
}

func direction(name string) Direction {
	if name == ToCourier.String() {
		return ToCourier
	}
	return ToDovecot
}

func (n *note) entry(word string, texts []string) error {
	paths := texts[:1]
	if len(texts) == 2 {
		paths = texts
	}
	if word != "file" && slices.ContainsFunc(paths, func(p string) bool { return !validPath(p) }) {
		return errNoteLine // the user could have written it: nothing outside the Maildir is ever renamed
	}
	switch word {
	case "name":
		n.pairs = append(n.pairs, move{texts[0], texts[1]})
	case "move":
		n.moves = append(n.moves, move{texts[0], texts[1]})
	case "write":
		n.writes = append(n.writes, texts[0])
	case "folder":
		n.folders[texts[0]] = states{texts[1], texts[2]}
	case "file":
		n.files[texts[0]] = states{texts[1], texts[2]}
	}
	return nil
}

// quoted reads texts separated by one space.
func quoted(s string) ([]string, error) {
	var texts []string
	for {
		q, err := strconv.QuotedPrefix(s)
		if err != nil || q[0] != '"' {
			return nil, errNoteLine
		}
		text, err := strconv.Unquote(q)
		if err != nil {
			return nil, errNoteLine
		}
		texts = append(texts, text)
		if s = s[len(q):]; s == "" {
			return texts, nil
		}
		if s[0] != ' ' {
			return nil, errNoteLine
		}
		s = s[1:]
	}
}

// validPath tells whether a text can be the place of a folder directly below the Maildir.
func validPath(path string) bool {
	if path == "" {
		return true
	}
	return len(path) > 1 && len(path) <= 255 && path[0] == '.' && path != ".." && !strings.ContainsAny(path, "/\x00")
}

// readNote gives nil where there is none.
func readNote(root *disk.Dir) (*note, error) {
	text, err := root.ReadFile(noteName, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := new(note)
	if err := n.unmarshal(text); err != nil {
		return nil, &formats.Error{Op: "read", Path: root.Path() + "/" + noteName, Err: err}
	}
	return n, nil
}

// writeNote replaces it unless it is the same already.
func (n *note) writeNote(root *disk.Dir) error {
	text := n.marshal()
	old, err := root.ReadFile(noteName, maxNote)
	if err == nil && bytes.Equal(old, text) {
		return nil
	}
	return root.ReplaceFile(noteName, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
