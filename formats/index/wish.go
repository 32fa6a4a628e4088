package index

import (
	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// Wish is a change that a program has noted in the log before it made it in the mailbox itself: Dovecot does so with all
// that clients want of a Maildir or an mbox, and goes through the wishes when it next syncs the mailbox (2.3,
// index-sync-changes.c). Flags and keywords of the state are as wished already; messages whose expunge is wished are still
// there.
type Wish struct {
	UIDs formats.Ranges

	Expunge       bool
	Add, Remove   formats.Flags
	Keyword       string // "": none
	RemoveKeyword bool
	ClearKeywords bool
}

// HasWishes tells whether the log may hold wishes that are not fulfilled. Most programs leave other notes in the same way,
// too, so that it has to be read to know.
func (s *State) HasWishes() bool { return s.Tail < s.Head }

// Wishes gives those that are not fulfilled, in the order in which they came. Who has fulfilled all of them says so with
// SyncTail.
func (tx *Tx) Wishes() ([]Wish, error) { return wishes(tx.log, tx.state) }

// Wishes gives those that were not fulfilled at the last Refresh.
func (x *Index) Wishes() ([]Wish, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return wishes(x.log, x.state)
}

func wishes(log *disk.File, s *State) (list []Wish, err error) {
	if log == nil || !s.HasWishes() {
		return nil, nil
	}
	head, err := translog.ReadHeader(log)
	if err != nil {
		return nil, err
	}
	from := max(int64(s.Tail), int64(head.Size))
	for rec, err := range translog.NewReader(log, int64(s.Head)).Records(from) {
		if err != nil {
			return nil, badLog(rec.Offset, err)
		}
		if !rec.External {
			list = appendWishes(list, rec)
		}
	}
	return list, nil
}

func appendWishes(list []Wish, rec translog.Record) []Wish {
	switch rec.Type {
	case translog.Expunge, translog.KeywordReset:
		w := Wish{Expunge: rec.Type == translog.Expunge, ClearKeywords: rec.Type == translog.KeywordReset}
		w.UIDs = rangesOf(rec)
		return append(list, w)
	case translog.ExpungeGUID:
		w := Wish{Expunge: true}
		for uid := range rec.GUIDs() {
			w.UIDs.Add(formats.UID(uid))
		}
		return append(list, w)
	case translog.KeywordUpdate:
		w := Wish{UIDs: rangesOf(rec)}
		w.Keyword, w.RemoveKeyword = rec.Keyword()
		return append(list, w)
	case translog.FlagUpdate:
		for f := range rec.FlagUpdates() {
			add, remove := formats.Flags(f.Add)&formats.SystemFlags, formats.Flags(f.Remove)&formats.SystemFlags
			if add|remove != 0 {
				list = append(list, Wish{UIDs: formats.Ranges{{First: formats.UID(f.First), Last: formats.UID(f.Last)}}, Add: add, Remove: remove})
			}
		}
	}
	return list
}

func rangesOf(rec translog.Record) (uids formats.Ranges) {
	for first, last := range rec.Ranges() {
		uids.AddRange(formats.UID(first), formats.UID(last))
	}
	return uids
}
