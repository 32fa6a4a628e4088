package tree

import (
	"sync/atomic"

	"dovetail/formats"
	"dovetail/formats/index"
)

// View is the state of a folder's index as a formats.View.
type View struct {
	*index.State
	status formats.Status
}

// Status is that of the folder.
func (v *View) Status() formats.Status { return v.status }

// Same compares with an older View of the same folder.
func (v *View) Same(i int, older formats.View, j, n int) bool {
	o, ok := older.(*View)
	return ok && v.State.Same(i, o.State, j, n)
}

// Views keeps the newest View of one mailbox. Its zero value is ready; it may be used by several goroutines.
type Views struct{ newest atomic.Pointer[View] }

// Of gives the View of a state: the one given before, while the state is the same. ext is as in Status.
func (v *Views) Of(st *index.State, ext string) formats.View {
	if st == nil {
		return nil
	}
	had := v.newest.Load()
	if had != nil && had.State == st {
		return had
	}
	is := &View{st, Status(st, ext)}
	if !v.newest.CompareAndSwap(had, is) {
		if now := v.newest.Load(); now.State == st {
			return now
		}
	}
	return is
}

var _ formats.View = (*View)(nil)
