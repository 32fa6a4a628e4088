package namespace

import (
	"fmt"
	"path/filepath"
	"strings"

	"dovetail/formats/disk"
	"dovetail/formats/location"
	"dovetail/serve/config/options"
)

// rawlogDir gives the folder for what the user's sessions say, as his mail would be found there; "" none.
func (v *variables) rawlogDir() (string, error) {
	o, err := options.Read[options.Log](v.o.View)
	if err != nil || o.RawlogDir.Text == "" {
		return "", err
	}
	text, err := o.RawlogDir.Expand(v.lookup)
	if err != nil {
		return "", fmt.Errorf("Failed to expand rawlog_dir '%s': %w", o.RawlogDir.Text, err)
	}
	if below, ok := strings.CutPrefix(text, "~/"); ok {
		if v.home == "" {
			return "", fmt.Errorf("Home directory not set for user. Can't expand ~/ in rawlog_dir: %s", text)
		}
		text = filepath.Join(v.home, below)
	}
	at, err := v.inside(location.Location{Root: text})
	return at.Root, err
}

// Rawlog opens the folder for what the user's sessions say (rawlog_dir), which the caller closes; nil if there is to be
// none. It is not made: an error that wraps fs.ErrNotExist or fs.ErrPermission is what most users have.
func (u *User) Rawlog() (*disk.Dir, error) {
	if u.rawlog == "" {
		return nil, nil
	}
	path := u.rawlog
	if u.fs.NoLinks {
		var err error
		if path, err = location.Linkless(path, u.fs.UID); err != nil {
			return nil, err
		}
	}
	return u.fs.OpenRoot(path)
}
