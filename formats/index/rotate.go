package index

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"dovetail/formats"
	"dovetail/formats/disk"
	"dovetail/formats/index/translog"
)

// Dovecot's limits (2.3 and 2.4, mail-index.c default_optimization_set): a snapshot is written when so much log lies
// behind the last one, and a log is rotated when it is larger than logMax, or than logMin and older than logAge.
const (
	snapshotBehind = 128 << 10
	logMax         = 1 << 20
	logMin         = 32 << 10
	logAge         = 5 * time.Minute
)

// tidy writes a snapshot, and rotates the log, when that is due. To append a million messages in groups must not cost a
// million-message snapshot for each group: the log behind the snapshot may grow as large as the snapshot. Failing is no
// harm: the log holds everything, and the next transaction tries again.
func (x *Index) tidy() {
	size := x.state.records.bytes()
	if x.behind < max(snapshotBehind, size) {
		return
	}
	if x.state.Head > logMax && x.state.Tail == x.state.Head {
		x.rotate(context.Background())
		return
	}
	x.writeSnapshot()
}

// Compact writes a snapshot and starts a new log if that is due for the log's size or age, as Dovecot does when it
// syncs a mailbox. Nothing depends on it.
func (x *Index) Compact(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.lock(ctx); err != nil {
		return err
	}
	defer func() { x.log.Unlock() }()
	head, err := translog.ReadHeader(x.log)
	if err != nil {
		return badFile(x.dir, x.prefix+".log", 0, err)
	}
	age := time.Since(time.Unix(int64(head.Created), 0))
	if x.state.Head > logMax || x.state.Head > logMin && age > logAge {
		return x.rotate(ctx)
	}
	if x.behind == 0 {
		return nil
	}
	return x.writeSnapshot()
}

// writeSnapshot replaces dovecot.index with the state; the log is locked. Dovecot's dbox formats keep the one before as
// a backup, from which a rebuild takes the flags.
func (x *Index) writeSnapshot() error {
	s := x.state.clone()
	if e := s.Ext("modseq"); e != nil && len(e.Header) == 16 {
		e.Header = s.modseqHeader()
	}
	if s.Ext("dbox-hdr") != nil || s.Ext("mdbox-hdr") != nil {
		if err := x.backup(); err != nil {
			return err
		}
	}
	if err := replaceSnapshot(x.dir, x.prefix, s); err != nil {
		return err
	}
	x.state, x.behind = s, 0
	return nil
}

// backup gives the current snapshot a second name.
func (x *Index) backup() error {
	to := x.prefix + ".backup"
	tmp := to + ".tmp"
	if err := x.dir.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := x.dir.Link(x.prefix, x.dir, tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return x.dir.Rename(tmp, x.dir, to)
}

// replaceSnapshot writes and renames dovecot.index.tmp, as Dovecot does (mail-index-write.c mail_index_recreate).
func replaceSnapshot(dir *disk.Dir, prefix string, s *State) error {
	return dir.ReplaceFile(prefix, fileMode(dir), func(w io.Writer) error {
		if _, err := w.Write(s.snapshot()); err != nil {
			return err
		}
		_, err := s.records.WriteTo(w)
		return err
	})
}

// fileMode gives index files the permissions of their folder, without the x bits (Dovecot, mail_index_set_permissions).
func fileMode(dir *disk.Dir) fs.FileMode {
	st, err := dir.StatSelf()
	if err != nil {
		return 0o600
	}
	return st.Mode.Perm()&0o666 | 0o600
}

// nextLog makes the log that follows the one known, under the name that locks out others who want to make one.
func (x *Index) nextLog(ctx context.Context) (log *disk.File, head translog.Header, err error) {
	s := x.state
	head = translog.NewHeader(s.IndexID, s.LogSeq+1, uint32(time.Now().Unix()), max(s.modseq, 1))
	head.PrevSeq, head.PrevOffset = s.LogSeq, s.Head
	b, err := head.AppendBinary(nil)
	if err != nil {
		return nil, head, err
	}
	log, err = newLog(ctx, x.dir, x.prefix, b)
	return log, head, err
}

// rotate starts a new log; the old one, locked, becomes .log.2. Whoever dies in between leaves a whole mailbox:
//
//  1. A snapshot that is good for all of the old log. From here on no old log is needed.
//  2. The new log, under the name .log.newlock, which also is the lock against others who want to make one.
//  3. The old log gets the name .log.2 too.
//  4. .log.newlock is renamed to .log, holding the lock.
//  5. A snapshot that names the new log.
func (x *Index) rotate(ctx context.Context) error {
	if x.state.Tail < x.state.Head && x.pending() {
		return x.writeSnapshot() // others' requests in the old log are still to be fulfilled
	}
	if err := x.writeSnapshot(); err != nil {
		return err
	}
	log, head, err := x.nextLog(ctx)
	if err != nil {
		return err
	}
	if err := x.replaceLog(log); err != nil {
		log.Close()
		x.dir.Remove(x.prefix + newLock) // ours: newLog made it
		return err
	}
	x.log.Close()
	x.log = log
	next := x.state.clone()
	next.LogSeq, next.Head, next.Tail = head.Seq, uint32(head.Size), uint32(head.Size)
	next.Log2Rotated = head.Created
	x.state, x.behind = next, 0
	return x.writeSnapshot()
}

// pending tells whether the log may hold requests behind the tail. Only External records can follow a tail that moved.
func (x *Index) pending() bool {
	head, err := translog.ReadHeader(x.log)
	if err != nil {
		return true
	}
	from := max(int64(x.state.Tail), int64(head.Size))
	for rec, err := range translog.NewReader(x.log, int64(x.state.Head)).Records(from) {
		request := rec.Type == translog.Expunge || rec.Type == translog.ExpungeGUID || rec.Type == translog.IndexDeleted
		if err != nil || !rec.External && request {
			return true
		}
	}
	return false
}

func (x *Index) replaceLog(log *disk.File) error {
	if err := log.Lock(context.Background(), true); err != nil {
		return err
	}
	old := x.prefix + ".log.2"
	if err := x.dir.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := x.dir.Link(x.prefix+".log", x.dir, old); err != nil {
		return err
	}
	if err := x.dir.Rename(x.prefix+newLock, x.dir, x.prefix+".log"); err != nil {
		return err
	}
	return x.dir.Sync()
}

// newLock is the lock file against others who make a new log; it is renamed to be the log.
const newLock = ".log.newlock"

// abandoned is the age at which a new log that nobody holds locked was left behind by a program that died. Making one
// takes milliseconds.
const abandoned = 5 * time.Second

// newLog writes the content of a new log to NAME.log.newlock, durably, and leaves it open for appending.
func newLog(ctx context.Context, dir *disk.Dir, prefix string, content []byte) (*disk.File, error) {
	f, err := lockNew(ctx, dir, prefix)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	var log *disk.File
	if err == nil {
		log, err = dir.OpenWrite(prefix+newLock, os.O_APPEND)
	}
	f.Close()
	if err != nil {
		dir.Remove(prefix + newLock) // best effort: the error that matters is the first
		return nil, err
	}
	return log, nil
}

// lockNew creates NAME.log.newlock, waiting for another program that has it.
func lockNew(ctx context.Context, dir *disk.Dir, prefix string) (*disk.File, error) {
	for {
		f, err := dir.Create(prefix+newLock, fileMode(dir))
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		if err := removeAbandoned(dir, prefix+newLock); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, &formats.Error{Op: "lock index", Path: join(dir, prefix+newLock), Err: errors.Join(disk.ErrLocked, ctx.Err())}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func removeAbandoned(dir *disk.Dir, name string) error {
	f, err := dir.OpenWrite(name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if free, err := f.TryLock(true); !free || err != nil || time.Since(time.Unix(st.MTime.Unix())) < abandoned {
		return err
	}
	err = dir.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
