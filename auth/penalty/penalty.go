// Package penalty makes addresses wait from which wrong passwords came, as Dovecot's anvil and auth do.
//
// A failure makes an address's count one more than it was when the attempt began, at most four, and the next attempt
// waits 2·2^count seconds, at most 15: 4, 8, 15, 15. The same user with the same password again adds nothing: that is
// a program with an old password rather than a guess. 15 seconds after the last new guess nothing is left of the count
// (Dovecot 2.3.19, auth-penalty.c, auth_penalty_anvil_callback: it is lowered in steps of shorter and shorter times,
// all of which are measured from that guess). A success sets it to zero. IPv6 addresses count by their first 48 bits:
// whoever has one has 2^80.
//
// What is known of an address is kept for an hour after its last change, and of at most MaxAddresses: the one that
// changed longest ago is forgotten first.
package penalty

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// MaxAddresses bounds memory: some 300 bytes each.
const MaxAddresses = 100_000

const (
	most    = 4  // the highest count
	guesses = 10 // remembered of an address
	first   = 2 * time.Second
	longest = 15 * time.Second
	keep    = time.Hour
)

// Table is an auth.Penalty. Its methods may be called by many goroutines at once.
type Table struct {
	now func() time.Time
	key [32]byte // so that what is kept of passwords is of no use elsewhere

	mu     sync.Mutex
	places map[netip.Prefix]*list.Element
	order  *list.List // of *record, the one changed longest ago first
}

// Record is what is known of an address, as "doveadm penalty" prints it.
type Record struct {
	Addr    netip.Prefix // one IPv4 address, or 48 bits of IPv6
	Count   int
	Last    time.Time // of the last new guess
	Updated time.Time
}

type record struct {
	Record
	begun int      // the count when the last attempt began
	seen  []uint64 // the last guesses, the newest first
}

// New makes an empty table; now is nil for the machine's clock.
func New(now func() time.Time) *Table {
	if now == nil {
		now = time.Now
	}
	t := &Table{now: now, places: map[netip.Prefix]*list.Element{}, order: list.New()}
	rand.Read(t.key[:])
	return t
}

// Wait tells how long an attempt from there, which begins now, has to wait.
func (t *Table) Wait(addr netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.places[place(addr)]
	if e == nil {
		return 0
	}
	r := e.Value.(*record)
	if r.begun = r.Count; t.now().Sub(r.Last) >= longest {
		r.begun = 0
	}
	if r.begun == 0 {
		return 0
	}
	return min(first<<r.begun, longest)
}

// Failed counts a wrong password, or an unknown user, of an attempt that asked Wait before. An empty password is one
// that is not known: each counts.
func (t *Table) Failed(addr netip.Addr, user, password string) {
	if !addr.IsValid() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.record(place(addr))
	r.Updated = t.now()
	if password != "" && r.again(t.guess(user, password)) {
		r.Count = r.begun
		return
	}
	r.Count, r.Last = min(r.begun+1, most), r.Updated
}

// Succeeded forgives what was wrong before.
func (t *Table) Succeeded(addr netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.places[place(addr)] == nil {
		return
	}
	r := t.record(place(addr))
	r.Updated = t.now()
	r.Count, r.begun, r.Last = 0, 0, r.Updated
}

// All gives what is known, the address first that changed longest ago.
func (t *Table) All() iter.Seq[Record] {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	all := make([]Record, 0, t.order.Len())
	for e := t.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*record).Record)
	}
	return slices.Values(all)
}

// place is what of an address counts.
func place(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	length := 48
	if addr.Is4() {
		length = 32
	}
	p, _ := addr.Prefix(length) // the zero Addr gives the zero Prefix, which is never in the table
	return p
}

// record finds or makes the record of a place and moves it to the end; what is old, or too much, goes.
func (t *Table) record(p netip.Prefix) *record {
	t.expire()
	if e := t.places[p]; e != nil {
		t.order.MoveToBack(e)
		return e.Value.(*record)
	}
	for t.order.Len() >= MaxAddresses {
		t.forget(t.order.Front())
	}
	r := &record{Record: Record{Addr: p}}
	t.places[p] = t.order.PushBack(r)
	return r
}

func (t *Table) expire() {
	for e := t.order.Front(); e != nil && t.now().Sub(e.Value.(*record).Updated) > keep; e = t.order.Front() {
		t.forget(e)
	}
}

func (t *Table) forget(e *list.Element) {
	delete(t.places, t.order.Remove(e).(*record).Addr)
}

// guess is a fingerprint of a user and a password.
func (t *Table) guess(user, password string) uint64 {
	h := hmac.New(sha256.New, t.key[:])
	h.Write([]byte(user + "\x00" + password))
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// again tells whether the guess was made before, and remembers it.
func (r *record) again(guess uint64) bool {
	at := slices.Index(r.seen, guess)
	if at >= 0 {
		r.seen = slices.Delete(r.seen, at, at+1)
	}
	r.seen = slices.Insert(r.seen, 0, guess)
	r.seen = r.seen[:min(len(r.seen), guesses)]
	return at >= 0
}
