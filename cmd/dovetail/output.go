package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"dovetail/sync"
)

// output is what convert and verify have in common: how they report.
type output struct {
	asJSON, quiet, verbose bool
	report                 string
	jobs                   int
	endless                bool // how much there is to do is not known before the end; progress counts users, too
}

func (o *output) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the report as one JSON object a line: mailboxes, losses and so on, then totals")
	cmd.Flags().StringVar(&o.report, "report", "", "write the whole report as JSON to this `file`")
	cmd.Flags().IntVar(&o.jobs, "jobs", 0, "work on this `number` of mailboxes at a time (default one for each processor)")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "print neither report nor progress, only errors")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "say on standard error what is being done")
}

// check refuses values that make no sense.
func (o *output) check() error {
	if o.jobs < 0 {
		return usagef("--jobs %d: at least 1", o.jobs)
	}
	return nil
}

// finish writes the report to the file asked for. The error is errLeftOver when there is something in it that the exit
// code must tell.
func (o *output) finish(r *sync.Report) error {
	if o.report != "" {
		if err := writeReport(o.report, r); err != nil {
			return err
		}
	}
	if r.ExitCode() == exitLeftOver {
		return errLeftOver
	}
	return nil
}

func (o *output) print(w io.Writer, r *sync.Report) error {
	switch {
	case o.asJSON:
		return printObjects(w, r)
	case o.quiet:
		return nil
	}
	return r.WriteText(w)
}

// printObjects prints the parts of a report one a line. Each object has one member more than in the report: kind.
func printObjects(w io.Writer, r *sync.Report) error {
	out := newLines(w)
	for _, m := range r.Mailboxes {
		out.object(struct {
			Kind string `json:"kind"`
			sync.MailboxReport
		}{"mailbox", m})
	}
	for _, l := range r.Losses {
		out.object(struct {
			Kind string `json:"kind"`
			sync.Loss
		}{"loss", l})
	}
	for _, s := range r.SetAside {
		out.object(struct {
			Kind string `json:"kind"`
			sync.SetAside
		}{"set_aside", s})
	}
	for _, d := range r.Differences {
		out.object(struct {
			Kind string `json:"kind"`
			sync.Difference
		}{"difference", d})
	}
	out.object(struct {
		Kind   string `json:"kind"`
		Verb   string `json:"verb"`
		DryRun bool   `json:"dry_run,omitempty"`
		Source string `json:"source"`
		Target string `json:"target"`
		sync.Counts
		Seconds    float64 `json:"seconds"`
		Unfinished string  `json:"unfinished,omitempty"`
		Next       string  `json:"next,omitempty"`
	}{"totals", r.Verb, r.DryRun, r.Source, r.Target, r.Totals, r.Duration, r.Unfinished, r.Next})
	return out.Flush()
}

// writeReport writes all of it in one step.
func writeReport(path string, r any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return err
	}
	f, err := createReport(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		f.discard()
		return fmt.Errorf("report %s: %w", path, err)
	}
	if err := f.finish(); err != nil {
		f.discard()
		return err
	}
	return nil
}

// logger gives the log of a run: nil unless it was asked for.
func (o *output) logger(w io.Writer) *slog.Logger {
	if !o.verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
