package namespace

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"dovetail/formats/location"
	"dovetail/serve/config/options"
)

// settle finds out where the user's home is, and which folder is all that he is to see. The rules are those of Dovecot
// 2.3.19 (src/lib-storage/mail-storage-service.c, user_reply_handle and mail_storage_service_next_real). Nobody changes
// the root of the process: places are put below that folder by their paths, and links do not lead out of it where the
// files are opened for the user (location.Location.WithoutLinks).
func (v *variables) settle() error {
	users, err := options.Read[options.Users](v.o.View)
	if err != nil {
		return err
	}
	v.home = v.o.Account.Home
	if v.home == "" {
		v.home, _ = users.Home.Expand(v.lookup)
	}
	chroot := v.o.Account.Fields.Value("chroot")
	if head, rest, ok := strings.Cut(v.home, "/./"); ok && chroot == "" && len(users.ValidChrootDirs) > 0 {
		chroot, v.home = head, "/"+rest // as wu-ftpd has it
	}
	switch {
	case chroot != "" && !below(chroot, users.ValidChrootDirs):
		return fmt.Errorf("userdb returned invalid chroot directory: %s (see valid_chroot_dirs setting)", chroot)
	case chroot == "":
		if chroot, err = users.Chroot.Expand(v.lookup); err != nil {
			return fmt.Errorf("Failed to expand mail_chroot '%s': %w", users.Chroot.Text, err)
		}
	}
	if root, ok := strings.CutSuffix(chroot, "/."); ok && strings.HasPrefix(v.home, root) {
		chroot, v.home = root, v.home[len(root):] // the home is told with the folder
	}
	v.root = strings.TrimSuffix(chroot, "/.")
	if v.home != "" && !filepath.IsAbs(v.home) {
		return fmt.Errorf("Relative home directory paths not supported: %s", v.home)
	}
	return nil
}

// below tells whether a path begins with one of the folders, which may be written with ":" between them.
func below(path string, dirs []string) bool {
	for _, list := range dirs {
		for dir := range strings.SplitSeq(list, ":") {
			if dir != "" && strings.HasPrefix(path, dir) && !strings.Contains(path, "/../") {
				return true
			}
		}
	}
	return false
}

var errNoHome = errors.New("Home directory not set for user. Can't find relative mail root dir")

// inside makes a place absolute: a relative path begins at the home, and all begin at the folder that the user is to see.
func (v *variables) inside(l location.Location) (location.Location, error) {
	for _, p := range []*string{&l.Root, &l.Inbox, &l.Index, &l.Control, &l.Alt, &l.Attachments} {
		if *p == "" || *p == "MEMORY" {
			continue
		}
		if !filepath.IsAbs(*p) {
			if v.home == "" {
				return l, fmt.Errorf("%w: %s", errNoHome, *p)
			}
			*p = filepath.Join(v.home, *p)
		}
		if v.root != "" {
			*p = filepath.Join(v.root, *p)
		}
	}
	return l, nil
}
