package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dovetail/convert/settings"
)

// settingsHelp is the part of the help of "courier" about --settings.
const settingsHelp = `
Courier's settings become a configuration of Dovecot 2.3 with

  dovetail courier --settings /etc/courier --output /etc/dovecot

The folder holds imapd, pop3d, imapd-ssl, pop3d-ssl and authdaemonrc, and what they
refer to: authmysqlrc and the like, imapaccess, userdb. These files are read and never
run; what only a shell could know is listed. Without --output the configuration is
printed, with the line of Courier's that each setting comes from. What was not carried
goes to standard error, with --verbose the fate of every setting; any that was not
carried makes the exit code 2. With --json all of it is printed, one object a line.
Passwords for databases are in no report: the files that need them are written with
--output only, for their owner alone to read. Files that are there already and say
something else are replaced only with --overwrite.
`

// settingsRun is the verb courier with --settings: no mail is looked at.
type settingsRun struct {
	dir, output                       string
	overwrite, asJSON, quiet, verbose bool
}

// flags of the verb that mean something with --settings.
var settingsFlags = []string{"settings", "output", "overwrite", "json", "quiet", "verbose"}

// makeSettings does the verb's other work where --settings asks for it.
func (c *courierRun) makeSettings(cmd *cobra.Command) error {
	var wrong error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains(settingsFlags, f.Name) {
			wrong = usagef("--%s has no meaning with --settings, which looks at no mail", f.Name)
		}
	})
	if len(c.paths) > 0 {
		wrong = usagef("--settings looks at no mail: %s is one path too many", c.paths[0])
	}
	if wrong != nil {
		return wrong
	}
	s := c.settings
	s.overwrite, s.asJSON, s.quiet, s.verbose = c.options.Overwrite, c.asJSON, c.quiet, c.verbose
	return runCourierSettings(cmd, s)
}

// runCourierSettings makes a configuration of Courier's settings in a folder.
func runCourierSettings(cmd *cobra.Command, s settingsRun) error {
	target := s.output
	if target != "" {
		abs, err := filepath.Abs(target)
		if err != nil {
			return err
		}
		if target = abs; !settings.UsableDir(target) {
			return usagef("--output %s: a configuration cannot name files in such a folder; choose one without blanks and quotes", s.output)
		}
	}
	courier, err := settings.Read(cmd.Context(), s.dir)
	if err != nil {
		return err
	}
	result := courier.Convert(settings.Options{Dir: target})
	if target != "" {
		err := result.Write(target, s.overwrite)
		if errors.Is(err, settings.ErrExists) {
			return fmt.Errorf("%w: --overwrite replaces it", err)
		}
		if err != nil {
			return err
		}
	}
	if err := s.print(cmd, result); err != nil {
		return err
	}
	if !result.Complete() {
		return errLeftOver
	}
	return nil
}

func (s settingsRun) print(cmd *cobra.Command, r *settings.Result) error {
	if s.asJSON {
		return s.printObjects(cmd, r)
	}
	if s.output == "" {
		if _, err := cmd.OutOrStdout().Write(r.Files[0].Text); err != nil {
			return err
		}
		for _, f := range r.Files[1:] {
			r.Hints = append(r.Hints, f.Name+" is needed as well: it holds a password and is written with --output only")
		}
	}
	if s.quiet {
		return nil
	}
	return r.WriteText(cmd.ErrOrStderr(), s.verbose)
}

// printObjects prints the fate of each setting, what else was found, and the files without those that hold passwords.
func (s settingsRun) printObjects(cmd *cobra.Command, r *settings.Result) error {
	out := newLines(cmd.OutOrStdout())
	for _, setting := range r.Settings {
		out.object(struct {
			Kind string `json:"kind"`
			*settings.Setting
		}{"setting", setting})
	}
	for _, p := range r.Problems {
		out.object(struct {
			Kind string `json:"kind"`
			settings.Problem
		}{"problem", p})
	}
	for _, h := range r.Hints {
		out.object(map[string]string{"kind": "hint", "text": h})
	}
	for _, f := range r.Files {
		object := struct {
			Kind   string `json:"kind"`
			Name   string `json:"name"`
			Secret bool   `json:"secret,omitempty"`
			Text   string `json:"text,omitempty"`
		}{"file", f.Name, f.Secret, string(f.Text)}
		if f.Secret {
			object.Text = ""
		}
		out.object(object)
	}
	out.object(struct {
		Kind       string `json:"kind"`
		Carried    int    `json:"carried"`
		NotNeeded  int    `json:"not_needed"`
		NotCarried int    `json:"not_carried"`
		Problems   int    `json:"problems"`
	}{"totals", r.Count(settings.Carried), r.Count(settings.NotNeeded), r.Count(settings.NotCarried), len(r.Problems)})
	return out.Flush()
}
