package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"dovetail/auth/scheme"
	"dovetail/formats/disk"
)

// Options say how a target is written.
type Options struct {
	PreferHash bool   // write the hash where the source has the clear text too
	Overwrite  bool   // replace a target that has accounts which the source has not
	Config     string // where the configuration goes; "" is beside the target

	FS *disk.FS // who new lists belong to; nil: this process's ids
}

// config is how configuration is written: it belongs to who runs this, never to the user that the lists are given to,
// because whoever can change the configuration of a server that root starts is root.
func (o Options) config() *disk.FS {
	if o.FS == nil {
		return nil
	}
	own := *o.FS
	own.Own = false
	return &own
}

// Plan is what a run would write. It has changed nothing yet.
type Plan struct {
	Report *Report
	files  []file
	apply  []func(context.Context) error // further steps, after the files
}

// file is one file of the target.
type file struct {
	path    string
	mode    fs.FileMode
	content []byte
	fs      *disk.FS
	keep    string // name of the older generation beside it; "" for none
	lock    string // name of the file beside it that other writers lock; "" for none
	state   string
}

// maxList bounds an existing list: a gigabyte holds some millions of accounts.
const maxList = 1 << 30

// Prepare plans to make the target say what the list says.
func Prepare(ctx context.Context, l *List, src, dst Place, o Options) (*Plan, error) {
	p := &Plan{Report: NewReport(src.String(), l)}
	p.Report.Target = dst.String()
	var err error
	switch dst.Kind {
	case "passwd-file":
		err = p.passwdFile(ctx, l, dst, o)
	case "vpopmail":
		err = p.vpopmail(ctx, l, dst, o)
	case "sql":
		err = p.sql(l, dst, o)
	case "vpopmail-mysql":
		err = p.mysql(ctx, l, dst, o)
	default:
		err = fmt.Errorf("%s: %w to write to", dst, ErrPlace)
	}
	if err != nil {
		return nil, err
	}
	p.Report.sum()
	return p, nil
}

// Apply writes what differs. What has been written stays when a later file fails; each file is there as it was or as it
// is to be.
func (p *Plan) Apply(ctx context.Context) error {
	for _, f := range p.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.state == stateSame {
			continue
		}
		if err := f.write(ctx); err != nil {
			return err
		}
	}
	for _, step := range p.apply {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The states of a file or table of the target.
const (
	stateNew     = "new"
	stateChanged = "changed"
	stateSame    = "same"
)

// add plans one file. An existing one is compared, and keeps its owner and mode.
func (p *Plan) add(f file) error {
	old, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.state, f.keep = stateNew, ""
	case err != nil:
		return err
	case bytes.Equal(old, f.content):
		f.state, f.keep = stateSame, ""
	default:
		f.state = stateChanged
	}
	p.files = append(p.files, f)
	p.Report.Files = append(p.Report.Files, FileReport{f.path, f.state, f.keep})
	return nil
}

func (f file) dir() (*disk.Dir, string, error) {
	d, err := f.fs.OpenRoot(filepath.Dir(f.path))
	return d, filepath.Base(f.path), err
}

func (f file) read() ([]byte, error) {
	d, name, err := f.dir()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadFile(name, maxList)
}

func (f file) write(ctx context.Context) error {
	d, name, err := f.dir()
	if err != nil {
		return err
	}
	defer d.Close()
	if f.lock == "" {
		return f.replace(d, name)
	}
	return locked(ctx, d, f.lock, func() error { return f.replace(d, name) })
}

func (f file) replace(d *disk.Dir, name string) error {
	old, err := d.Stat(name)
	exists, err := disk.Exists(err)
	if err != nil {
		return err
	}
	if exists && f.keep != "" {
		if err := keep(d, name, f.keep); err != nil {
			return err
		}
	}
	return d.ReplaceFile(name, f.mode, func(w io.Writer) error {
		if made, ok := w.(*disk.File); ok && exists {
			if err := made.TakeAfter(old); err != nil {
				return err
			}
		}
		_, err := w.Write(f.content)
		return err
	})
}

// keep makes the file as it is now the older generation, by a link: there is no moment at which it is missing.
func keep(d *disk.Dir, name, older string) error {
	if err := d.Remove(older); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.Link(name, d, older)
}

// written counts the passwords that go into the target.
func (p *Plan) written(schemes []scheme.Scheme) {
	p.Report.Written = count(schemes)
	p.Report.Totals.Carried = len(schemes)
}

// vanishing refuses a target that has accounts which the list has not, because they would be lost.
func vanishing(target string, has []string, l *List, o Options) error {
	names := map[string]bool{}
	for _, u := range l.Users {
		names[u.Name] = true
	}
	n, first := 0, ""
	for _, name := range has {
		if !names[name] {
			if n++; n == 1 {
				first = name
			}
		}
	}
	if n == 0 || o.Overwrite {
		return nil
	}
	return fmt.Errorf("%s: %w: %d that the source has not, %s for instance", target, ErrOthers, n, first)
}

// ErrOthers is returned for a target that has accounts of its own.
var ErrOthers = errors.New("the target has accounts that would be lost")
