package layout

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"dovetail/formats/disk"
)

// Subscriptions is the file "subscriptions" (mbox: ".subscriptions") of Dovecot 2.3 and 2.4.
//
//	version 1   one storage name per line
//	version 2   "V\t2", an empty line, then one mailbox per line: its parts separated by TAB, where TAB, LF, CR, NUL and
//	            byte 01 inside a part are byte 01 and "t", "n", "r", "0", "1"; parts are encoded as in storage names
//
// A file keeps its version when it is changed; a new one is version 2.
type Subscriptions struct {
	Version int // 1 or 2; 0 counts as 2
	Names   []string
}

const maxSubscriptions = 64 << 20

// ParseSubscriptions reads either version.
func (n Naming) ParseSubscriptions(b []byte) Subscriptions {
	s := Subscriptions{Version: 1}
	if rest, ok := bytes.CutPrefix(b, []byte("V\t2\n")); ok {
		s.Version = 2
		b = bytes.TrimPrefix(rest, []byte("\n"))
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		text := strings.TrimSuffix(string(line), "\n")
		if text == "" {
			continue
		}
		if name := n.subscribed(text, s.Version); !seen[name] {
			seen[name] = true
			s.Names = append(s.Names, name)
		}
	}
	return s
}

func (n Naming) subscribed(line string, version int) string {
	if version == 1 {
		return n.Name(line)
	}
	parts := strings.Split(line, "\t")
	for i, part := range parts {
		parts[i] = n.decode(untab.Replace(part))
	}
	return strings.Join(parts, "/")
}

// FormatSubscriptions writes the file. Names that cannot be storage names are written as they are: they came so.
func (n Naming) FormatSubscriptions(s Subscriptions) []byte {
	var b bytes.Buffer
	if s.Version != 1 {
		b.WriteString("V\t2\n\n")
	}
	for _, name := range s.Names {
		if s.Version == 1 {
			b.WriteString(n.storage(name) + "\n")
			continue
		}
		parts := strings.Split(name, "/")
		for i, part := range parts {
			parts[i] = tab.Replace(n.encode(part))
		}
		b.WriteString(strings.Join(parts, "\t") + "\n")
	}
	return b.Bytes()
}

var (
	tab   = strings.NewReplacer("\x01", "\x011", "\t", "\x01t", "\n", "\x01n", "\r", "\x01r", "\x00", "\x010")
	untab = strings.NewReplacer("\x011", "\x01", "\x01t", "\t", "\x01n", "\n", "\x01r", "\r", "\x010", "\x00")
)

// ReadSubscriptions reads the file in dir; a missing one is an empty list.
func (n Naming) ReadSubscriptions(dir *disk.Dir, file string) (Subscriptions, error) {
	b, err := dir.ReadFile(file, maxSubscriptions)
	if errors.Is(err, fs.ErrNotExist) {
		return Subscriptions{Version: 2}, nil
	}
	if err != nil {
		return Subscriptions{}, err
	}
	return n.ParseSubscriptions(b), nil
}

// ChangeSubscriptions replaces the list of the file by what change makes of it, in one step and under Dovecot's lock
// (Dovecot 2.3, src/lib-storage/list/subscription-file.c: 120 s, stale after 30 s). Nothing is written, or locked, when the
// list stays the same.
func (n Naming) ChangeSubscriptions(ctx context.Context, dir *disk.Dir, file string, mode fs.FileMode, change func([]string) []string) error {
	now, err := n.ReadSubscriptions(dir, file)
	if err != nil || slices.Equal(now.Names, change(now.Names)) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 120*time.Second)
	defer cancel()
	lock, err := dir.Dotlock(ctx, file, 30*time.Second, mode)
	if err != nil {
		return err
	}
	if now, err = n.ReadSubscriptions(dir, file); err == nil {
		if names := change(now.Names); !slices.Equal(now.Names, names) { // another program may have done the same
			err = n.replace(dir, file, mode, Subscriptions{Version: now.Version, Names: names})
		}
	}
	return errors.Join(err, lock.Unlock())
}

// replace makes s the list of the file, whose lock is held. The content is prepared under a name of its own, not in the
// lock, so that a process that dies leaves a lock with its name in it, which others override at once.
func (n Naming) replace(dir *disk.Dir, file string, mode fs.FileMode, s Subscriptions) error {
	before, err := dir.Stat(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := file + ".new.lock" // Dovecot shows no file as an mbox whose name ends so
	if err := dir.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := dir.Create(tmp, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(n.FormatSubscriptions(s))
	if err == nil {
		// Dovecot notices a new list by its mtime in whole seconds, which therefore must grow.
		err = f.Chtimes(later(before))
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = dir.Rename(tmp, dir, file)
	}
	if err == nil {
		err = dir.Sync()
	}
	return err
}

func later(than disk.Info) time.Time {
	now := time.Now()
	if before := than.MTime.Sec; now.Unix() <= before {
		return time.Unix(before+1, 0)
	}
	return now
}
