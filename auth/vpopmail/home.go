package vpopmail

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"dovetail/auth/listfile"
)

// makeHome makes the folder of an account that has none, with an empty Maildir, and writes down where it is. vpopmail
// spreads the folders of large domains over others; here it lies directly below the domain's, which vpopmail takes
// just as well, since it goes by what is written down.
//
// The folder belongs to mail users, so no link in it is followed out of it.
func (s *Site) makeHome(ctx context.Context, a Account, d Domain) (string, error) {
	if strings.ContainsAny(a.Name, "/") || a.Name == "." || a.Name == ".." {
		return "", errors.New("its name cannot be that of a folder")
	}
	root, err := os.OpenRoot(d.Dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	for _, dir := range []string{a.Name, a.Name + "/Maildir", a.Name + "/Maildir/cur", a.Name + "/Maildir/new", a.Name + "/Maildir/tmp"} {
		if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if err := own(root, dir, d); err != nil {
			return "", err
		}
	}
	a.Dir = filepath.Join(d.Dir, a.Name)
	if _, err := root.Lstat("vpasswd"); errors.Is(err, fs.ErrNotExist) {
		return a.Dir, s.setDirInTables(ctx, a)
	}
	return a.Dir, setDirInFiles(root, a, d)
}

// own gives a file or folder to the domain's user, if we may.
func own(root *os.Root, name string, d Domain) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return root.Lchown(name, d.UID, d.GID)
}

func (s *Site) setDirInTables(ctx context.Context, a Account) error {
	t, err := s.open(ctx)
	if err != nil {
		return err
	}
	if s.writable != nil {
		t = s.writable
	}
	if t == nil {
		return errors.New("no vpasswd and no tables")
	}
	// One of our own: it learns of the tables anew, while others read.
	own, err := OpenTables(ctx, t.db)
	if err != nil {
		return err
	}
	return own.Update(ctx, []Change{{Account: a}}, nil)
}

// setDirInFiles writes the folder of an account into both lists, under vpopmail's own lock.
func setDirInFiles(root *os.Root, a Account, d Domain) error {
	lock, err := root.OpenFile(".vpasswd.lock", os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which also unlocks
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(lock.Fd(), unix.F_OFD_SETLKW, &whole); err != nil {
		return fmt.Errorf("%s: %w", lock.Name(), err)
	}
	text, info, err := listfile.Open(filepath.Join(d.Dir, "vpasswd"))
	if err != nil {
		return err
	}
	defer text.Close()
	var all bytes.Buffer
	if _, err := all.ReadFrom(text); err != nil {
		return err
	}
	changed, accounts, err := withDir(all.Bytes(), a)
	if err != nil {
		return err
	}
	_, compiled, err := Encode(accounts)
	if err != nil {
		return err
	}
	if err := put(root, "vpasswd", changed, info.Mode().Perm(), d); err != nil {
		return err
	}
	return put(root, "vpasswd.cdb", compiled, info.Mode().Perm(), d)
}

// withDir gives the text with the account's folder in its line, and all accounts of it. Nothing else is changed; of lines
// that cannot be read vpopmail makes nothing either.
func withDir(text []byte, want Account) (changed []byte, accounts []Account, err error) {
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		a, err := ParseAccount(strings.TrimSuffix(string(line), "\n"))
		if err != nil || seen[a.Name] {
			changed = append(changed, line...)
			continue
		}
		seen[a.Name] = true
		if a.Name != want.Name {
			changed = append(changed, line...)
			accounts = append(accounts, a)
			continue
		}
		a.Dir = want.Dir
		accounts = append(accounts, a)
		if changed, err = a.AppendLine(changed); err != nil {
			return nil, nil, err
		}
	}
	if !seen[want.Name] {
		return nil, nil, errors.New("it is not in vpasswd")
	}
	return changed, accounts, nil
}

// put replaces a file of the domain's folder as a whole.
func put(root *os.Root, name string, content []byte, mode fs.FileMode, d Domain) error {
	temp := "." + name + "." + rand.Text()
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close(), own(root, temp, d))
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		root.Remove(temp)
	}
	return err
}

// lastAuth writes down that a user has logged in and by which protocol, as vpopmail's programs do: in the file lastauth
// of his folder, or in the table of that name. That it cannot be written keeps nobody out.
func (s *Site) lastAuth(ctx context.Context, a Account, d Domain, by string) {
	s.tablesMu.Lock()
	tables := s.tables
	if s.writable != nil {
		tables = s.writable
	}
	s.tablesMu.Unlock()
	err := error(nil)
	switch rel, isBelow := strings.CutPrefix(a.Dir, d.Dir+"/"); {
	case tables != nil:
		err = tables.LastAuth(ctx, a.Domain, a.Name, by, s.now().Unix())
	case isBelow:
		err = writeLastAuth(d, filepath.Clean(rel), by)
	}
	if err != nil {
		s.Log.Warn("vpopmail(" + a.Address() + "): lastauth: " + err.Error())
	}
}

func writeLastAuth(d Domain, rel, by string) error {
	root, err := os.OpenRoot(d.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	home, err := root.OpenRoot(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no folder, no note
	}
	if err != nil {
		return err
	}
	defer home.Close()
	return put(home, "lastauth", []byte(by), 0o600, d)
}
