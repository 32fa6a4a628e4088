package config

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"dovetail/formats/conf"
)

// maxFile bounds what "<file" brings in: certificates, not mail.
const maxFile = 16 << 20

// maxExpanded bounds a value with references, because a few lines of "a = $a
// $a" would fill any memory.
const maxExpanded = 1 << 20

// expand gives the value of a setting with the references and files in it, as
// far as they are wanted: "key = $key more" always is, so that what is printed
// can be read back.
func (r *reader23) expand(full, key, value string, form conf.Form) (string, error) {
	switch {
	case form == conf.FromFile && r.o.Expand:
		return r.content(r.o.Source, full, value)
	case form == conf.FromFile:
		return "<" + value, nil
	case form == conf.Reference:
		return r.references(key, value)
	}
	return value, nil
}

// content reads a file that a value names.
func (r *report) content(src conf.Source, full, name string) (string, error) {
	name = r.near(name)
	f, err := src.Open(name)
	if err != nil {
		return "", fmt.Errorf("%s: Can't open file %s: %s", full, name, conf.Reason(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("too much to read")
	}
	if err != nil {
		return "", fmt.Errorf("%s: read(%s) failed: %s", full, name, conf.Reason(err))
	}
	return string(b), nil
}

// near gives the path of a file that a line names: relative ones begin where the
// file of the line is.
func (r *report) near(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return r.pos.File[:strings.LastIndexByte(r.pos.File, '/')+1] + name
}

// references replaces the words of a value that are references. Dovecot 2.3.19
// config_write_keyvariable: words are separated by a blank, further blanks and
// tabs after it are lost.
func (r *reader23) references(key, value string) (string, error) {
	var out strings.Builder
	for {
		word, rest, more := strings.Cut(value, " ")
		text, err := r.reference(key, word)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
		if out.Len() > maxExpanded {
			return "", fmt.Errorf("%s: the expanded value is longer than %d bytes", key, maxExpanded)
		}
		if !more {
			return out.String(), nil
		}
		out.WriteByte(' ')
		value = strings.TrimLeft(rest, " \t")
	}
}

// reference gives what one word stands for.
func (r *reader23) reference(key, word string) (string, error) {
	name, ok := strings.CutPrefix(word, "$")
	self := name == key
	switch env, isEnv := strings.CutPrefix(name, "ENV:"); {
	case !ok:
		return word, nil
	case !self && !r.o.Expand:
		r.checkReference(name)
		return word, nil
	case isEnv && r.o.Getenv == nil:
		return "", nil
	case isEnv:
		return r.o.Getenv(env), nil
	}
	return r.lookup(name, self)
}

// lookup gives the value that a setting has at this point of the reading. The
// open filter's default hides what the filters around it set, except for the
// setting itself.
func (r *reader23) lookup(name string, self bool) (string, error) {
	for f := r.at; ; f = f.prev {
		v, ok := f.tree.get(name)
		if !ok {
			if b := f.tree.root.schema; b.sections[name] != nil || b.maps[name] != nil {
				return "", errors.New("Invalid variable: $" + name)
			}
			return "", errors.New("Unknown variable: $" + name)
		}
		if !self || f.prev == nil || v.Pos.File != "" {
			return v.Text, nil
		}
	}
}

// checkReference complains about a reference that will fail when it is
// expanded at the start.
func (r *reader23) checkReference(name string) {
	if strings.HasPrefix(name, "ENV:") {
		return
	}
	if _, err := r.lookup(name, false); err != nil {
		p := r.fail(err.Error())
		p.Severity = AtStart
		p.Instead = nearest(r.at, name)
	}
}
