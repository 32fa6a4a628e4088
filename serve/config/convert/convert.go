// Package convert writes a configuration of one Dovecot as one of another: 1.x
// and 2.0 to 2.3 as 2.3 or 2.4, and 2.4 as 2.3.
//
// What is written is a tree like the one that was read: every file has its
// counterpart with the same name, every line stands where it stood, and
// comments stay with the line that they belong to. Files that were included
// from outside the directory of the main file come into the folder "included".
//
// A line is translated in its context, in these steps:
//
//	1.x, old names    modern.go    what the reader made of the line, in names of 2.3
//	2.3 to 2.4        up*.go       line by line; the external files of sql and
//	                               ldap become settings where they are named
//	2.4 to 2.3        down*.go     line by line; settings of sql and ldap become
//	                               external files again
//
// What has no counterpart stays as a comment, with the reason in a comment
// above it, and is a Loss. Settings that are not set and have another default in
// the other version are written out in the main file, so that nothing changes
// silently.
//
// The result is proved by converting it back with the other half of this
// package and comparing what both configurations mean, for every filter in
// them; what differs is listed (prove.go).
package convert

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// Options of Convert.
type Options struct {
	To           conf.Dialect   // V23 or V24
	Read         config.Options // how the input is read
	Out          string         // directory that the result will stand in, absolute; names external files
	Version      string         // dovecot_config_version of 2.4; "": 2.4.0, which every 2.4 reads
	KeepDefaults bool           // do not write out defaults that differ
	back         bool           // for comparison only
}

// File is one file of the result.
type File struct {
	Name   string // relative to the directory of the main file
	Text   string
	Secret bool // holds a password or key
}

// Loss is something that the other version cannot express.
type Loss struct {
	Pos  conf.Pos
	Text string // the line, or the part of it
	Why  string
}

func (l Loss) String() string { return l.Pos.String() + ": " + l.Text + ": " + l.Why }

// Result is a converted configuration.
type Result struct {
	From        conf.Dialect
	Files       []File // the main file first
	Losses      []Loss
	Differences []string // settings that mean something else now, found by comparing
}

// Clean tells whether nothing is lost and nothing differs.
func (r *Result) Clean() bool { return len(r.Losses) == 0 && len(r.Differences) == 0 }

// ErrInput is in the error for a configuration that cannot be read.
var ErrInput = errors.New("the configuration cannot be read")

// Convert reads the configuration with the main file path and converts it.
func Convert(ctx context.Context, path string, o Options) (*Result, error) {
	if o.Version == "" {
		o.Version = "2.4.0"
	}
	if o.Read.Source == nil {
		o.Read.Source = conf.OS{}
	}
	o.Read.Expand = false
	r, in, err := convert(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return r, prove(ctx, r, in, o)
}

// convert does everything but the proof. It gives the input as the last step
// read it: in names of 2.3 if it was older.
func convert(ctx context.Context, path string, o Options) (*Result, *config.Config, error) {
	c, err := load(ctx, path, o.Read)
	if err != nil {
		return nil, nil, err
	}
	r := &Result{From: c.Dialect}
	switch {
	case c.Dialect == conf.V24 && o.To == conf.V24:
		return nil, nil, fmt.Errorf("%s is a configuration of 2.4 already", path)
	case c.Dialect == conf.V24:
		d := newDown(c, o)
		d.run()
		r.Losses = d.losses
		r.Files = append(layOut(c, d.writer, o), d.files...)
		mark(r)
		return r, c, nil
	}
	m := newModern(c)
	m.run()
	r.Losses = m.losses
	r.Files = layOut(c, m.writer, o)
	if o.To == conf.V24 {
		read := o.Read
		read.Source, read.Dialect = overlay{o.Read.Source, inMemory(filepath.Dir(path), r.Files)}, conf.V23
		if c, err = load(ctx, path, read); err != nil {
			return nil, nil, err
		}
		u := newUp(c, o, read.Source)
		u.run()
		r.Losses = slices.Concat(r.Losses, where(u.losses, c, m.writer, m.c))
		r.Files = layOut(c, u.writer, o)
	}
	mark(r)
	return r, c, nil
}

// where gives losses the lines of the input instead of those of the step
// between, in which one line may have become several.
func where(losses []Loss, step *config.Config, w *writer, in *config.Config) []Loss {
	if len(w.out) == 0 {
		return losses
	}
	lines := map[string][]int{} // by file: the line of the input for each line of the step
	for i, f := range in.Syntax.Files {
		if i >= len(step.Syntax.Files) {
			break
		}
		var text []string
		var from []int
		for _, l := range f.Lines {
			written, ok := w.out[l]
			if !ok {
				written = l.Raw()
			}
			for line := range strings.Lines(written) {
				from = append(from, l.Pos.First)
				if n := len(from); !ok && len(text) > 0 && n > 1 && from[n-2] >= l.Pos.First {
					from[n-1] = from[n-2] + 1
				}
				text = append(text, line)
			}
		}
		for _, k := range joined(text) {
			name := step.Syntax.Files[i].Name
			lines[name] = append(lines[name], from[k])
		}
	}
	for i, l := range losses {
		if at := lines[l.Pos.File]; l.Pos.Line > 0 && l.Pos.Line <= len(at) {
			losses[i].Pos.Line = at[l.Pos.Line-1]
		}
	}
	return losses
}

// load reads a configuration that must be readable; names that its version
// does not know are errors too.
func load(ctx context.Context, path string, o config.Options) (*config.Config, error) {
	c, problems := config.Load(ctx, path, o)
	if p := problems.Fatal(); p != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, p)
	}
	if p := c.Syntax.First(); p != nil { // such as a section that does not end
		return nil, fmt.Errorf("%w: %w", ErrInput, p)
	}
	return c, nil
}

// layOut gives the files with what was written for their lines.
func layOut(c *config.Config, w *writer, o Options) []File {
	var files []File
	base := filepath.Dir(c.Path)
	for _, f := range c.Syntax.Files {
		var b strings.Builder
		if f == c.Syntax.Main {
			b.WriteString(w.head)
		}
		for _, l := range f.Lines {
			if text, ok := w.out[l]; ok {
				b.WriteString(text)
			} else {
				b.WriteString(l.Raw())
			}
		}
		if f == c.Syntax.Main {
			if text := b.String(); text != "" && !strings.HasSuffix(text, "\n") && w.tail != "" {
				b.WriteByte('\n')
			}
			b.WriteString(w.tail)
		}
		files = append(files, File{Name: inTree(base, f.Name), Text: join(b.String())})
	}
	return files
}

// inTree gives the name of a file in the tree that is written.
func inTree(base, name string) string {
	rel, err := filepath.Rel(base, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		abs, _ := filepath.Abs(name)
		return filepath.Join("included", abs)
	}
	return rel
}

// mark finds the files that hold secrets.
func mark(r *Result) {
	for i := range r.Files {
		f := &r.Files[i]
		for _, l := range conf.Parse(f.Name, f.Text, conf.V23).Lines {
			f.Secret = f.Secret || l.Kind == conf.Assign && l.Form != conf.FromFile && secret(l)
		}
	}
}

// secret tells whether an assignment holds a password.
func secret(l *conf.Line) bool {
	key := l.Key[strings.LastIndexByte(l.Key, '/')+1:]
	for _, end := range []string{"password", "dnpass", "_key", "_nonce", "secret"} {
		if key == end || strings.HasSuffix(key, end) && l.Value != "" {
			return l.Value != ""
		}
	}
	return strings.Contains(l.Value, "password=") || strings.Contains(l.Value, "pass=")
}
