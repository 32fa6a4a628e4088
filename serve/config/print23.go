package config

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
)

// print23 writes in the form of doveconf 2.3.
func (c *Config) print23(w *bufio.Writer, o PrintOptions) {
	if len(o.Names) > 0 && !o.Simple && o.Scope == All {
		o.Scope = Everything
	}
	t, _ := effective(c.filters, o.Filter)
	entries := t.export(o)
	switch {
	case o.Simple:
		printSimple(w, entries, o.Names)
	case len(o.Names) > 0:
		for _, name := range o.Names {
			printNamed(w, entries, name, o)
		}
	default:
		printTree(w, entries, "", nil, o)
		c.printFilters(w, o)
	}
}

func printSimple(w *bufio.Writer, entries []entry, names []string) {
	for _, e := range entries {
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return under(e.path, n) }) {
			fmt.Fprintf(w, "%s=%s\n", e.path, e.value)
		}
	}
}

// under tells whether a path is the other one or inside of it.
func under(path, outer string) bool {
	return path == outer || strings.HasPrefix(path, outer) && path[len(outer)] == '/'
}

// printNamed writes one setting, or the content of a section.
func printNamed(w *bufio.Writer, entries []entry, name string, o PrintOptions) {
	inside := false
	for _, e := range entries {
		if e.path == name && !e.list {
			if !o.Values {
				fmt.Fprintf(w, "%s = ", name)
			}
			fmt.Fprintln(w, e.value+o.origin(e.pos))
			return
		}
		inside = inside || !e.list && strings.HasPrefix(e.path, name+"/")
	}
	if inside {
		printTree(w, entries, name, nil, o)
	}
}

// hasSection tells whether one of the paths is that of a section.
func (c *Config) hasSection(paths []string) bool {
	for _, e := range c.filters[0].export(PrintOptions{Scope: Everything}) {
		if slices.ContainsFunc(paths, func(p string) bool { return p != e.path && under(e.path, p) }) {
			return true
		}
	}
	return false
}

// printFilters writes what the filter sections set, the most general first.
func (c *Config) printFilters(w *bufio.Writer, o PrintOptions) {
	var some []*filtered
	for _, f := range c.filters[1:] {
		if f.mayCover(o.Filter) {
			some = append(some, f)
		}
	}
	slices.SortStableFunc(some, func(a, b *filtered) int { return a.compare(b.Filter) })
	for _, f := range some {
		in := o
		in.Scope = Set
		printTree(w, f.export(in), "", f.headers(), o)
	}
}

// mayCover tells whether a filter covers some connection that has what is
// known of this one.
func (f Filter) mayCover(c Filter) bool {
	if c.Protocol != "" && !f.coversProtocol(c) {
		return false
	}
	return (c.LocalName == "" || f.LocalName == "" || nameMatches(f.LocalName, c.LocalName)) &&
		(!c.Local.IsValid() || inNet(f.Local, c.Local)) && (!c.Remote.IsValid() || inNet(f.Remote, c.Remote))
}

// headers are the lines that open a filter, the outermost first.
func (f Filter) headers() []string {
	var lines []string
	if f.Local.Bits() > 0 {
		lines = append(lines, "local "+formatNet(f.Local))
	}
	if f.LocalName != "" {
		lines = append(lines, "local_name "+f.LocalName)
	}
	if f.Remote.Bits() > 0 {
		lines = append(lines, "remote "+formatNet(f.Remote))
	}
	if f.Protocol != "" {
		lines = append(lines, "protocol "+f.Protocol)
	}
	return lines
}

// opened is a section that the output is in.
type opened struct {
	prefix  string // service/imap/
	pending bool   // the opening line waits for something to stand in it
	cut     int    // of the lines that wait: those of the sections around it
}

// treePrinter writes entries as nested sections.
type treePrinter struct {
	w       *bufio.Writer
	o       PrintOptions
	around  int    // sections that the headers open
	waiting string // opening lines that wait
	printed bool
	stack   []opened
}

// printTree writes the entries inside of the path only (all with ""), in the
// sections that headers open if there is anything to write.
func printTree(w *bufio.Writer, entries []entry, only string, headers []string, o PrintOptions) {
	p := &treePrinter{w: w, o: o, around: len(headers)}
	for i, h := range headers {
		p.waiting += indent(i) + h + " {\n"
	}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, compareEntries)
	for _, e := range entries {
		if !e.list && (only == "" || under(e.path, only)) {
			p.print(e)
		}
	}
	p.closeAll()
	if p.printed {
		for i := len(headers) - 1; i >= 0; i-- {
			fmt.Fprintln(w, indent(i)+"}")
		}
	}
}

func indent(depth int) string { return strings.Repeat("  ", depth) }

func (p *treePrinter) depth() int { return p.around + len(p.stack) }

func (p *treePrinter) print(e entry) {
	for len(p.stack) > 0 && !strings.HasPrefix(e.path, p.stack[len(p.stack)-1].prefix) {
		p.close()
	}
	from := 0
	if len(p.stack) > 0 {
		from = len(p.stack[len(p.stack)-1].prefix)
	}
	for _, prefix := range e.sections {
		if len(prefix) <= from {
			continue
		}
		p.open(prefix, from, e)
		if e.name {
			return // Dovecot opens one section a name, even if more are missing
		}
		from = len(prefix)
	}
	if e.name {
		return
	}
	p.w.WriteString(p.waiting)
	p.waiting, p.printed = "", true
	for i := range p.stack {
		p.stack[i].pending = false
	}
	key := e.path[from:]
	fmt.Fprintf(p.w, "%s%s = %s%s\n", indent(p.depth()), key, show(key, e.value, p.o.Secrets), p.o.origin(e.pos))
}

func (p *treePrinter) open(prefix string, from int, e entry) {
	p.stack = append(p.stack, opened{prefix: prefix, pending: e.name, cut: len(p.waiting)})
	kind, _, _ := strings.Cut(prefix[from:], "/")
	line := indent(p.depth()-1) + kind
	if e.name && e.value != "" {
		line += " " + quoteName(e.value)
	}
	p.waiting += line + " {\n"
}

func (p *treePrinter) close() {
	top := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if top.pending {
		p.waiting = p.waiting[:top.cut]
		return
	}
	fmt.Fprintln(p.w, indent(p.depth())+"}")
}

// closeAll ends the output. Dovecot 2.3.19 config_dump_human_output stops at a
// section of which nothing was printed, so that the sections around it stay
// open; scripts have seen it for years.
func (p *treePrinter) closeAll() {
	for len(p.stack) > 0 {
		if p.stack[len(p.stack)-1].pending {
			return
		}
		p.close()
	}
}

func quoteName(name string) string {
	if strings.Contains(name, " ") {
		return `"` + escape(name) + `"`
	}
	return name
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `\'`)

func escape(s string) string { return escaper.Replace(s) }
