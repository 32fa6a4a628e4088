package sync

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats"
)

// play makes changes on both sides as the bytes say, mirrors now and then, also with interruptions, and checks after
// each complete run that the target has exactly the source's mail and its own.
type play struct {
	t        *testing.T
	src, dst *fake
	own      map[string]bool // bodies delivered into the target
	made     int
	script   []byte
}

func (p *play) next(n int) int {
	if len(p.script) == 0 {
		return 0
	}
	b := int(p.script[0])
	p.script = p.script[1:]
	return b % n
}

var playNames = []string{"INBOX", "A", "A/B", "A/B/C", "D", "E"}

func (p *play) mailbox(f *fake) string {
	names := sortedNames(f)
	if len(names) == 0 {
		return ""
	}
	return names[p.next(len(names))]
}

func (p *play) body() string {
	p.made++
	return fmt.Sprintf("Subject: %d\n\nbody\n", p.made)
}

func (p *play) step() {
	name := p.mailbox(p.src)
	uid := formats.UID(1 + p.next(6))
	switch p.next(10) {
	case 0, 1, 2:
		p.src.deliver(playNames[p.next(len(playNames))], p.body())
	case 3:
		if name != "" {
			p.src.flag(name, uid, formats.Flags(p.next(32))&formats.SystemFlags, []string{"a", "b", "c"}[:p.next(4)]...)
		}
	case 4:
		if name != "" {
			p.src.expunge(name, uid)
		}
	case 5:
		to := playNames[p.next(len(playNames))]
		if name != "" && name != "INBOX" && to != "INBOX" && !under(to, name) && p.src.boxes[to] == nil && !hasBelow(p.src, to) {
			rename(p.src, name, to)
		}
	case 6:
		if name != "" && name != "INBOX" {
			delete(p.src.boxes, name)
		}
	case 7:
		if in := p.mailbox(p.dst); in != "" {
			body := p.body()
			p.own[body] = true
			p.dst.deliver(in, body)
		}
	case 8:
		p.mirror(1 + p.next(12))
	case 9:
		p.mirror(0)
	}
}

func hasBelow(f *fake, name string) bool {
	return slices.ContainsFunc(sortedNames(f), func(n string) bool { return under(n, name) })
}

// mirror runs once; with failAt, it is cut off after that many changes.
func (p *play) mirror(failAt int) {
	if failAt > 0 {
		p.dst.failAt, p.dst.failWith = p.dst.steps+failAt, syscall.ENOSPC
	}
	r, err := Mirror(context.Background(), p.src, p.dst, Options{GroupMessages: 2, Jobs: 1})
	p.dst.failAt = 0
	if err != nil {
		if failAt == 0 && len(p.src.boxes) > 0 {
			p.t.Fatalf("mirror: %v", err)
		}
		return
	}
	p.check(r)
}

func (p *play) check(r *Report) {
	p.t.Helper()
	aside := map[string]bool{}
	for _, s := range r.SetAside {
		aside[s.Mailbox] = true
	}
	found := map[string]bool{}
	for name, box := range p.dst.boxes {
		for _, m := range box.msgs {
			if found[m.body] && p.own[m.body] {
				p.t.Fatalf("%s holds %q twice", name, m.body)
			}
			found[m.body] = true
		}
	}
	for body := range p.own {
		if !found[body] {
			p.t.Fatalf("the target's own %q is gone; now\n%s", body, p.dst.dump())
		}
	}
	view := func(f *fake, name string) string {
		var lines []string
		if f.boxes[name] == nil {
			return "no mailbox"
		}
		for _, m := range f.boxes[name].msgs {
			if !p.own[m.body] {
				lines = append(lines, fmt.Sprintf("%q %v %v", m.body, m.Flags, slices.Sorted(slices.Values(m.Keywords))))
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	names := append(sortedNames(p.src), sortedNames(p.dst)...)
	for _, name := range names {
		if aside[name] {
			continue
		}
		got, want := view(p.dst, name), view(p.src, name)
		if p.src.boxes[name] == nil && (got == "" || len(aside) > 0) {
			continue // only its own mail is left, or it waits to be renamed to a name that is taken
		}
		if got != want {
			p.t.Fatalf("%s has\n%s\nwant\n%s\nset aside %v", name, got, want, r.SetAside)
		}
	}
}

func newPlay(t *testing.T, script []byte) *play {
	limits := []formats.Limits{{}, {NoGUID: true, NoMailboxGUID: true, NoModSeq: true, OneTx: true}}
	p := &play{t: t, own: map[string]bool{}, script: script}
	p.dst = newFake(limits[p.next(2)])
	p.src = newFake(formats.Limits{})
	p.src.volatile = p.next(4) == 0
	p.dst.next, p.dst.epoch = 9000, 100_000_000
	return p
}

func (p *play) run() {
	for len(p.script) > 0 {
		p.step()
	}
	if len(p.src.boxes) > 0 {
		p.mirror(0)
		p.mirror(0)
	}
}

func TestRandomChanges(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			script := make([]byte, 400)
			for i := range script {
				script[i] = byte(random.Uint32())
			}
			newPlay(t, script).run()
		})
	}
}

func FuzzMirror(f *testing.F) {
	f.Add([]byte("a sequence of changes on both sides, with runs between"))
	f.Fuzz(func(t *testing.T, script []byte) { newPlay(t, script[:min(len(script), 600)]).run() })
}
