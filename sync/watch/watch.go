// Package watch is a mailbox as several sessions see it at once while it changes.
//
// A Hub holds each mailbox once, however many sessions have it open: a Box. Its state is a Snapshot, which never
// changes; a change makes a new one that shares with the old what stayed the same, so that one flag among 100,000 costs
// a thousandth of them, and the difference of two snapshots is found without looking at what they share. A session
// holds a snapshot, whose places are its sequence numbers, and goes over to a newer one when its protocol allows.
//
// Changes come from the sessions themselves (Box.Update, Box.Append) and from anybody else who writes to the files:
// Box.Refresh looks for these, and while somebody waits (Box.Attend) the kernel's notifications cause it, or a clock where
// there are none. Where the format holds in memory what it read (formats.Viewer) a look costs what changed; else every
// message is read unless a fingerprint tells that nothing did.
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
	"sync/atomic"

	"dovetail/formats"
)

// record is what changes of one message.
type record struct {
	UID    formats.UID
	bits   uint32         // number of its set of keywords << 8 | flags
	ModSeq formats.ModSeq // 0 where none is kept for each message: then it is Status.HighestModSeq
}

// Record is what is known of one message without a look at it.
type Record struct {
	record
	size uint32
}

// Flags are the system flags, without \Recent.
func (r Record) Flags() formats.Flags { return formats.Flags(r.bits) & formats.SystemFlags }

// Set is a number that two messages of a Box share exactly when they have the same flags and keywords.
func (r Record) Set() uint64 { return uint64(r.bits) }

// Size is the length of the message with every line end as CRLF, if that is known; see Snapshot.SetSize.
func (r Record) Size() (size int64, ok bool) { return int64(r.size) - 1, r.size != 0 }

// chunkSize is how many records are shared or not together.
const chunkSize = 1024

// chunk is a run of records in order of UID; they are never changed, and there is at least one.
type chunk struct {
	records []record
	sizes   []atomic.Uint32 // of each message, + 1; 0 unknown. They never change but from unknown to known.
}

func newChunk(n int) *chunk { return &chunk{make([]record, n), make([]atomic.Uint32, n)} }

func (c *chunk) first() formats.UID { return c.records[0].UID }
func (c *chunk) last() formats.UID  { return c.records[len(c.records)-1].UID }

// at gives a record with what is known of its size.
func (c *chunk) at(k uint32) Record { return Record{c.records[k], c.sizes[k].Load()} }

// Snapshot is a mailbox at one moment. It may be used by several goroutines.
type Snapshot struct {
	Status formats.Status

	chunks []*chunk
	starts []uint32   // how many records there are before each chunk
	sets   [][]string // of keywords, by number
	words  []string   // all keywords
	n      uint32
}

// newSnapshot makes one with the keywords of another; nil: none.
func newSnapshot(st formats.Status, chunks []*chunk, of *Snapshot) *Snapshot {
	s := &Snapshot{Status: st, chunks: chunks, starts: make([]uint32, len(chunks))}
	if of != nil {
		s.sets, s.words = of.sets, of.words
	}
	for i, c := range chunks {
		s.starts[i] = s.n
		s.n += uint32(len(c.records))
	}
	return s
}

// Len is the number of messages.
func (s *Snapshot) Len() uint32 { return s.n }

// At gives the message with that sequence number, from 1 to Len.
func (s *Snapshot) At(seq uint32) Record {
	i := s.chunkOf(seq)
	return s.chunks[i].at(seq - 1 - s.starts[i])
}

func (s *Snapshot) chunkOf(seq uint32) int {
	return sort.Search(len(s.starts), func(i int) bool { return s.starts[i] >= seq }) - 1
}

// SetSize remembers the size of a message, with every line end as CRLF, for all sessions: whoever has found it out spares
// the others the trouble. A message's size is the same as long as it exists.
func (s *Snapshot) SetSize(seq uint32, size int64) {
	if size < 0 || size >= 1<<32-1 {
		return
	}
	i := s.chunkOf(seq)
	s.chunks[i].sizes[seq-1-s.starts[i]].Store(uint32(size) + 1)
}

// Keywords of a message; not to be changed.
func (s *Snapshot) Keywords(r Record) []string { return s.sets[r.bits>>8] }

// KeywordsInUse gives every keyword that some message has had while the mailbox was open; not to be changed.
func (s *Snapshot) KeywordsInUse() []string { return s.words }

// Seq gives the sequence number of a message. If there is none of that UID, ok is false and seq is that of the next
// higher one, Len()+1 if there is none.
func (s *Snapshot) Seq(uid formats.UID) (seq uint32, ok bool) {
	i := sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i].last() >= uid })
	if i == len(s.chunks) {
		return s.n + 1, false
	}
	c := s.chunks[i].records
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
		to := min(last-s.starts[i], uint32(len(c.records)))
		for k := from; k < to; k++ {
			if !fn(s.starts[i]+k+1, c.at(k)) {
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
	return s.chunks[len(s.chunks)-1].last()
}
