package sync

import "io"

// WriteText prints the report for people.
func (r *Report) WriteText(w io.Writer) error { return nil }
