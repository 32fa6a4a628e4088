package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Limits bound what Load reads. A zero field means the default.
type Limits struct {
	Depth   int   // includes inside includes; 64
	Files   int   // inclusions, counting a file every time; 10,000
	Bytes   int64 // of all of them together; 64 MiB
	Lines   int   // of all of them together; 500,000
	Nesting int   // sections inside sections; 100
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 64
	}
	if l.Files == 0 {
		l.Files = 10_000
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 20
	}
	if l.Lines == 0 {
		l.Lines = MaxLines
	}
	if l.Nesting == 0 {
		l.Nesting = 100
	}
	return l
}

// Options of Load.
type Options struct {
	Dialect Dialect // Unknown: Detect decides
	Limits  Limits
}

// Load reads a main file and everything it includes. The error is not nil only
// if the main file itself cannot be read; then it is an *fs.PathError. All
// else is in Problems.
func Load(src Source, name string, o Options) (*Config, error) {
	ld := &loader{src: src, limits: o.Limits.withDefaults(), cfg: &Config{Dialect: o.Dialect}}
	ld.left = ld.limits.Bytes
	data, err := ld.slurp(name, true)
	if err != nil {
		return nil, err
	}
	if o.Dialect == Unknown {
		ld.cfg.Dialect = ld.detect(name, data)
		ld.left, ld.files, ld.cached = ld.limits.Bytes, 0, nil
	}
	f := ld.keep(name, data)
	ld.cfg.Main = f
	ld.cfg.Root = &Node{Line: &Line{Kind: Root, Pos: Pos{File: name}}, File: f}
	ld.at, ld.open = ld.cfg.Root, []string{name}
	ld.read(f)
	ld.unclosed()
	return ld.cfg, nil
}

// loader is the state of one Load.
type loader struct {
	src    Source
	limits Limits
	cfg    *Config
	at     *Node            // the section that is open
	open   []string         // files being read, or waiting after a glob, outermost first
	depth  int              // includes inside includes
	deep   int              // sections open beyond the limit
	cached map[string]*File // by path
	files  int
	lines  int
	left   int64 // bytes that may still be read
}

var (
	errSpecial = errors.New("not a regular file")
	errTooMuch = errors.New("too much to read")
)

// slurp reads one file. Special files are refused, because reading them may
// never end; only the main file may be a pipe, as in "-c <(...)".
func (ld *loader) slurp(name string, main bool) (string, error) {
	f, err := ld.src.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	mode := info.Mode()
	switch {
	case mode.IsRegular(), name == os.DevNull, main && mode&fs.ModeNamedPipe != 0:
	case mode.IsDir():
		return "", &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	default:
		return "", &fs.PathError{Op: "read", Path: name, Err: errSpecial}
	}
	size := int64(0)
	if mode.IsRegular() {
		size = min(info.Size(), ld.left)
	}
	b, err := readAll(f, size, ld.left)
	if err != nil {
		return "", &fs.PathError{Op: "read", Path: name, Err: err}
	}
	ld.left -= int64(len(b))
	return string(b), nil
}

// readAll reads up to limit bytes; size is how many there probably are.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	b := make([]byte, 0, size+1) // one more, to meet the end without growing
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		case int64(len(b)) > limit:
			return nil, errTooMuch
		case len(b) == cap(b):
			b = slices.Grow(b, 512)
		}
	}
}

// keep parses a file and remembers it.
func (ld *loader) keep(name, data string) *File {
	f := Parse(name, data, ld.cfg.Dialect)
	if ld.cached == nil {
		ld.cached = map[string]*File{}
	}
	ld.cached[name] = f
	ld.cfg.Files = append(ld.cfg.Files, f)
	return f
}

// read adds the lines of a file to the tree.
func (ld *loader) read(f *File) {
	problems := f.Problems
	for _, l := range f.Lines {
		for len(problems) > 0 && problems[0].Pos.Line <= l.Pos.Line {
			ld.cfg.Problems = append(ld.cfg.Problems, problems[0])
			problems = problems[1:]
		}
		if ld.lines++; ld.lines > ld.limits.Lines {
			if ld.lines == ld.limits.Lines+1 {
				ld.fail(&Node{Line: l}, "The configuration has too many lines", nil)
			}
			return
		}
		ld.line(f, l)
	}
}

// line adds one line to the tree.
func (ld *loader) line(f *File, l *Line) {
	if ld.deep > 0 {
		switch l.Kind {
		case Open:
			ld.deep++
		case Close:
			ld.deep--
		}
		return
	}
	n := &Node{Line: l, File: f, Parent: ld.at, Err: l.Problem}
	switch l.Kind {
	case Close:
		if ld.at.Parent != nil {
			ld.at.Close = l
			ld.at = ld.at.Parent
			return
		}
		ld.fail(n, "Unexpected '}'", nil)
	case Open:
		if ld.nesting() >= ld.limits.Nesting {
			ld.deep = 1
			ld.fail(n, "Sections are nested too deeply", nil)
			break
		}
		ld.add(n)
		ld.at = n
		return
	}
	ld.add(n)
	if l.Kind == Include {
		ld.include(n)
	}
}

func (ld *loader) add(n *Node) { ld.at.Children = append(ld.at.Children, n) }

func (ld *loader) nesting() int {
	depth := 0
	for n := ld.at; n.Parent != nil; n = n.Parent {
		depth++
	}
	return depth
}

// include reads what an include names.
func (ld *loader) include(n *Node) {
	names, err := glob(ld.src, beside(n.Pos.File, n.Value), ld.limits.Files)
	switch {
	case errors.Is(err, errTooMuch):
		ld.fail(n, "Too many files match", nil)
		return
	case len(names) == 0 && !n.Try:
		ld.fail(n, "No matches", err)
		return
	case ld.depth >= ld.limits.Depth && len(names) > 0:
		ld.fail(n, "Includes are nested too deeply", nil)
		return
	}
	if ld.cfg.Dialect == Ext {
		slices.Reverse(names) // settings_read of 2.3 reads the last match first
	}
	// Dovecot opens all matches at once, so those that wait count as open.
	before := len(ld.open)
	for _, name := range slices.Backward(names) {
		ld.open = append(ld.open, name)
	}
	ld.depth++
	for _, name := range names {
		ld.open = ld.open[:len(ld.open)-1]
		if slices.Contains(ld.open[:before], name) {
			ld.fail(n, "Recursive include file: "+name, nil)
			continue
		}
		ld.open = append(ld.open, name)
		ld.one(n, name)
		ld.open = ld.open[:len(ld.open)-1]
	}
	ld.depth--
}

// one reads one match of an include.
func (ld *loader) one(n *Node, name string) {
	if ld.files++; ld.files > ld.limits.Files {
		if ld.files == ld.limits.Files+1 {
			ld.fail(n, "Too many files are included", nil)
		}
		return
	}
	f := ld.cached[name]
	if f == nil {
		data, err := ld.slurp(name, false)
		if err != nil {
			ld.unreadable(n, name, err)
			return
		}
		f = ld.keep(name, data)
	}
	n.Files = append(n.Files, f)
	ld.read(f)
}

func (ld *loader) unreadable(n *Node, name string, err error) {
	switch {
	case errors.Is(err, errIsDir):
		ld.problem(n, &Problem{Severity: Notice, Text: "the directory " + name + " contributes nothing",
			Hint: "include " + strings.TrimRight(n.Value, "/") + "/*.conf", Err: err})
	case errors.Is(err, errTooMuch):
		ld.fail(n, fmt.Sprintf("The configuration is larger than %d bytes", ld.limits.Bytes), err)
	case n.Try:
		ld.problem(n, &Problem{Severity: Notice, Text: "cannot read " + name + ": " + Reason(err), Err: err})
	default:
		ld.fail(n, "Couldn't open include file "+name+": "+Reason(err), err)
	}
}

// unclosed complains about the sections that are still open, innermost first.
// settings_read, which reads V1 and Ext, says nothing of them.
func (ld *loader) unclosed() {
	severity := Error
	if ld.cfg.Dialect.rules().tail {
		severity = Notice
	}
	for n := ld.at; n.Parent != nil; n = n.Parent {
		text := fmt.Sprintf("Missing '}' (section started at %s:%d)", n.Pos.File, n.Pos.Line)
		p := &Problem{Severity: severity, Pos: Pos{File: ld.cfg.Main.Name}, Text: text}
		if severity == Error {
			n.Err = p
		}
		ld.cfg.Problems = append(ld.cfg.Problems, p)
	}
}

// fail records an error at a node.
func (ld *loader) fail(n *Node, text string, err error) {
	ld.problem(n, &Problem{Text: text, Err: err, Hint: includeHint(n, text, err)})
}

func (ld *loader) problem(n *Node, p *Problem) {
	p.Pos = n.Pos
	if n.Err == nil && p.Severity == Error {
		n.Err = p
	}
	ld.cfg.Problems = append(ld.cfg.Problems, p)
}

// beside resolves a path against the directory of the file that names it.
func beside(file, path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return file[:strings.LastIndexByte(file, '/')+1] + path
}
