package watch

import (
	"container/list"
	"time"
)

// leftovers are boxes that nobody has open any more, the first to be closed in front. They are guarded by Hub.mu.
type leftovers struct {
	list     list.List // of *Box
	messages int       // of all of them
	timer    *time.Timer
}

// How many mailboxes are kept, and how many messages these may have together: each takes some 100 bytes.
const (
	maxLeft         = 256
	maxLeftMessages = 1 << 20
)

// put adds a box that was just left, and gives those that have to go.
func (l *leftovers) put(b *Box, linger time.Duration, expire func()) (over []*Box) {
	b.leftAt = time.Now()
	b.leftIn = l.list.PushBack(b)
	b.leftLen = int(b.Snapshot().Len())
	l.messages += b.leftLen
	for l.list.Len() > maxLeft || l.messages > maxLeftMessages {
		over = append(over, l.first())
	}
	l.wake(linger, expire)
	return over
}

// take removes a box that somebody opens again.
func (l *leftovers) take(b *Box) {
	if b.leftIn == nil {
		return
	}
	l.list.Remove(b.leftIn)
	l.messages -= b.leftLen
	b.leftIn = nil
}

// first removes the one that has been left longest.
func (l *leftovers) first() *Box {
	b := l.list.Front().Value.(*Box)
	l.take(b)
	return b
}

// all removes all of them.
func (l *leftovers) all() (over []*Box) {
	for l.list.Len() > 0 {
		over = append(over, l.first())
	}
	return over
}

// old removes those whose time is over.
func (l *leftovers) old(linger time.Duration, expire func()) (over []*Box) {
	l.timer = nil
	for l.list.Len() > 0 && time.Since(l.list.Front().Value.(*Box).leftAt) >= linger {
		over = append(over, l.first())
	}
	l.wake(linger, expire)
	return over
}

// wake has expire called when the time of the first one is over.
func (l *leftovers) wake(linger time.Duration, expire func()) {
	if l.timer == nil && l.list.Len() > 0 {
		l.timer = time.AfterFunc(linger-time.Since(l.list.Front().Value.(*Box).leftAt), expire)
	}
}
