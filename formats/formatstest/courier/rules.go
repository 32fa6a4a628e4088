package courier

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
)

// Seen is what a Courier shows of one Maildir.
type Seen struct {
	Boxes  map[string]SeenBox // by name as clients see it: "INBOX.A.B"
	Lsub   []string
	Pop    []SeenPop // in POP3's order
	ByFile bool      // SHA256 is of the files, not of what the server sends
}

// SeenBox is one mailbox.
type SeenBox struct {
	UIDValidity uint64
	UIDNext     uint64
	Messages    []SeenMessage // in order of UID
}

// SeenMessage is one message.
type SeenMessage struct {
	UID    uint64
	Flags  []string // system flags and keywords, lower case, sorted
	Date   int64
	SHA256 string
	File   string // base name, where files were read
}

// SeenPop is one line of UIDL.
type SeenPop struct{ UIDL, File string }

// Rules tells what Courier-IMAP 4.18.2 would show of a Maildir, by its rules for control files, seen with that version (and
// written here once more, apart from package maildir, whose work is judged with it). It changes nothing.
func Rules(t testing.TB, maildir string) *Seen {
	t.Helper()
	seen := &Seen{Boxes: map[string]SeenBox{}, ByFile: true}
	entries, err := os.ReadDir(maildir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || name[0] != '.' || strings.Contains(name, "..") || strings.HasSuffix(name, ".") {
			continue // an empty part is not listed
		}
		if _, err := os.Stat(filepath.Join(maildir, name, "cur")); err == nil {
			seen.Boxes["INBOX"+client.Decode(name)] = rulesBox(t, filepath.Join(maildir, name))
		}
	}
	seen.Boxes["INBOX"] = rulesBox(t, maildir)
	for _, line := range wholeLines(t, filepath.Join(maildir, "courierimapsubscribed")) {
		seen.Lsub = append(seen.Lsub, client.Decode(line))
	}
	slices.Sort(seen.Lsub)
	seen.Pop = rulesPop(t, maildir)
	return seen
}

// wholeLines are those that end; a file that is not there has none.
func wholeLines(t testing.TB, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	return lines[:len(lines)-1]
}

// base is a file name up to its first colon.
func base(name string) string {
	before, _, _ := strings.Cut(name, ":")
	return before
}

// byName is Courier's order of messages: the number at the start, then bytes up to the colon.
func byName(a, b string) int {
	number := func(s string) int64 {
		end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(s)
		}
		n, _ := strconv.ParseInt(s[:end], 10, 64) // no digits are 0
		return n
	}
	return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(base(a), base(b)))
}

// files gives the names below cur and new, in Courier's order, with their folders.
func files(t testing.TB, box string) (names []string, paths map[string]string) {
	t.Helper()
	paths = map[string]string{}
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(box, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name()[0] != '.' {
				names = append(names, e.Name())
				paths[e.Name()] = filepath.Join(box, sub, e.Name())
			}
		}
	}
	slices.SortFunc(names, byName)
	return names, paths
}

func rulesBox(t testing.TB, box string) SeenBox {
	t.Helper()
	var seen SeenBox
	uids := map[string]uint64{}
	lines := wholeLines(t, filepath.Join(box, "courierimapuiddb"))
	seen.UIDNext = 1
	if len(lines) > 0 {
		var version int
		if n, err := fmt.Sscanf(lines[0], "%d %d %d", &version, &seen.UIDValidity, &seen.UIDNext); n == 3 && err == nil && version == 1 {
			for _, line := range lines[1:] {
				number, name, ok := strings.Cut(line, " ")
				if uid, err := strconv.ParseUint(number, 10, 64); ok && err == nil {
					uids[name] = uid
				}
			}
		} else {
			seen.UIDValidity, seen.UIDNext = 0, 1
		}
	}
	keywords := rulesKeywords(t, filepath.Join(box, "courierimapkeywords"))
	names, paths := files(t, box)
	for _, name := range names {
		uid, listed := uids[base(name)]
		if !listed {
			uid = seen.UIDNext
			seen.UIDNext++
		}
		seen.Messages = append(seen.Messages, seenFile(t, uid, name, paths[name], keywords[base(name)]))
	}
	slices.SortFunc(seen.Messages, func(a, b SeenMessage) int { return cmp.Compare(a.UID, b.UID) })
	return seen
}

// letters of flags; P (passed) and others are not shown.
var letters = map[rune]string{'D': `\draft`, 'F': `\flagged`, 'R': `\answered`, 'S': `\seen`, 'T': `\deleted`}

func seenFile(t testing.TB, uid uint64, name, path string, keywords []string) SeenMessage {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	m := SeenMessage{UID: uid, Date: info.ModTime().Unix(), SHA256: hex.EncodeToString(sum[:]), File: base(name)}
	_, tail, _ := strings.Cut(name, ":2,")
	for _, letter := range tail {
		if flag, ok := letters[letter]; ok {
			m.Flags = append(m.Flags, flag)
		}
	}
	for _, k := range keywords {
		m.Flags = append(m.Flags, strings.ToLower(k))
	}
	slices.Sort(m.Flags)
	m.Flags = slices.Compact(m.Flags)
	return m
}

// rulesKeywords gives the keywords of each base name: of :list, unless an update lies beside it. A plain update beats the aged
// ones, of which the youngest counts.
func rulesKeywords(t testing.TB, dir string) map[string][]string {
	t.Helper()
	of := map[string][]string{}
	lines := wholeLines(t, filepath.Join(dir, ":list"))
	if gap := slices.Index(lines, ""); gap >= 0 {
		names := lines[:gap]
		for _, line := range lines[gap+1:] {
			message, numbers, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			for number := range strings.FieldsSeq(numbers) {
				if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(names) {
					of[message] = append(of[message], names[n])
				}
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	age := map[string]int{}
	for _, e := range entries {
		message, when := e.Name(), int(^uint(0)>>1)
		if rest, aged := strings.CutPrefix(message, "."); aged {
			number, after, ok := strings.Cut(rest, ".")
			n, err := strconv.Atoi(number)
			if !ok || err != nil {
				continue // scratch
			}
			message, when = after, n
		}
		if last, seen := age[message]; message == ":list" || seen && last > when {
			continue
		}
		age[message] = when
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		of[message] = strings.Fields(string(bytes.TrimSpace(b)))
	}
	return of
}

// rulesPop gives the UIDLs by a list of version 0 to 2 (and 3, whose lines differ only by one more number).
func rulesPop(t testing.TB, maildir string) []SeenPop {
	t.Helper()
	uidls := map[string]string{}
	var version, next, uidv int
	for i, line := range wholeLines(t, filepath.Join(maildir, "courierpop3dsizelist")) {
		if i == 0 && strings.HasPrefix(line, "/") {
			fmt.Sscanf(line, "/%d %d %d", &version, &next, &uidv) // what is missing is 0
			continue
		}
		words := strings.Split(line, " ")
		tail := 2 // SIZE and the number
		if version == 0 {
			tail = 1
		}
		if len(words) <= tail {
			continue
		}
		name := base(strings.Join(words[:len(words)-tail], " "))
		if version == 0 {
			uidls[name] = escape(name)
			continue
		}
		numbers := strings.Split(words[len(words)-1]+":0", ":")
		switch uid, v := numbers[0], numbers[1]; {
		case uid == "0":
			uidls[name] = escape(name)
		case v == "0":
			uidls[name] = "UID" + uid
		default:
			uidls[name] = "UID" + uid + "-" + v
		}
	}
	var seen []SeenPop
	names, _ := files(t, maildir)
	for _, name := range names {
		uidl, listed := uidls[base(name)]
		if !listed {
			uidl = fmt.Sprintf("UID%d-%d", next, uidv)
			next++
		}
		seen = append(seen, SeenPop{UIDL: uidl, File: base(name)})
	}
	return seen
}

// escape is Courier's UIDL for a message without a number.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
