package courier

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// naming decides what each folder is called on disk after the run. It works on the paths alone; nothing is touched.
type naming struct {
	to        Direction
	utf8Names bool // Courier's version is 5
	note      *note
	keep      bool // no folder is renamed

	at    map[string]string // where each folder of the list will be: its path as found -> its path for the target
	why   map[string]string // of those that move, by the path as found
	moves []move            // in an order in which no name is taken when its turn comes
	stuck map[string]error  // by the path as found
	left  []string          // folders, as found, that keep a name that they should not have
	later map[string]string // what those will be called, by their place now

	// pairs are the folders whose names differ, with those that an earlier run knew; dovecot gives the name for Dovecot by the
	// one for Courier, courier the other way.
	pairs            []move
	dovecot, courier map[string]string
}

var errTooLong = errors.New("the name would be longer than the 255 bytes that a file system allows")

// newNaming plans the renames of the folders found (INBOX, "", is one of them and never moves). others are further names in
// the same place, which are no folders but in the way. With keep no folder is renamed, except to finish what a run began.
func newNaming(found, others []string, to Direction, utf8Names bool, n *note, keep bool) *naming {
	p := &naming{
		to: to, utf8Names: utf8Names, note: n, keep: keep,
		at: map[string]string{}, why: map[string]string{}, stuck: map[string]error{}, later: map[string]string{},
		dovecot: map[string]string{}, courier: map[string]string{},
	}
	if n != nil {
		p.know(n.pairs)
	}
	found = slices.Clone(found)
	slices.Sort(found)
	now := p.finish(found)
	p.assign(found, others, now)
	// A folder that stays for want of a name may stand in the way of another.
	p.unblock(found, now)
	p.order(found, now)
	p.pairs = p.allPairs()
	p.know(p.pairs)
	p.keepUnmoved(found, now)
	return p
}

func (p *naming) know(pairs []move) {
	for _, pair := range pairs {
		p.dovecot[pair.from], p.courier[pair.to] = pair.to, pair.from
	}
}

// assign gives each folder its new place. Those that stay come first: nobody gets their names.
func (p *naming) assign(found, others []string, now map[string]string) {
	taken := map[string]string{}
	for _, name := range others {
		taken[name] = name
	}
	for _, path := range found {
		to, why := p.target(now[path])
		if p.keep && to != now[path] {
			p.left, p.later[now[path]] = append(p.left, path), to
			to = now[path]
		}
		if p.at[path] = to; to != now[path] {
			p.why[path] = why
			continue
		}
		taken[to] = path
	}
	for _, path := range found {
		to := p.at[path]
		if to == now[path] {
			continue
		}
		other, isTaken := taken[to]
		switch {
		case len(to) > 255:
			p.refuse(path, now[path], errTooLong)
		case isTaken:
			p.refuse(path, now[path], fmt.Errorf("it would have to be called %s, which is the name of %s", to, describe(other, now[other])))
		default:
			taken[to] = path
		}
	}
}

// keepUnmoved remembers folders that keep their name although going the other way would give them another one: that of a
// parent that had one, or the name that Courier 5 makes of modified UTF-7.
func (p *naming) keepUnmoved(found []string, now map[string]string) {
	if p.keep || p.note != nil && p.note.names == p.to {
		return
	}
	for _, path := range found {
		known, back := p.courier[path], p.forCourier(path)
		if p.to == ToCourier {
			known, back = p.dovecot[path], p.forDovecot(path)
			if dovecots, _ := dovecotPath(path, false); dovecots != path {
				continue // no name of Dovecot's
			}
		}
		if known == "" && p.at[path] == path && now[path] == path && back != path {
			p.pairs = append(p.pairs, move{path, path})
			p.dovecot[path], p.courier[path] = path, path
		}
	}
}

func describe(found, now string) string {
	if found == now {
		return "another folder"
	}
	return found
}

func (p *naming) refuse(path, now string, err error) {
	p.stuck[path], p.at[path] = err, now
	delete(p.why, path)
}

// unblock refuses, one after the other, what would move to a name that a refused folder keeps.
func (p *naming) unblock(found []string, now map[string]string) {
	for again := true; again; {
		again = false
		keeps := map[string]bool{}
		for path := range p.stuck {
			keeps[now[path]] = true
		}
		for _, path := range found {
			if p.stuck[path] == nil && p.at[path] != now[path] && keeps[p.at[path]] {
				p.refuse(path, now[path], fmt.Errorf("it would have to be called %s, and the folder of that name cannot be renamed", p.at[path]))
				again = true
			}
		}
	}
}

// order puts the renames so that each finds its new name free: ".Q&-A" leaves before ".Q&A" takes its place. Names only
// grow on the way to Dovecot and only shrink on the way back, so there is no circle.
func (p *naming) order(found []string, now map[string]string) {
	holder := map[string]string{}
	for _, path := range found {
		holder[now[path]] = path
	}
	done := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if done[path] || p.at[path] == now[path] {
			return
		}
		done[path] = true
		if other, ok := holder[p.at[path]]; ok {
			visit(other)
		}
		p.moves = append(p.moves, move{now[path], p.at[path]})
	}
	for _, path := range found {
		visit(path)
	}
}

// finish goes on where a run that was cut off stopped: it gives each folder's place after the moves of its plan that are
// still open, and puts those first.
func (p *naming) finish(found []string) map[string]string {
	now := make(map[string]string, len(found))
	holder := make(map[string]string, len(found))
	for _, path := range found {
		now[path], holder[path] = path, path
	}
	if p.note == nil {
		return now
	}
	for _, m := range p.note.moves {
		path, is := holder[m.from]
		if _, taken := holder[m.to]; !is || taken || m.from == "" || m.to == "" {
			continue
		}
		delete(holder, m.from)
		holder[m.to], now[path] = path, m.to
		p.why[path] = "planned by a run that did not end"
		p.moves = append(p.moves, m)
	}
	return now
}

// target gives the place for the target's server of a folder that is at path.
func (p *naming) target(path string) (to, why string) {
	theirs := p.note == nil && p.to == ToDovecot || p.note != nil && p.note.names == ToCourier // the name is Courier's
	switch _, was := p.courier[path]; {
	case p.to == ToDovecot && theirs:
		if to, ok := p.dovecot[path]; ok {
			_, why = dovecotPath(path, p.utf8Names)
			return to, why
		}
		return dovecotPath(path, p.utf8Names)
	case p.to == ToDovecot && was:
		return path, ""
	case p.to == ToDovecot:
		return dovecotPath(path, false) // new since the renames: made by Dovecot if it is valid
	case theirs:
		return path, ""
	}
	return backPath(path, p.courier, p.utf8Names)
}

// backPath gives a folder the name for Courier that it had before; one below a folder with such a name goes with it.
func backPath(path string, before map[string]string, utf8Names bool) (to, why string) {
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		if was, ok := before[path[:end]]; ok && (!utf8Names || listable(was)) {
			rest, _ := courierPath(path[end:], utf8Names)
			return was + rest, whyBack
		}
	}
	return courierPath(path, utf8Names)
}

// forDovecot and forCourier give the place of a folder that need not exist, whatever names the folders have by now.
func (p *naming) forDovecot(path string) string {
	if to, ok := p.dovecot[path]; ok {
		return to
	}
	to, _ := dovecotPath(path, p.utf8Names)
	return to
}

func (p *naming) forCourier(path string) string {
	to, _ := backPath(path, p.courier, p.utf8Names)
	return to
}

// dovecotName gives the name under which the note knows a folder that will be at path.
func (p *naming) dovecotName(path string) string {
	if to, ok := p.later[path]; ok && p.to == ToDovecot {
		return to
	}
	if p.to == ToDovecot {
		return path
	}
	if to, ok := p.dovecot[path]; ok {
		return to
	}
	return path
}

// names tells whose names the folders have after the run.
func (p *naming) names() Direction {
	switch {
	case !p.keep:
		return p.to
	case p.note != nil:
		return p.note.names
	case p.to == ToDovecot:
		return ToCourier
	}
	return ToDovecot
}

func (p *naming) allPairs() []move {
	known := map[string]string{}
	if p.note != nil {
		for _, pair := range p.note.pairs {
			known[pair.to] = pair.from
		}
	}
	for _, m := range p.moves {
		if p.to == ToCourier {
			m = move{from: m.to, to: m.from}
		}
		known[m.to] = m.from
	}
	pairs := make([]move, 0, len(known))
	for to, from := range known {
		pairs = append(pairs, move{from, to})
	}
	slices.SortFunc(pairs, func(a, b move) int { return strings.Compare(a.to, b.to) })
	return pairs
}
