package convert

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// writer collects what stands in the place of each line.
type writer struct {
	out    map[*conf.Line]string // lines that are not in it stay as they are
	head   string                // before the first line of the main file
	tail   string                // after its last line
	losses []Loss
	indent func(n *conf.Node) string // of the lines that replace one
	to     conf.Dialect
}

func newWriter(to conf.Dialect) *writer {
	return &writer{out: map[*conf.Line]string{}, to: to, indent: func(n *conf.Node) string { return n.Indent() }}
}

// put replaces a line by any number of lines. The comment at its end goes to
// the first of them, or stays alone.
func (w *writer) put(n *conf.Node, lines ...string) { w.putLine(n.Line, w.indent(n), lines...) }

func (w *writer) putLine(l *conf.Line, indent string, lines ...string) {
	var b strings.Builder
	if len(lines) == 0 && l.Comment != "" {
		lines = []string{""}
	}
	for i, text := range lines {
		if i == 0 && l.Comment != "" {
			text = strings.TrimLeft(text+" "+l.Comment, " ")
		}
		b.WriteString(indent + text + "\n")
	}
	w.out[l] = b.String()
}

// lose keeps a line as a comment, with the reason above it.
func (w *writer) lose(n *conf.Node, why string) {
	w.losses = append(w.losses, Loss{n.Pos, strings.TrimSpace(firstLine(n.Raw())), why})
	w.out[n.Line] = w.indent(n) + "# not in " + w.to.String() + ": " + why + "\n" +
		w.indent(n) + strings.TrimLeft(commented(n.Line), " \t")
}

// loseSection keeps a whole section as comments.
func (w *writer) loseSection(n *conf.Node, why string) {
	before := w.losses
	w.lose(n, why)
	if empty(n) {
		w.losses = before
	}
	for in := range n.All() {
		if in.Kind != conf.Blank && in.Kind != conf.Comment && in.Kind != conf.Include {
			w.out[in.Line] = commented(in.Line)
		}
		if in.Close != nil {
			w.out[in.Close] = commented(in.Close)
		}
	}
	if n.Close != nil {
		w.out[n.Close] = commented(n.Close)
	}
}

// empty tells whether a section sets nothing.
func empty(n *conf.Node) bool {
	for in := range n.All() {
		if in.Kind == conf.Assign {
			return false
		}
	}
	return true
}

// part lists a part of a line that was left out of it.
func (w *writer) part(n *conf.Node, what, why string) {
	w.losses = append(w.losses, Loss{n.Pos, what, why})
}

// commented makes comments of all physical lines of a line.
func commented(l *conf.Line) string {
	indent := l.Indent()
	var b strings.Builder
	for text := range strings.Lines(strings.TrimSuffix(l.Raw(), "\n")) {
		b.WriteString(indent + "#" + strings.TrimPrefix(strings.TrimRight(text, "\r\n"), indent) + "\n")
	}
	return b.String()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// assign writes "key = value".
func (w *writer) assign(key, value string) string {
	text, err := conf.Quote(value, w.to)
	if err != nil {
		text = strings.NewReplacer("\n", " ", "\r", " ", "\x00", "").Replace(value)
	}
	return strings.TrimRight(key+" = "+text, " ")
}

// open writes the line that opens a section.
func (w *writer) open(kind, name string) string {
	text, err := conf.QuoteName(name, w.to)
	if err != nil {
		text = `"` + strings.ReplaceAll(name, `"`, "'") + `"`
	}
	return kind + " " + text + " {"
}

// section writes a section around lines.
func section(open string, lines ...string) []string {
	all := []string{open}
	for _, l := range lines {
		all = append(all, "  "+l)
	}
	return append(all, "}")
}

// join puts sections together that follow each other and are one.
func join(text string) string {
	if !strings.Contains(text, joiner) {
		return text
	}
	lines := slices.Collect(strings.Lines(text))
	var b strings.Builder
	for _, i := range joined(lines) {
		b.WriteString(lines[i])
	}
	return strings.ReplaceAll(b.String(), joiner, "")
}

// joined gives the indexes of the lines that stay when sections are put
// together.
func joined(lines []string) []int {
	var keep []int
	for i, line := range lines {
		plain, marked := strings.CutSuffix(strings.TrimRight(line, "\n"), joiner)
		if n := len(keep); marked && n > 0 && strings.HasSuffix(plain, "{") &&
			lines[keep[n-1]] == indentOf(plain)+"}"+joiner+"\n" && lastOpen(lines, keep) == line {
			keep = keep[:n-1]
			continue
		}
		keep = append(keep, i)
	}
	return keep
}

// joiner marks the lines of sections that join may put together. No file that
// was read can hold it.
const joiner = "\x00"

// lastOpen gives the last line that opens a section that can be put together.
func lastOpen(lines []string, keep []int) string {
	for _, i := range slices.Backward(keep) {
		if strings.HasSuffix(lines[i], "{"+joiner+"\n") {
			return lines[i]
		}
	}
	return ""
}

func indentOf(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " \t"))] }

// joinable makes a section one that join may put together with its neighbours.
func joinable(open string, lines ...string) []string {
	all := section(open+joiner, lines...)
	all[len(all)-1] += joiner
	return all
}
