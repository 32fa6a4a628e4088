// Package watch is a mailbox as several sessions see it at once while it changes.
//
// A Hub holds each mailbox once, however many sessions have it open: a Box. Its state is a Snapshot, which never
// changes; a change makes a new one that shares with the old what stayed the same, so that one flag among 100,000 costs
// a thousandth of them, and the difference of two snapshots is found without looking at what they share. A session
// holds a snapshot, whose places are its sequence numbers, and goes over to a newer one when its protocol allows.
//
// Changes come from the sessions themselves (Box.Update) and from anybody else who writes to the files: Box.Refresh
// looks for these, and while somebody waits (Box.Wait) the kernel's notifications cause it, or a clock where there are
// none.
//
// # What a session never sees
//
// New messages are above all others: IMAP knows no other place for them. A message that turns up below one that was
// seen already (a file that was away and came back) stays hidden as long as the Box is open.
//
// A mailbox that was deleted, or made anew with another UIDVALIDITY, is over: Refresh gives ErrReplaced from then on.
package watch

import (
	"sort"

	"dovetail/formats"
)

// Record is what is known of one message without a look at it.
type Record struct {
	UID    formats.UID
	bits   uint32         // number of its set of keywords << 8 | flags
	ModSeq formats.ModSeq // 0 where none is kept for each message: then it is Status.HighestModSeq
}

// Flags are the system flags, without \Recent.
func (r Record) Flags() formats.Flags { return formats.Flags(r.bits) & formats.SystemFlags }

// Set is a number that two messages of a Box share exactly when they have the same flags and keywords.
func (r Record) Set() uint64 { return uint64(r.bits) }

// chunkSize is how many records are shared or not together.
const chunkSize = 1024

// chunk is a run of records in order of UID; it is never changed and never empty.
type chunk []Record

// Snapshot is a mailbox at one moment. It may be used by several goroutines.
type Snapshot struct {
	Status formats.Status

	chunks []chunk
	starts []uint32   // how many records there are before each chunk
	sets   [][]string // of keywords, by number
	n      uint32
}

func newSnapshot(st formats.Status, chunks []chunk, sets [][]string) *Snapshot {
	s := &Snapshot{Status: st, chunks: chunks, sets: sets, starts: make([]uint32, len(chunks))}
	for i, c := range chunks {
		s.starts[i] = s.n
		s.n += uint32(len(c))
	}
	return s
}

// Len is the number of messages.
func (s *Snapshot) Len() uint32 { return s.n }

// At gives the message with that sequence number, from 1 to Len.
func (s *Snapshot) At(seq uint32) Record {
	i := s.chunkOf(seq)
	return s.chunks[i][seq-1-s.starts[i]]
}

func (s *Snapshot) chunkOf(seq uint32) int {
	return sort.Search(len(s.starts), func(i int) bool { return s.starts[i] >= seq }) - 1
}

// Keywords of a message; not to be changed.
func (s *Snapshot) Keywords(r Record) []string { return s.sets[r.bits>>8] }

// KeywordsInUse gives every keyword that some message has had while the mailbox was open.
func (s *Snapshot) KeywordsInUse() []string {
	var all []string
	for _, set := range s.sets {
		for _, k := range set {
			if !formats.HasKeyword(all, k) {
				all = append(all, k)
			}
		}
	}
	return all
}

// Seq gives the sequence number of a message. If there is none of that UID, ok is false and seq is that of the next
// higher one, Len()+1 if there is none.
func (s *Snapshot) Seq(uid formats.UID) (seq uint32, ok bool) {
	i := sort.Search(len(s.chunks), func(i int) bool { c := s.chunks[i]; return c[len(c)-1].UID >= uid })
	if i == len(s.chunks) {
		return s.n + 1, false
	}
	c := s.chunks[i]
	k := sort.Search(len(c), func(k int) bool { return c[k].UID >= uid })
	return s.starts[i] + uint32(k) + 1, c[k].UID == uid
}

// Each calls fn with the messages from first to last, sequence numbers, until it gives false.
func (s *Snapshot) Each(first, last uint32, fn func(seq uint32, r Record) bool) {
	last = min(last, s.n)
	if first == 0 || first > last {
		return
	}
	for i := s.chunkOf(first); i < len(s.chunks) && s.starts[i] < last; i++ {
		c := s.chunks[i]
		from := max(first, s.starts[i]+1) - s.starts[i] - 1
		to := min(last-s.starts[i], uint32(len(c)))
		for k := from; k < to; k++ {
			if !fn(s.starts[i]+k+1, c[k]) {
				return
			}
		}
	}
}

// lastUID is the highest UID, 0 if there is none.
func (s *Snapshot) lastUID() formats.UID {
	if s.n == 0 {
		return 0
	}
	c := s.chunks[len(s.chunks)-1]
	return c[len(c)-1].UID
}
