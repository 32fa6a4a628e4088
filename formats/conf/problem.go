package conf

import "strconv"

// Severity tells what a problem does to the reading.
type Severity int

const (
	Error   Severity = iota // Dovecot refuses to start
	Warning                 // Dovecot prints a warning and goes on
	Notice                  // Dovecot says nothing, but what was written has no or another effect
)

// Problem is something wrong with a file. Text is in Dovecot's words where it
// has any; Hint is ours and says what to do, or is empty.
type Problem struct {
	Severity Severity
	Pos      Pos
	Text     string
	Hint     string
	Err      error // the error of the operating system, if that is the reason
}

// Error gives the line that Dovecot prints, without "Fatal: " or "Warning: "
// before it.
func (p *Problem) Error() string {
	if p.Pos.File == "" {
		return p.Text
	}
	where := p.Pos.File
	if p.Pos.Line != 0 {
		where += " line " + strconv.Itoa(p.Pos.Line)
	}
	if p.Severity == Warning {
		return "Configuration file " + where + ": " + p.Text
	}
	return "Error in configuration file " + where + ": " + p.Text
}

// Unwrap gives the error of the operating system, so that errors.Is works.
func (p *Problem) Unwrap() error { return p.Err }
