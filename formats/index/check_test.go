package index

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dovetail/formats"
	"dovetail/formats/disk"
)

func TestCheckNamesDamage(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, d *disk.Dir)
		want  []string // "file@offset: what"
	}{
		{"nothing wrong", func(*testing.T, *disk.Dir) {}, nil},
		{"no snapshot", remove("dovecot.index"), nil},
		{"no log", remove("dovecot.index.log"), []string{"dovecot.index.log@0: corrupt: log is missing"}},
		{"an empty log", patch("dovecot.index.log", 0, -1), []string{"dovecot.index.log@0: corrupt: log is empty"}},
		{"a wrong count of seen messages", patch("dovecot.index", 40, 0), []string{"dovecot.index@40: corrupt: 0 messages are counted as seen, 1 are"}},
		{"a wrong count of deleted messages", patch("dovecot.index", 44, 1), []string{"dovecot.index@44: corrupt: 1 messages are counted as deleted, 0 are"}},
		{"next UID too low", patch("dovecot.index", 28, 3), []string{"dovecot.index@0: corrupt: first recent UID 12 with next UID 3"}},
		{"an extension with an impossible name", patch("dovecot.index", 184, 1), []string{"dovecot.index@168: corrupt: extension"}},
		{"indexids that differ", patch("dovecot.index", 16, 2), []string{"dovecot.index@16: corrupt: indexid"}},
		{"a torn transaction", func(t *testing.T, d *disk.Dir) {
			log := readFile(t, d, "dovecot.index.log")
			writeFile(t, d, "dovecot.index.log", append(log, log[112:150]...))
		}, []string{"dovecot.index.log@392: corrupt: 38 bytes behind the last complete transaction"}},
		{"a record that Dovecot does not know", func(t *testing.T, d *disk.Dir) {
			log := readFile(t, d, "dovecot.index.log")
			writeFile(t, d, "dovecot.index.log", append(log, 0x80, 0x80, 0x80, 0x83, 0x10, 0, 0, 0, 1, 1, 1, 1))
		}, []string{"dovecot.index.log@392: corrupt: unknown record type 0x10"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := (&disk.FS{}).OpenRoot(goldenDir(t))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			c.spoil(t, d)
			problems, err := Check(d, Prefix)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, fmt.Sprintf("%s@%d: %s", strings.TrimPrefix(p.Path, d.Path()+"/"), p.Offset, p.What))
				if p.Cost == "" {
					t.Errorf("%v says nothing of the cost", p)
				}
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("problems\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

// A torn transaction is cut off by the next one, and what is restored from damaged files is sound: the judge's log stays
// empty.
func TestDovecotIsContentAfterRepairs(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, d *disk.Dir)
		mend  func(t *testing.T, d *disk.Dir)
	}{
		{"a torn transaction", func(t *testing.T, d *disk.Dir) {
			log := readFile(t, d, "dovecot.index.log")
			writeFile(t, d, "dovecot.index.log", append(log, log[112:150]...))
		}, func(t *testing.T, d *disk.Dir) {
			if err := with(t.Context(), func(x *Index) error { return x.CutTail(t.Context()) })(d); err != nil {
				t.Error(err)
			}
		}},
		{"no log", remove("dovecot.index.log"), update},
		{"an empty log", patch("dovecot.index.log", 0, -1), update},
		{"a log marked as corrupted", patch("dovecot.index.log", 4, 0, 0, 0, 0), restore},
		{"a record that Dovecot does not know", func(t *testing.T, d *disk.Dir) {
			log := readFile(t, d, "dovecot.index.log")
			writeFile(t, d, "dovecot.index.log", append(log, 0x80, 0x80, 0x80, 0x83, 0x10, 0, 0, 0, 1, 1, 1, 1))
		}, restore},
		{"wrong counters", patch("dovecot.index", 40, 0), restore},
	} {
		t.Run(c.name, func(t *testing.T) {
			judge, d := sdbox(t, true)
			x, err := Create(t.Context(), d, Prefix, goldenNew())
			if err != nil {
				t.Fatal(err)
			}
			x.Close()
			saveMessage(t, d, 7)
			c.spoil(t, d)
			c.mend(t, d)
			if problems, err := Check(d, Prefix); err != nil || len(problems) > 0 {
				t.Errorf("after mending: %v, %v", problems, err)
			}
			s := judge.IMAP()
			s.Select("INBOX")
			s.Cmd("UID STORE 7 +FLAGS (more)")
			s.Append("INBOX", "", "", "Subject: x\r\n\r\nx\r\n")
			state, err := Read(d, Prefix)
			if err != nil || state.Len() != 2 || !slices.Equal(state.KeywordsOf(0), []string{"$Forwarded", "more"}) || state.UIDValidity != 1700000000 {
				t.Errorf("%q, %v", known(state), err)
			}
			if state.Flags(0)&formats.SystemFlags != formats.Seen|formats.Flagged {
				t.Errorf("flags %v", state.Flags(0))
			}
			judge.MustBeClean()
		})
	}
}

// update makes a change, with which a log begins again.
func update(t *testing.T, d *disk.Dir) {
	err := with(t.Context(), func(x *Index) error {
		return x.Update(t.Context(), func(tx *Tx) error { tx.UpdateFlags(formats.RangesOf(7), Backend, 0); return nil })
	})(d)
	if err != nil {
		t.Error(err)
	}
}

// restore makes the index anew from what can be read of it. Wrong counters in a snapshot do not keep anybody from reading
// it, and are right in the next one.
func restore(t *testing.T, d *disk.Dir) {
	again := func(r Remains) (New, error) {
		if r.State == nil {
			return New{}, r.Damage
		}
		n := New{UIDValidity: r.State.UIDValidity, NextUID: r.State.NextUID, HighestModSeq: r.State.HighestModSeq()}
		for _, e := range r.State.Extensions {
			if e.Name == "dbox-hdr" {
				n.Extensions = append(n.Extensions, Extension{Name: e.Name, Header: e.Header})
			}
		}
		for _, m := range r.State.All() {
			n.Messages = append(n.Messages, m)
		}
		return n, nil
	}
	done, err := Rebuild(t.Context(), d, Prefix, nil, again)
	if err == nil && !done && len(mustCheck(t, d)) > 0 {
		err = with(t.Context(), func(x *Index) error {
			err := x.Update(t.Context(), func(tx *Tx) error { tx.UpdateFlags(formats.RangesOf(7), Backend, 0); return nil })
			return errors.Join(err, x.Compact(t.Context()))
		})(d)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func mustCheck(t *testing.T, d *disk.Dir) []formats.Problem {
	t.Helper()
	problems, err := Check(d, Prefix)
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func TestATornLogIsTold(t *testing.T) {
	d, err := (&disk.FS{}).OpenRoot(goldenDir(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := Damage(d, Prefix); err != nil {
		t.Errorf("a sound index: %v", err)
	}
	log := readFile(t, d, "dovecot.index.log")
	writeFile(t, d, "dovecot.index.log", append(log, log[112:150]...))
	if err := Damage(d, Prefix); err == nil || !strings.HasSuffix(err.Error(), "dovecot.index.log at byte 392: corrupt: 38 bytes behind the last complete transaction are lost") {
		t.Errorf("a torn log: %v", err)
	}
	if err := Damage(d, "none"); err != nil {
		t.Errorf("no index: %v", err)
	}
}
