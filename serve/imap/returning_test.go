package imap_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/formatstest/client"
	"dovetail/formats/formatstest/dovecot"
)

// remembered is what a client of QRESYNC has kept of a mailbox when it left.
type remembered struct {
	when              int // round
	validity, highest string
	next              int            // UIDNEXT
	flags             map[int]string // by UID
	modseqs           map[int]int
}

var (
	nextUID     = regexp.MustCompile(`UIDNEXT (\d+)`)
	modSeqItem  = regexp.MustCompile(`MODSEQ \((\d+)\)`)
	earlierLine = regexp.MustCompile(`^\* VANISHED \(EARLIER\) ([\d:,]+)$`)
)

// remember looks at everything.
func remember(t *testing.T, c *client.Session, round int) *remembered {
	t.Helper()
	about := strings.Join(c.Cmd("EXAMINE INBOX"), "\n")
	r := &remembered{when: round, flags: map[int]string{}, modseqs: map[int]int{}}
	for what, at := range map[*regexp.Regexp]*string{validity: &r.validity, highest: &r.highest} {
		m := what.FindStringSubmatch(about)
		if m == nil {
			t.Fatalf("no %v in %s", what, about)
		}
		*at = m[1]
	}
	r.next, _ = strconv.Atoi(nextUID.FindStringSubmatch(about)[1])
	if !strings.Contains(about, "* 0 EXISTS") {
		r.take(t, c.Cmd("UID FETCH 1:* (FLAGS MODSEQ)"), nil)
	}
	return r
}

// take does what the answers say. With a set of known UIDs nothing else may be told of.
func (r *remembered) take(t *testing.T, lines []string, known map[int]bool) {
	t.Helper()
	for _, line := range lines {
		if m := earlierLine.FindStringSubmatch(line); m != nil {
			for _, uid := range numbers(m[1]) {
				if known != nil && !known[uid] {
					t.Errorf("%q, but the client did not ask for %d", line, uid)
				}
				delete(r.flags, uid)
				delete(r.modseqs, uid)
			}
		}
		m := fetchLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		uid, _ := strconv.Atoi(uidItem.FindStringSubmatch(m[2])[1])
		if known != nil && !known[uid] {
			t.Errorf("%q, but the client did not ask for it", line)
		}
		words := strings.Fields(flagsItem.FindStringSubmatch(m[2])[1])
		words = slices.DeleteFunc(words, func(w string) bool { return w == `\Recent` })
		slices.Sort(words)
		r.flags[uid] = strings.Join(words, " ")
		r.modseqs[uid], _ = strconv.Atoi(modSeqItem.FindStringSubmatch(m[2])[1])
	}
}

func numbers(set string) (list []int) {
	for part := range strings.SplitSeq(set, ",") {
		first, last, ok := strings.Cut(part, ":")
		if !ok {
			last = first
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for n := min(from, to); n <= max(from, to); n++ {
			list = append(list, n)
		}
	}
	return list
}

// comeBack is how a client returns: with all it has, with the UIDs it knows, and with pairs of sequence numbers and UIDs.
func (r *remembered) comeBack(rnd *rand.Rand) (command string, known map[int]bool) {
	uids := slices.Sorted(maps.Keys(r.flags))
	args := fmt.Sprintf("%s %s", r.validity, r.highest)
	kind := rnd.IntN(4)
	if len(uids) == 0 || kind == 0 {
		return "SELECT INBOX (QRESYNC (" + args + "))", nil
	}
	if kind == 1 { // some of them
		first := rnd.IntN(len(uids))
		uids = uids[first : first+1+rnd.IntN(len(uids)-first)]
	}
	known = map[int]bool{}
	var list []string
	for _, uid := range uids {
		known[uid] = true
		list = append(list, strconv.Itoa(uid))
	}
	args += " " + strings.Join(list, ",")
	if kind == 3 {
		args += " " + r.pairs(rnd)
	}
	return "SELECT INBOX (QRESYNC (" + args + "))", known
}

// pairs gives some sequence numbers with their UIDs.
func (r *remembered) pairs(rnd *rand.Rand) string {
	var seqs, uids []string
	for i, uid := range slices.Sorted(maps.Keys(r.flags)) {
		if rnd.IntN(3) == 0 {
			seqs, uids = append(seqs, strconv.Itoa(i+1)), append(uids, strconv.Itoa(uid))
		}
	}
	if len(seqs) == 0 {
		return ""
	}
	return "(" + strings.Join(seqs, ",") + " " + strings.Join(uids, ",") + ")"
}

// mustEqual compares what the client believes with the truth.
func (r *remembered) mustEqual(t *testing.T, truth *remembered, known map[int]bool, what string) {
	t.Helper()
	for uid, flags := range truth.flags {
		if has, knows := r.flags[uid]; (known == nil || known[uid]) && (!knows || has != flags) {
			t.Errorf("%s: the client has %d with (%s), %v; it has (%s)", what, uid, has, knows, flags)
		}
	}
	for uid := range r.flags {
		if _, there := truth.flags[uid]; !there && (known == nil || known[uid]) {
			t.Errorf("%s: the client still has %d", what, uid)
		}
	}
}

// change is one that any client may make.
func change(rnd *rand.Rand, next int, copies string) string {
	set := fmt.Sprintf("%d:%d", 1+rnd.IntN(next), 1+rnd.IntN(next))
	if rnd.IntN(2) == 0 {
		set = fmt.Sprintf("%d,%d", 1+rnd.IntN(next), 1+rnd.IntN(next))
	}
	flag := []string{`\Seen`, `\Flagged`, `\Answered`, "k1", "k2", "$Junk"}[rnd.IntN(6)]
	op := []string{"+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT"}[rnd.IntN(4)]
	switch rnd.IntN(9) {
	case 0, 1:
		return "APPEND INBOX (" + flag + ") {9+}\r\nA: b\r\n\r\nc"
	case 2:
		return "UID COPY " + set + " " + copies
	case 3:
		return "UID STORE " + set + " (UNCHANGEDSINCE " + strconv.Itoa(1+rnd.IntN(3*next)) + ") " + op + " (" + flag + ")"
	case 4:
		return "UID MOVE " + fmt.Sprint(1+rnd.IntN(next)) + " Other"
	case 5:
		return "UID STORE " + fmt.Sprintf("%d,%d", 1+rnd.IntN(next), 1+rnd.IntN(next)) + ` +FLAGS.SILENT (\Deleted)`
	case 6:
		return "EXPUNGE"
	}
	return "UID STORE " + set + " " + op + " (" + flag + ")"
}

// onFiles changes a Maildir as an MTA or a script does.
func onFiles(t *testing.T, mail string, rnd *rand.Rand) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(mail, "cur", "*"))
	if err != nil {
		t.Fatal(err)
	}
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) == 0 || rnd.IntN(3) == 0 {
		temp := filepath.Join(mail, "tmp", fmt.Sprintf("1700000000.%d_%d.mta", rnd.Int32(), len(files)))
		if err := os.WriteFile(temp, []byte("Subject: delivered\n\nx\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		dovecot.Own(t, temp)
		move(temp, filepath.Join(mail, "new", filepath.Base(temp)))
		return
	}
	file := files[rnd.IntN(len(files))]
	base, flags, _ := strings.Cut(file, ":2,")
	switch {
	case rnd.IntN(3) == 0:
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	case strings.Contains(flags, "F"):
		move(file, base+":2,"+strings.ReplaceAll(flags, "F", ""))
	default:
		move(file, base+":2,F"+flags)
	}
}

// TestWhoComesBackIsToldTheTruth has a mailbox changed by us, by another server of ours that keeps it open, by Dovecot
// and by a script, and clients that return after any time: what they are told must lead from what they knew to what is
// there, and be what Dovecot tells, whose modification sequences must be ours (RFC 7162).
func TestWhoComesBackIsToldTheTruth(t *testing.T) {
	for _, format := range []string{"sdbox", "mdbox", "maildir"} {
		for name, settings := range map[string][]string{"": nil, " with short logs": {"mail_index_log_rotate_min_size = 1k",
			"mail_index_log_rotate_max_size = 2k", "mail_index_log_rotate_min_age = 0", "mail_index_log2_max_age = 0"}} {
			t.Run(format+name, func(t *testing.T) { returning(t, format, settings) })
		}
	}
}

func returning(t *testing.T, format string, settings []string) {
	mail := dovecot.TempDir(t) + "/mail"
	judge := dovecot.New(t, format+":"+mail, settings...)
	rnd := rand.New(rand.NewPCG(21, uint64(len(settings))))
	theirs := judge.IMAP()
	theirs.Cmd("ENABLE QRESYNC")
	theirs.Cmd("CREATE Other")
	for i := range 8 {
		theirs.Append("INBOX", "", "", fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
	}
	theirs.Select("INBOX")
	other := start(t, format+":"+mail).login()
	other.Select("INBOX")
	copies := "INBOX"
	if format == "maildir" {
		copies = "Other" // Dovecot lists a file twice that it copies within a Maildir together with an earlier copy of it
	}
	var moments []*remembered
	last := 0
	for round := range 25 {
		server := start(t, format+":"+mail) // a new one each time
		ours := server.login()
		ours.Select("INBOX")
		next := 10
		if round > 0 {
			next = moments[len(moments)-1].next
		}
		var did []string
		for range 1 + rnd.IntN(3) {
			n := rnd.IntN(4)
			if n == 3 && format == "maildir" {
				onFiles(t, mail, rnd)
				did = append(did, "a script")
				continue
			}
			command := change(rnd, next, copies)
			who := []*client.Session{ours, other, theirs, ours}[n]
			who.Try(command)
			who.Cmd("NOOP")
			did = append(did, []string{"we: ", "another of ours: ", "Dovecot: ", "we: "}[n]+command)
		}
		ours.Close()
		back := server.login()
		back.Cmd("ENABLE QRESYNC")
		truth := remember(t, back, round)
		dove := judge.IMAP()
		dove.Cmd("ENABLE QRESYNC")
		theirTruth := remember(t, dove, round)
		if !maps.Equal(truth.flags, theirTruth.flags) || !maps.Equal(truth.modseqs, theirTruth.modseqs) || truth.highest != theirTruth.highest {
			t.Fatalf("round %d, %q: we have\n%s\nDovecot has\n%s", round, did, truth, theirTruth)
		}
		if now, _ := strconv.Atoi(truth.highest); now < last {
			t.Fatalf("round %d, %q: HIGHESTMODSEQ went from %d to %d", round, did, last, now)
		} else {
			last = now
		}
		moments = append(moments, truth)
		for range 3 {
			was := moments[rnd.IntN(len(moments))]
			command, known := was.comeBack(rnd)
			believed := &remembered{flags: maps.Clone(was.flags), modseqs: maps.Clone(was.modseqs)}
			got := back.Cmd(command)
			believed.take(t, got, known)
			what := fmt.Sprintf("round %d, %q, since round %d, %s", round, did, was.when, command)
			believed.mustEqual(t, truth, known, what)
			if want := comparable(dove.Cmd(command)); !slices.Equal(comparable(got), want) && (settings == nil || !forgetful(got, want)) {
				t.Errorf("%s: we say\n%s\nDovecot says\n%s", what, strings.Join(comparable(got), "\n"), strings.Join(want, "\n"))
			}
			if t.Failed() {
				t.FailNow()
			}
		}
		back.Close()
		dove.Close()
	}
	judge.MustBeClean()
}

// forgetful tells whether Dovecot has forgotten when messages vanished, so that it tells of all that are gone, which are
// more than we still know to be news.
func forgetful(ours, theirs []string) bool {
	vanished := func(line string) bool { return earlierLine.MatchString(line) }
	all := map[int]bool{}
	for _, line := range theirs {
		if m := earlierLine.FindStringSubmatch(line); m != nil {
			for _, uid := range numbers(m[1]) {
				all[uid] = true
			}
		}
	}
	for _, line := range ours {
		if m := earlierLine.FindStringSubmatch(line); m != nil {
			for _, uid := range numbers(m[1]) {
				if !all[uid] {
					return false
				}
			}
		}
	}
	return len(all) > 0 && slices.Equal(slices.DeleteFunc(comparable(ours), vanished), slices.DeleteFunc(slices.Clone(theirs), vanished))
}

func (r *remembered) String() string {
	var list []string
	for _, uid := range slices.Sorted(maps.Keys(r.flags)) {
		list = append(list, fmt.Sprintf("%d (%s) %d", uid, r.flags[uid], r.modseqs[uid]))
	}
	return fmt.Sprintf("HIGHESTMODSEQ %s UIDNEXT %d: %s", r.highest, r.next, strings.Join(list, ", "))
}
