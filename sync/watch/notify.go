package watch

import (
	"context"
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// what is told of a folder or file: everything that a change of mail does to it.
const what = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ATTRIB

// notifier passes on what the kernel says of files (inotify(7)). One is enough for a process; it is started when it is
// needed first.
type notifier struct {
	mu      sync.Mutex
	started bool
	fd      int // of file, whose own Fd method would make it block a thread
	file    *os.File
	touched map[int32]map[chan struct{}]bool
}

// watch begins to follow a box. Where the kernel cannot tell of its files, or has no room for more, the clock has to do.
func (h *Hub) watch(b *Box) (stop func()) {
	touched := make(chan struct{}, 1)
	var wds []int32
	if w, ok := b.Mailbox.(formats.Watchable); ok {
		w.Watch(func(d *disk.Dir, name string) error {
			wd, err := h.notes.add(d, name, touched)
			if err == nil {
				wds = append(wds, wd)
			}
			return err
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.follow(ctx, touched, h.every)
	}()
	return func() {
		cancel()
		<-ended // the mailbox may be closed now
		for _, wd := range wds {
			h.notes.remove(wd, touched)
		}
	}
}

func (n *notifier) add(d *disk.Dir, name string, touched chan struct{}) (int32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.started {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return 0, os.NewSyscallError("inotify_init1", err)
		}
		n.started, n.fd, n.file, n.touched = true, fd, os.NewFile(uintptr(fd), "inotify"), map[int32]map[chan struct{}]bool{}
		go n.listen(n.file)
	}
	wd, err := d.Watch(n.fd, name, what)
	if err != nil {
		return 0, err
	}
	if n.touched[wd] == nil {
		n.touched[wd] = map[chan struct{}]bool{}
	}
	n.touched[wd][touched] = true
	return wd, nil
}

func (n *notifier) remove(wd int32, touched chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.touched[wd], touched)
	if len(n.touched[wd]) == 0 && n.touched[wd] != nil {
		delete(n.touched, wd)
		unix.InotifyRmWatch(n.fd, uint32(wd)) // it may be gone already
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
			n.tell(wd, mask)
			rest = rest[min(uint32(len(rest)), unix.SizeofInotifyEvent+size):]
		}
	}
}

// tell wakes who follows a file. Events were lost when the queue was full: then everybody is woken.
func (n *notifier) tell(wd int32, mask uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, channels := range n.touched {
		if id != wd && mask&unix.IN_Q_OVERFLOW == 0 {
			continue
		}
		for c := range channels {
			select {
			case c <- struct{}{}:
			default: // it is told already
			}
		}
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(n.touched, wd)
	}
}
