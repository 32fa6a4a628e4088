package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// what is told of a folder or file: everything that a change of mail does to it.
const what = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ATTRIB

// gone is told when a file or folder that is followed is no more, or no more in its place.
const gone = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ATTRIB | unix.IN_IGNORED | unix.IN_UNMOUNT

// notifier passes on what the kernel says of files (inotify(7)). One is enough for a process; it is started when it is
// needed first.
type notifier struct {
	mu       sync.Mutex
	started  bool
	fd       int // of file, whose own Fd method would make it block a thread
	file     *os.File
	watchers map[int32][]*watcher
}

// watcher follows the files of one Box.
type watcher struct {
	touched chan struct{}
	lost    atomic.Bool // another file may be in the place of one that is followed
	watched []int32
	deaf    error // why some file cannot be followed
}

// wake tells that something happened.
func (w *watcher) wake() {
	select {
	case w.touched <- struct{}{}:
	default: // it is told already
	}
}

// watch begins to follow a box. Where the kernel cannot tell of its files, or has no room for more, the clock has to do.
func (h *Hub) watch(b *Box) (stop func()) {
	w := &watcher{touched: make(chan struct{}, 1)}
	h.listen(w, b.Mailbox)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.follow(ctx, w, h.every)
	}()
	return func() {
		cancel()
		<-ended // the mailbox may be closed now
		h.notes.forget(w, w.watched)
	}
}

// listen follows the files of a mailbox.
func (h *Hub) listen(w *watcher, m formats.Mailbox) {
	h.notes.follow(w, m)
	if told := h.deaf.Swap(w.deaf != nil); !told && w.deaf != nil && h.Deaf != nil {
		h.Deaf(w.deaf)
	}
}

// noRoom tells errors that come from limits of the machine from those of a file that is not there: inotify(7) has one for
// all watches of a user and one for the number of his processes that watch.
func noRoom(err error) bool {
	for _, e := range []error{unix.ENOSPC, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// follow finds the files of a mailbox, those that are in their places now. The kernel knows a file by itself, not by its
// name: the same one gets the same number again.
func (n *notifier) follow(w *watcher, m formats.Mailbox) {
	before := w.watched
	w.watched, w.deaf = nil, nil
	if f, ok := m.(formats.Watchable); ok {
		err := f.Watch(func(d *disk.Dir, name string) error {
			wd, err := n.add(d, name, w)
			if noRoom(err) {
				w.deaf = err
			}
			if err == nil && !slices.Contains(w.watched, wd) {
				w.watched = append(w.watched, wd)
			}
			return err
		})
		if w.deaf == nil && noRoom(err) {
			w.deaf = err
		}
	}
	n.forget(w, slices.DeleteFunc(before, func(wd int32) bool { return slices.Contains(w.watched, wd) }))
}

func (n *notifier) add(d *disk.Dir, name string, w *watcher) (int32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.started {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return 0, os.NewSyscallError("inotify_init1", err)
		}
		n.started, n.fd, n.file, n.watchers = true, fd, os.NewFile(uintptr(fd), "inotify"), map[int32][]*watcher{}
		go n.listen(n.file)
	}
	wd, err := d.Watch(n.fd, name, what)
	if err != nil {
		return 0, err
	}
	if !slices.Contains(n.watchers[wd], w) {
		n.watchers[wd] = append(n.watchers[wd], w)
	}
	return wd, nil
}

// forget ends the watching of files for one watcher.
func (n *notifier) forget(w *watcher, files []int32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, wd := range files {
		had := n.watchers[wd]
		left := slices.DeleteFunc(slices.Clone(had), func(x *watcher) bool { return x == w })
		if len(left) > 0 {
			n.watchers[wd] = left
			continue
		}
		if had != nil {
			delete(n.watchers, wd)
			unix.InotifyRmWatch(n.fd, uint32(wd)) // it may be gone already
		}
	}
}

// listen passes on events until the process ends.
func (n *notifier) listen(file *os.File) {
	buf := make([]byte, 16<<10)
	for {
		have, err := file.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:have]; len(rest) >= unix.SizeofInotifyEvent; {
			wd := int32(binary.NativeEndian.Uint32(rest))
			mask := binary.NativeEndian.Uint32(rest[4:])
			size := binary.NativeEndian.Uint32(rest[12:])
			n.tell(wd, mask, size == 0)
			rest = rest[min(uint32(len(rest)), unix.SizeofInotifyEvent+size):]
		}
	}
}

// tell wakes who follows a file; itself says that the event is of it, not of an entry in it. Events were lost when the
// queue was full: then everybody is woken.
func (n *notifier) tell(wd int32, mask uint32, itself bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if mask&unix.IN_Q_OVERFLOW != 0 {
		for _, list := range n.watchers {
			for _, w := range list {
				w.lost.Store(true)
				w.wake()
			}
		}
		return
	}
	for _, w := range n.watchers[wd] {
		if itself && mask&gone != 0 {
			w.lost.Store(true)
		}
		w.wake()
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(n.watchers, wd)
	}
}
