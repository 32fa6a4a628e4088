package settings

import (
	"fmt"
	"io"
	"strings"
)

// WriteText prints what was not carried and what is left to do, a line each. With all of it the settings that were
// carried or are not needed come too. Values of passwords are never in it.
func (r *Result) WriteText(w io.Writer, all bool) error {
	var b strings.Builder
	for _, s := range r.Settings {
		if all || s.Fate == NotCarried {
			fmt.Fprintln(&b, s)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintln(&b, "problem:", p)
	}
	for _, h := range r.Hints {
		fmt.Fprintln(&b, "hint:", printable(h))
	}
	fmt.Fprintf(&b, "%d settings: %d carried, %d not needed, %d not carried; %d problems\n", len(r.Settings), r.Count(Carried),
		r.Count(NotNeeded), r.Count(NotCarried), len(r.Problems))
	_, err := io.WriteString(w, b.String())
	return err
}

// Count tells how many settings have this fate.
func (r *Result) Count(f Fate) int {
	n := 0
	for _, s := range r.Settings {
		if s.Fate == f {
			n++
		}
	}
	return n
}

func (s *Setting) String() string {
	text := fmt.Sprintf("%s: %s:%d %s", s.Fate, printable(s.File), s.Line, printable(s.Name))
	if !s.secret && s.unknown == "" {
		shown := s.Value
		if len(shown) > 120 {
			shown = shown[:120] + "..."
		}
		text += fmt.Sprintf(" = %q", shown)
	}
	if len(s.To) > 0 {
		text += " -> " + strings.Join(s.To, ", ")
	}
	if s.Why != "" {
		text += ": " + printable(s.Why)
	}
	return text
}

func (p Problem) String() string {
	if p.Line == 0 {
		return printable(p.File + ": " + p.Text)
	}
	return printable(fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text))
}
