package imap_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dovetail/formats/formatstest/dovecot"
)

// A script in testdata/transcripts is given to our server and to Dovecot on stores of their own, both empty, and what
// they answer must be the same line by line, but for what masks and the differences below say. Its lines:
//
//	# a comment
//	set imap_id_send = *            a setting, before everything else
//	format sdbox maildir            other formats than sdbox and mdbox
//	order modseqs                   of modification sequences only the order is compared
//	1 SELECT INBOX                  session 1 sends a command and waits for its end
//	1 APPEND x «a¶b»                «…» is a literal that is not waited for, ¶ a line end in it, ␀ a NUL
//	1 APPEND x ‹a¶b› ‹c›            literals that are waited for: what follows is not sent if the command ends before
//	1 FETCH 1 (CHANGEDSINCE %m)     the highest modification sequence that the session was told
//	1> FETCH 1 FLAGS                sent without waiting: the next line that waits, waits for it, too
//	1! DONE                         sent as it stands, without a tag
//	1? EXISTS                       reads until a line matches
//
// Sessions are logged in when they are first used.
type script struct {
	name     string
	formats  []string
	settings []string
	steps    []step
	byOrder  bool // modification sequences
}

type step struct {
	session int
	kind    byte // ' ' '>' '!' '?'
	text    string
}

var stepLine = regexp.MustCompile(`^([1-9])([ >!?])\s*(.*)$`)

func readScript(t *testing.T, path string) *script {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{name: strings.TrimSuffix(filepath.Base(path), ".txt"), formats: []string{"sdbox", "mdbox"}}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if setting, ok := strings.CutPrefix(line, "set "); ok {
			s.settings = append(s.settings, setting)
			continue
		}
		if line == "order modseqs" {
			s.byOrder = true
			continue
		}
		if format, ok := strings.CutPrefix(line, "format "); ok {
			s.formats = strings.Fields(format)
			continue
		}
		m := stepLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s: %q", path, line)
		}
		s.steps = append(s.steps, step{int(m[1][0] - '0'), m[2][0], literals(m[3])})
	}
	return s
}

var (
	literalMark = regexp.MustCompile(`«[^»]*»|‹[^›]*›`)
	literalText = strings.NewReplacer("«", "", "»", "", "‹", "", "›", "", "¶", "\r\n", "␀", "\x00")
)

// waitHere is where a client waits until it may send a literal.
const waitHere = "\ue000"

// literals writes out what stands for literals.
func literals(text string) string {
	return literalMark.ReplaceAllStringFunc(text, func(mark string) string {
		body := literalText.Replace(mark)
		if strings.HasPrefix(mark, "‹") {
			return fmt.Sprintf("{%d}\r\n%s%s", len(body), waitHere, body)
		}
		return fmt.Sprintf("{%d+}\r\n%s", len(body), body)
	})
}

// talk is a session of a transcript.
type talk struct {
	w       io.Writer
	r       *bufio.Reader
	limit   func(time.Time) error
	tag     int
	waiting map[string]bool
	modSeq  uint64 // the highest one told
}

const patience = 20 * time.Second

var announced = regexp.MustCompile(`\{(\d+)\}\r\n$`)

// read gives one answer with its literals.
func (c *talk) read() (string, error) {
	c.limit(time.Now().Add(patience))
	var whole strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		whole.WriteString(line)
		if err != nil {
			return whole.String(), err
		}
		m := announced.FindStringSubmatch(line)
		if m == nil {
			return strings.TrimSuffix(whole.String(), "\r\n"), nil
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		if _, err := io.CopyN(&whole, c.r, n); err != nil {
			return whole.String(), err
		}
	}
}

// run gives the transcript of a script.
func (s *script) run(t *testing.T, connect func() *talk) []string {
	r := running{t: t, script: s}
	sessions := map[int]*talk{}
	for _, p := range s.steps {
		c := sessions[p.session]
		if c == nil {
			c = connect()
			c.waiting = map[string]bool{}
			sessions[p.session] = c
		}
		if p.kind != '?' && !r.send(c, p) || p.kind == '>' {
			continue
		}
		idling := p.kind == ' ' && strings.HasPrefix(p.text, "IDLE") || p.kind == ' ' && strings.HasPrefix(p.text, "AUTHENTICATE")
		for p.kind == '?' || len(c.waiting) > 0 {
			line, open := r.answer(c, p)
			if !open || p.kind == '?' && regexp.MustCompile(p.text).MatchString(line) || idling && strings.HasPrefix(line, "+") {
				break
			}
		}
	}
	return r.out
}

// running is a script on its way.
type running struct {
	t      *testing.T
	script *script
	out    []string
}

// send writes a command, piece by piece where the client waits; false when there is nothing more to wait for.
func (r *running) send(c *talk, p step) bool {
	r.out = append(r.out, fmt.Sprintf("%d> %s", p.session, strings.ReplaceAll(p.text, waitHere, "")))
	text := strings.ReplaceAll(p.text, "%m", strconv.FormatUint(c.modSeq, 10)) + "\r\n"
	if p.kind == ' ' || p.kind == '>' {
		c.tag++
		tag := fmt.Sprintf("t%d", c.tag)
		c.waiting[tag] = true
		text = tag + " " + text
	}
	for i, piece := range strings.Split(text, waitHere) {
		for line := ""; i > 0 && !strings.HasPrefix(line, "+"); {
			var open bool
			if line, open = r.answer(c, p); !open || len(c.waiting) == 0 {
				return false // the command has ended: the rest is not wanted
			}
		}
		if _, err := io.WriteString(c.w, piece); err != nil {
			r.out = append(r.out, fmt.Sprintf("%d< (closed)", p.session))
			return false
		}
	}
	return true
}

// answer reads one answer; open is false when there are no more.
func (r *running) answer(c *talk, p step) (line string, open bool) {
	line, err := c.read()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			r.t.Fatalf("%s: after %q: %v\n%s", r.script.name, p.text, err, strings.Join(r.out, "\n"))
		}
		r.out = append(r.out, fmt.Sprintf("%d< (closed)", p.session))
		clear(c.waiting)
		return "", false
	}
	r.out = append(r.out, fmt.Sprintf("%d< %s", p.session, line))
	for _, n := range modSeqs(line) {
		c.modSeq = max(c.modSeq, n)
	}
	word, _, _ := strings.Cut(line, " ")
	delete(c.waiting, word)
	return line, true
}

var modSeqMark = regexp.MustCompile(`MODSEQ \(?(\d+)`)

// modSeqs are the modification sequences in an answer.
func modSeqs(line string) (all []uint64) {
	for _, m := range modSeqMark.FindAllStringSubmatch(line, -1) {
		n, _ := strconv.ParseUint(m[1], 10, 64)
		all = append(all, n)
	}
	return all
}

// byOrder replaces modification sequences by their places among all of them.
func byOrder(lines []string) []string {
	var all []uint64
	for _, line := range lines {
		all = append(all, modSeqs(line)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for i, line := range lines {
		lines[i] = modSeqMark.ReplaceAllStringFunc(line, func(mark string) string {
			at := strings.IndexAny(mark, "0123456789")
			n, _ := strconv.ParseUint(mark[at:], 10, 64)
			place, _ := slices.BinarySearch(all, n)
			return fmt.Sprintf("%s#%d", mark[:at], place+1)
		})
	}
	return lines
}

// masks hide what is never the same twice.
var masks = []struct {
	what *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(` \(\d+\.\d+ \+ \d+\.\d+( \+ \d+\.\d+)? secs\)`), ""},
	{regexp.MustCompile(`(UIDVALIDITY|APPENDUID|COPYUID|BADURL [^\]]*UIDVALIDITY=) ?\d{9,10}`), "$1 <validity>"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "<guid>"},
	{regexp.MustCompile(`^(\d< \S+ BAD Error in IMAP command [A-Z]+( [A-Z]+)?): .*`), "$1: <what is wrong>"},
	{regexp.MustCompile(` \\(Un)?[Mm]arked\b|\\(Un)?[Mm]arked\b ?`), ""},
	{regexp.MustCompile(` COMPRESS=DEFLATE$`), ""}, // Dovecot has it in a plugin
	{regexp.MustCompile(`"(Dovecot|Dovetail)"`), "<name>"},
	{regexp.MustCompile(`INTERNALDATE "[0-9 ]\d-...-202.*? [+-]\d{4}"`), "INTERNALDATE <now>"},
	{regexp.MustCompile(`\[20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\]`), "[<time>]"},
}

// anyModSeq: in a Maildir Dovecot counts a message, its flags and its keywords one by one.
var anyModSeq = regexp.MustCompile(`MODSEQ [(]?\d+[)]?`)

func masked(format, line string) string {
	if format == "maildir" {
		line = anyModSeq.ReplaceAllString(line, "MODSEQ <any>")
	}
	for _, m := range masks {
		line = m.what.ReplaceAllString(line, m.is)
	}
	return line
}

// differences are where we mean to answer otherwise than Dovecot 2.3.19.
var differences = []struct {
	script, ours, theirs string
	why                  string
}{
	{"search", "1< t38 OK [EXPUNGEISSUED] Search completed.", "1< t38 OK Search completed.", "an mdbox still has the message that is expunged; Dovecot finds it there, we do not look"},
	{"search", "1< t39 OK [EXPUNGEISSUED] Search completed.", "1< t39 OK Search completed.", "as before"},
	{"clients-roundcube", "1< t12 NO [USEATTR] Special uses are set by the server's configuration.", "1< t12 OK Create completed.", "Dovecot makes the mailbox without the use and does not say so (RFC 6154 section 3)"},
}

func (s *script) excused(ours, theirs string) bool {
	for _, d := range differences {
		if (d.script == "" || d.script == s.name) && d.ours == ours && d.theirs == theirs {
			return true
		}
	}
	return false
}

func TestAnswersAreDovecots(t *testing.T) {
	dovecot.Need(t)
	paths, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		s := readScript(t, path)
		for _, format := range s.formats {
			name := s.name
			if len(s.formats) > 1 {
				name += " in " + format
			}
			t.Run(name, func(t *testing.T) { s.compare(t, format) })
		}
	}
}

func (s *script) compare(t *testing.T, format string) {
	a, b := s.run(t, s.ours(t, format)), s.run(t, s.theirs(t, format))
	if s.byOrder {
		a, b = byOrder(a), byOrder(b)
	}
	ours, theirs := parts(format, a), parts(format, b)
	var shown []string
	for i := range max(len(ours), len(theirs)) {
		a, b := at(ours, i), at(theirs, i)
		for k := range max(len(a), len(b)) {
			mine, other := "(nothing)", "(nothing)"
			if k < len(a) {
				mine = a[k]
			}
			if k < len(b) {
				other = b[k]
			}
			if mine != other && !s.excused(mine, other) {
				shown = append(shown, "behind "+b[0], "   Dovecot "+strings.Join(b[1:], "\n           "), "   we      "+strings.Join(a[1:], "\n           "))
				break
			}
		}
	}
	if len(shown) > 0 {
		t.Errorf("differences:\n%s", strings.Join(shown, "\n"))
	}
}

// parts cuts a transcript in front of each command.
func parts(format string, lines []string) (list [][]string) {
	for _, line := range lines {
		if line[1] == '>' || len(list) == 0 {
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], masked(format, line))
	}
	for _, part := range list {
		sortLists(part[1:])
	}
	return list
}

// sortLists puts mailboxes in order: Dovecot gives them as the file system does.
func sortLists(lines []string) {
	listed := regexp.MustCompile(`^\d< \* (LIST|LSUB) \(.*?\) "." `)
	var groups [][]string
	end := 0
	for i, line := range lines {
		if listed.MatchString(line) {
			groups = append(groups, nil)
		} else if !strings.Contains(line, "< * STATUS") {
			break
		}
		if len(groups) == 0 {
			return
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], line)
		end = i + 1
	}
	slices.SortFunc(groups, func(a, b []string) int {
		return strings.Compare(listed.ReplaceAllString(a[0], ""), listed.ReplaceAllString(b[0], ""))
	})
	copy(lines[:end], slices.Concat(groups...))
}

func at(list [][]string, i int) []string {
	if i < len(list) {
		return list[i]
	}
	return []string{"(nothing)"}
}

func (s *script) theirs(t *testing.T, format string) func() *talk {
	// It says that it idles before it has the files watched, and what happens in between it finds by the clock.
	settings := append(slices.Clone(s.settings), "mailbox_idle_check_interval = 1 secs")
	judge := dovecot.New(t, dovecot.Location(format, dovecot.TempDir(t)+"/mail"), settings...)
	return func() *talk {
		cmd := judge.Command("exec", "imap")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			io.Copy(io.Discard, out)
			cmd.Wait() // it ends as its input does
		})
		c := &talk{w: in, r: bufio.NewReader(out), limit: out.(*os.File).SetReadDeadline}
		if greeting, err := c.read(); err != nil || !strings.HasPrefix(greeting, "* PREAUTH ") {
			t.Fatalf("imap greeted with %q, %v\n%s", greeting, err, judge.Log())
		}
		return c
	}
}

func (s *script) ours(t *testing.T, format string) func() *talk {
	server := start(t, dovecot.Location(format, dovecot.TempDir(t)+"/mail"), s.settings...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(server.log.String())
		}
	})
	return func() *talk {
		conn, err := net.Dial("tcp", server.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c := &talk{w: conn, r: bufio.NewReader(conn), limit: conn.SetReadDeadline}
		io.WriteString(conn, "l LOGIN tester x\r\n")
		for {
			line, err := c.read()
			if err != nil {
				t.Fatalf("login: %v\n%s", err, server.log)
			}
			if strings.HasPrefix(line, "l OK") {
				return c
			}
		}
	}
}
