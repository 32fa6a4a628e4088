package courier_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/convert/courier"
	judge "dovetail/formats/formatstest/courier"
	"dovetail/formats/formatstest/dovecot"
)

// trap is one Maildir as damage, other programs or malice leave it, and what must be true of it after a conversion.
type trap struct {
	name    string
	version int // 0: found out

	// files below the Maildir:
	//
	//	cur/1.a:2,S             a message; its Subject is the base name
	//	cur/1.a:2,S = text      a message with that text
	//	.Sub/                   a folder
	//	name = text             a control file
	//	name -> target          a link; OUT is a folder that is not the user's
	files []string

	// shown is what IMAP shows: by mailbox "V<uidvalidity> N<uidnext>: <uid> <subject> <flags>; …". "?" stands for any
	// UIDVALIDITY or UIDNEXT that is not 0.
	shown map[string]string
	subs  []string // of LSUB, below INBOX
	pop   []string // UIDL; nil: not asked

	says []string // must be in the report
	exit int

	noLogin    bool   // Dovecot cannot read it either
	only4      bool   // Courier 5 knows no such list; the rules of Courier 4 give the UIDLs
	notCourier string // why Courier 5 itself does not show the same before the run; "" if it does

	o     courier.Options
	later func(t *testing.T, root string) // before the run
	after func(t *testing.T, root string) // what else must be true
}

// box makes the names of a folder's cur, new and tmp.
func makeBox(t *testing.T, dir string, sub bool) {
	t.Helper()
	for _, name := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if sub {
		if err := os.WriteFile(filepath.Join(dir, "maildirfolder"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// set builds the Maildir below home. Messages arrived a second after one another, long ago; lists are younger.
func (c *trap) set(t *testing.T, root, out string) {
	t.Helper()
	makeBox(t, root, false)
	arrived := time.Unix(1500000000, 0)
	for _, line := range c.files {
		if name, ok := strings.CutSuffix(line, "/"); ok && !strings.Contains(line, " -> ") {
			makeBox(t, filepath.Join(root, name), true)
			continue
		}
		if name, target, ok := strings.Cut(line, " -> "); ok {
			if err := os.Symlink(strings.ReplaceAll(target, "OUT", out), filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		name, text, given := strings.Cut(line, " = ")
		path := filepath.Join(root, name)
		dir := filepath.Base(filepath.Dir(path))
		message := dir == "cur" || dir == "new"
		if message && !given {
			base, _, _ := strings.Cut(filepath.Base(name), ":")
			text = "Subject: " + base + "\n\nbody\n"
		}
		if !message {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if when := time.Unix(1600000000, 0); !message {
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
			continue
		}
		arrived = arrived.Add(time.Second)
		if err := os.Chtimes(path, arrived, arrived); err != nil {
			t.Fatal(err)
		}
	}
	dovecot.Own(t, root)
	if c.later != nil {
		c.later(t, root)
	}
}

// view is what a session shows, as in trap.shown.
func view(s *dovecot.Session) map[string]string {
	shown := map[string]string{}
	for _, e := range s.List() {
		if e.NoSelect {
			continue
		}
		if _, status := s.Try("EXAMINE " + dovecot.Quote(e.Name)); !strings.HasPrefix(status, "OK") {
			shown[strings.TrimPrefix(e.Name, "INBOX.")] = "cannot be opened"
			continue
		}
		st := s.Status(e.Name)
		line := fmt.Sprintf("V%d N%d:", st.UIDValidity, st.UIDNext)
		if st.Messages == 0 {
			shown[strings.TrimPrefix(e.Name, "INBOX.")] = line
			continue
		}
		for i, m := range s.Fetch("1:*") {
			if i > 0 {
				line += ";"
			}
			subject, _, _ := strings.Cut(strings.TrimPrefix(m.Body, "Subject: "), "\r\n")
			words := append(m.Flags.Names(), m.Keywords...)
			words = slices.DeleteFunc(words, func(w string) bool { return w == `\Recent` })
			line += strings.TrimRight(fmt.Sprintf(" %d %s %s", m.UID, subject, strings.Join(words, " ")), " ")
		}
		shown[strings.TrimPrefix(e.Name, "INBOX.")] = line
	}
	return shown
}

// fits compares one mailbox with what is wanted.
func fits(want, got string) bool {
	w, g := strings.SplitN(want, " ", 3), strings.SplitN(got, " ", 3)
	for i := range 2 {
		if strings.Contains(w[i], "?") && len(g) > i && g[i] != strings.Replace(w[i], "?", "0", 1) {
			w[i] = g[i]
		}
	}
	return strings.Join(w, " ") == got
}

// Every trap is repaired or reported, its neighbours keep their UIDs, and real Dovecot reads all of it without a word.
func TestR308Traps(t *testing.T) {
	dovecot.Need(t)
	traps := allTraps()
	dir := dovecot.TempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	makeBox(t, out, false)
	if err := os.WriteFile(filepath.Join(out, "secret"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := snapshot(t, out)
	reports := make([]*courier.UserReport, len(traps))
	maildirs := make([]string, len(traps))
	var users strings.Builder
	uid, gid := dovecot.IDs()
	for i := range traps {
		c := &traps[i]
		home := filepath.Join(dir, fmt.Sprint("u", i))
		maildirs[i] = filepath.Join(home, "Maildir")
		c.set(t, maildirs[i], out)
		dovecot.Own(t, dir)
		reports[i] = c.run(t, maildirs[i])
		mustBeUntouched(t, c.name+": a folder outside", outside, snapshot(t, out))
		fmt.Fprintf(&users, "u%d:{PLAIN}x:%d:%d::%s::\n", i, uid, gid, home)
	}
	file := filepath.Join(dir, "passwd")
	if err := os.WriteFile(file, []byte(users.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	d := dovecot.Serve(t, file)
	for i := range traps {
		t.Run(traps[i].name, func(t *testing.T) { traps[i].check(t, d, i, maildirs[i], reports[i]) })
	}
	d.Stop()
}

// run looks and converts; both must say the same, and a second conversion has nothing to do.
func (c *trap) run(t *testing.T, maildir string) *courier.UserReport {
	t.Helper()
	u := courier.User{Name: c.name, Maildir: maildir}
	o := c.o
	o.Version = c.version
	before := snapshot(t, maildir)
	looked, err := courier.Run(t.Context(), u, o)
	if err != nil {
		t.Errorf("%s: looking: %v", c.name, err)
	}
	mustBeUntouched(t, c.name+": looking", before, snapshot(t, maildir))
	o.Convert = true
	done, err := courier.Run(t.Context(), u, o)
	if err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	mustSayTheSame(t, &courier.Report{Users: []*courier.UserReport{looked}}, &courier.Report{Users: []*courier.UserReport{done}})
	after := snapshot(t, maildir)
	again, err := courier.Run(t.Context(), u, o)
	if err != nil || len(again.Steps) > 0 {
		t.Errorf("%s: a second run: %v, steps %+v", c.name, err, again.Steps)
	}
	mustBeUntouched(t, c.name+": a second run", after, snapshot(t, maildir))
	return done
}

func (c *trap) check(t *testing.T, d *dovecot.Daemon, i int, maildir string, r *courier.UserReport) {
	d.ForgetLog()
	var said strings.Builder
	enc := json.NewEncoder(&said)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	for _, words := range c.says {
		if !strings.Contains(said.String(), words) {
			t.Errorf("the report does not say %q:\n%s", words, said.String())
		}
	}
	if r.ExitCode() != c.exit {
		t.Errorf("exit code %d, want %d\n%s", r.ExitCode(), c.exit, said.String())
	}
	if c.after != nil {
		c.after(t, maildir)
	}
	if !c.noLogin {
		c.ask(t, d, fmt.Sprint("u", i))
	}
}

// ask compares what Dovecot shows.
func (c *trap) ask(t *testing.T, d *dovecot.Daemon, user string) {
	s := d.Login(user, "x")
	shown := view(s)
	for _, name := range slices.Sorted(maps.Keys(c.shown)) {
		if want := c.shown[name]; !fits(want, shown[name]) {
			t.Errorf("%s shows\n  %s\nwant\n  %s", name, shown[name], want)
		}
	}
	for name := range shown {
		if _, wanted := c.shown[name]; !wanted {
			t.Errorf("mailbox %s: %s", name, shown[name])
		}
	}
	var subs []string
	for _, name := range s.Lsub() {
		subs = append(subs, strings.TrimPrefix(name, "INBOX."))
	}
	if !slices.Equal(subs, c.subs) {
		t.Errorf("subscriptions %q, want %q", subs, c.subs)
	}
	s.Close()
	if c.pop != nil {
		p := d.LoginPOP(user, "x")
		var got []string
		for _, line := range p.Multi("UIDL") {
			_, uidl, _ := strings.Cut(line, " ")
			got = append(got, uidl)
		}
		p.Close()
		if !slices.Equal(got, c.pop) {
			t.Errorf("UIDL %q, want %q", got, c.pop)
		}
	}
	d.MustBeClean()
}

// What Courier 5 shows of a trap is what Dovecot shows after the conversion.
func TestTrapsAreWhatCourierShows(t *testing.T) {
	judge.Need(t)
	for _, c := range allTraps() {
		if c.notCourier != "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // Courier waits a second for a server that is not there
			root := filepath.Join(dovecot.TempDir(t), "Maildir")
			c.set(t, root, t.TempDir())
			if c.only4 {
				var got []string
				for _, m := range judge.Rules(t, root).Pop {
					got = append(got, m.UIDL)
				}
				if !slices.Equal(got, c.pop) {
					t.Errorf("UIDL %q, want %q", got, c.pop)
				}
				return
			}
			j := judge.New(t, root)
			s := j.IMAP()
			shown := view(s)
			var subs []string
			for _, name := range s.Lsub() {
				subs = append(subs, strings.TrimPrefix(name, "INBOX."))
			}
			s.Close()
			if !slices.Equal(subs, c.subs) {
				t.Errorf("subscriptions %q, want %q", subs, c.subs)
			}
			for _, name := range slices.Sorted(maps.Keys(c.shown)) {
				if want := c.shown[name]; !fits(want, shown[name]) {
					t.Errorf("%s shows\n  %s\nwant\n  %s", name, shown[name], want)
				}
			}
			if c.pop == nil {
				return
			}
			if got := j.UIDLs(); !slices.Equal(got, c.pop) {
				t.Errorf("UIDL %q, want %q", got, c.pop)
			}
		})
	}
}
