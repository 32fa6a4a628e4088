package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"dovetail/formats/courierconf"
)

// maxFile bounds one file of settings: real ones have some ten kilobytes.
const maxFile = 1 << 20

// Courier is what its directory says.
type Courier struct {
	dir      string
	imap     *server
	pop3     *server
	auth     []*Setting            // authdaemonrc
	fields   map[string][]*Setting // authmysqlrc and so on
	settings []*Setting            // all of them, in the order of the files
	used     map[string]bool       // variables that other settings are made of
	problems []Problem
	hints    []string
}

// value is a setting as one daemon sees it. The zero value is a setting that is not there or not known.
type value struct {
	*Setting
	text string
}

// on tells whether a switch is on: Courier takes 1, Y and YES.
func (v value) on() bool {
	return v.Setting != nil && v.text != "" && strings.ContainsRune("yY123456789", rune(v.text[0]))
}

func (v value) carried(to, why string) {
	if v.Setting != nil {
		v.become(Carried, to, why)
	}
}

func (v value) notNeeded(why string) {
	if v.Setting != nil {
		v.become(NotNeeded, "", why)
	}
}

func (v value) lost(why string) {
	if v.Setting != nil {
		v.become(NotCarried, "", why)
	}
}

// view is a shell's variables after it has read some files.
type view map[string]value

// server is the pair of files of one protocol.
type server struct {
	protocol   string // imap or pop3
	file       string // imapd or pop3d
	plainFile  bool
	tlsFile    bool
	env        view // the environment of both daemons
	plain, tls view // where the arguments of each come from
}

// Read reads the settings in a directory. The error is fs.ErrNotExist when there is no such directory or nothing of
// Courier's in it; what is wrong with single files is a problem of the result.
func Read(ctx context.Context, dir string) (*Courier, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, &fs.PathError{Op: "read settings", Path: dir, Err: syscall.ENOTDIR}
	}
	c := &Courier{dir: dir, fields: map[string][]*Setting{}, used: map[string]bool{}}
	c.imap, c.pop3 = c.server("imap", "imapd"), c.server("pop3", "pop3d")
	if src, ok := c.read("authdaemonrc"); ok {
		c.auth = c.shell("authdaemonrc", src, courierconf.Vars{})
	}
	for _, name := range []string{"authmysqlrc", "authpgsqlrc", "authsqliterc", "authldaprc"} {
		if src, ok := c.read(name); ok {
			c.fields[name] = c.readFields(name, src)
		}
	}
	if len(c.settings) == 0 && len(c.problems) == 0 {
		return nil, fmt.Errorf("%s holds no settings of Courier (imapd, pop3d, authdaemonrc): %w", dir, fs.ErrNotExist)
	}
	return c, ctx.Err()
}

func (c *Courier) problem(file string, line int, format string, args ...any) {
	c.problems = append(c.problems, Problem{file, line, fmt.Sprintf(format, args...)})
}

func (c *Courier) hint(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.hints, text) {
		c.hints = append(c.hints, text)
	}
}

// read gives the content of a file of the directory; false when it is missing or cannot be read, which is told.
func (c *Courier) read(name string) ([]byte, bool) {
	src, err := readRegular(filepath.Join(c.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(c.dir, name+".dist")); err == nil {
			c.problem(name, 0, "missing, though %s.dist is there: sysconftool was never run", name)
		}
		return nil, false
	case err != nil:
		c.problem(name, 0, "cannot be read: %v", err)
		return nil, false
	}
	return src, true
}

// readRegular reads a regular file and waits for nothing: a FIFO in its place is refused.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return src, err
}

// server reads the two files of a protocol the two ways in which the start scripts read them.
func (c *Courier) server(protocol, file string) *server {
	s := &server{protocol: protocol, file: file, env: view{}, plain: view{}}
	plain, hasPlain := c.read(file)
	tls, hasTLS := c.read(file + "-ssl")
	s.plainFile, s.tlsFile = hasPlain, hasTLS
	vars := scriptVars()
	first := c.shell(file, plain, vars)
	second := c.shell(file+"-ssl", tls, vars)
	s.env.set(first, nil)
	s.env.set(second, nil)
	s.tls = s.env

	vars = scriptVars()
	s.plain.set(second, courierconf.ReadShell(tls, vars).Assignments)
	s.plain.set(first, courierconf.ReadShell(plain, vars).Assignments)
	return s
}

// scriptVars are what the start scripts set before they read the files; their values are not Courier's settings.
func scriptVars() courierconf.Vars {
	vars := courierconf.Vars{}
	for _, name := range []string{"prefix", "exec_prefix", "sbindir", "bindir", "sysconfdir", "libexecdir"} {
		vars[name] = courierconf.Var{Unknown: "set in Courier's start script"}
	}
	return vars
}

// set lets a shell with this view read a file: its settings, with the values they have there when they differ.
func (v view) set(settings []*Setting, there []courierconf.Assignment) {
	for i, s := range settings {
		now := value{s, s.Value}
		unknown := s.unknown
		if i < len(there) {
			now.text, unknown = there[i].Value, there[i].Unknown
		}
		if v[s.Name] = now; unknown != "" {
			delete(v, s.Name)
		}
	}
}

func (c *Courier) shell(file string, src []byte, vars courierconf.Vars) []*Setting {
	fragment := courierconf.ReadShell(src, vars)
	for _, p := range fragment.Problems {
		c.problem(file, p.Line, "%s", p.Text)
	}
	for _, name := range fragment.Used {
		c.used[name] = true
	}
	var settings []*Setting
	for _, a := range fragment.Assignments {
		settings = append(settings, &Setting{File: file, Line: a.Line, Name: a.Name, Value: a.Value, unknown: a.Unknown})
	}
	c.settings = append(c.settings, settings...)
	return settings
}

func (c *Courier) readFields(file string, src []byte) []*Setting {
	fields, marker := courierconf.ReadFields(src)
	if !marker {
		c.problem(file, 0, "has no \"##NAME: MARKER\" line: Courier's library refuses such a file; run sysconftool or check its end")
	}
	var settings []*Setting
	for _, f := range fields {
		settings = append(settings, &Setting{File: file, Line: f.Line, Name: f.Name, Value: f.Value})
	}
	c.settings = append(c.settings, settings...)
	return settings
}
