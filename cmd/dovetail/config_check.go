package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"dovetail/serve/config"
)

func newConfigCheck() *cobra.Command {
	var path, dialect string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "List everything that is wrong with the configuration",
		Long: `Read Dovecot's configuration and list all problems at once: where they are, what
they mean and what to write instead. An error stops the program from starting, a
warning is one of Dovecot's, a note says what becomes of a setting here.
` + exitHelp(exitDone, exitUsage, exitConfig),
		Example: "  dovetail config check\n  dovetail config check --json -c /etc/dovecot/dovecot.conf",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, problems, err := loadConfig(cmd.Context(), path, dialect, true)
			if err != nil {
				return err
			}
			out := newLines(cmd.OutOrStdout())
			for _, p := range problems.ByPlace() {
				printProblem(out, p, asJSON)
			}
			if !problems.OK() {
				err = errInvalidConfig
			}
			return also(err, out.Flush())
		},
	}
	configFlags(cmd, &path, &dialect)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a problem")
	return cmd
}

// configProblem is a problem as --json prints it.
type configProblem struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Text     string `json:"text"`
	Meaning  string `json:"meaning,omitempty"`
	Instead  string `json:"instead,omitempty"`
}

func printProblem(out *lines, p *config.Problem, asJSON bool) {
	severity := "error"
	switch p.Severity {
	case config.Warning:
		severity = "warning"
	case config.Advice:
		severity = "note"
	}
	if asJSON {
		out.object(configProblem{severity, p.Pos.File, p.Pos.Line, p.Text, p.Meaning, p.Instead})
		return
	}
	fmt.Fprintf(out, "%s: %s: %s\n", p.Pos, severity, p.Text)
	if p.Meaning != "" {
		fmt.Fprintf(out, "    meaning: %s\n", p.Meaning)
	}
	if p.Instead != "" {
		fmt.Fprintf(out, "    instead: %s\n", p.Instead)
	}
}
