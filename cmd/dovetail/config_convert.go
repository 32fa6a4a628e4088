package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/formats/conf"
	confconvert "dovetail/serve/config/convert"
)

func newConfigConvert() *cobra.Command {
	v := &configConvert{}
	cmd := &cobra.Command{
		Use:   "convert --to 2.4|2.3 IN… OUT",
		Short: "Write a configuration for another version of Dovecot",
		Long: `Write a configuration of Dovecot 1.x or 2.x for 2.3 or 2.4, or one of 2.4 for
2.3. IN is a dovecot.conf or the directory that it is in; OUT is a new or empty
directory, in which every file that was read has its counterpart. With several
INs each gets a folder in OUT. OUT can be a file if only one is written, or -
for standard output.

Comments, order and includes stay. External files of sql and ldap become settings
in 2.4 and files again in 2.3. What has no counterpart stays as a comment with
the reason, and defaults that differ are written out. Afterwards the result is
read, converted back and compared with what was read: everything that is lost or
differs is listed.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitNotFound, exitPermission, exitConfig),
		Example: `  dovetail config convert --to 2.4 /etc/dovecot /etc/dovecot-2.4
  dovetail config convert --to 2.4 --dry-run /etc/dovecot/dovecot.conf
  dovetail config convert --to 2.3 old-1.x.conf dovecot.conf`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error { return v.run(cmd, names) },
	}
	f := cmd.Flags()
	f.StringVar(&v.to, "to", "", "the `version` to write for: 2.3 or 2.4 (required)")
	f.StringVar(&v.dialect, "dialect", "", "read it as 1.x, 2.3 or 2.4 instead of finding out")
	f.StringVar(&v.version, "config-version", "2.4.0", "dovecot_config_version of 2.4")
	f.BoolVar(&v.keep, "keep-defaults", false, "take the defaults of the new version: write out none that differ")
	f.BoolVar(&v.overwrite, "overwrite", false, "replace files that are in OUT")
	f.BoolVar(&v.dry, "dry-run", false, "print what would be written instead of writing it; needs no OUT")
	return cmd
}

// configConvert is what the verb is told.
type configConvert struct {
	to, dialect, version string
	keep, overwrite, dry bool
}

func (v *configConvert) run(cmd *cobra.Command, names []string) error {
	to, ok := map[string]conf.Dialect{"2.3": conf.V23, "2.4": conf.V24}[v.to]
	if !ok {
		return usagef("--to %q: 2.3 or 2.4", v.to)
	}
	out := "-"
	if !v.dry || len(names) > 1 {
		out, names = names[len(names)-1], names[:len(names)-1]
	}
	if len(names) == 0 {
		return usagef("IN and OUT are wanted; - as OUT is standard output")
	}
	clean := true
	for _, in := range names {
		dest := out
		if len(names) > 1 && out != "-" {
			dest = filepath.Join(out, strings.TrimSuffix(filepath.Base(filepath.Clean(in)), ".conf"))
		}
		fine, err := v.one(cmd, in, dest, to)
		if err != nil {
			return err
		}
		clean = clean && fine
	}
	if !clean {
		return errLeftOver
	}
	return nil
}

// one converts one configuration and tells whether nothing is lost.
func (v *configConvert) one(cmd *cobra.Command, in, out string, to conf.Dialect) (clean bool, err error) {
	if st, err := os.Stat(in); err == nil && st.IsDir() {
		in = filepath.Join(in, "dovecot.conf")
	}
	o, err := v.options(in, out, to)
	if err != nil {
		return false, err
	}
	r, err := confconvert.Convert(cmd.Context(), in, o)
	switch {
	case errors.Is(err, confconvert.ErrInput):
		fmt.Fprintln(cmd.ErrOrStderr(), strings.Replace(err.Error(), "\n", " ", -1))
		return false, errInvalidConfig
	case err != nil:
		return false, err
	}
	for _, l := range r.Losses {
		fmt.Fprintf(cmd.ErrOrStderr(), "lost: %s\n", l)
	}
	for _, d := range r.Differences {
		fmt.Fprintf(cmd.ErrOrStderr(), "differs: %s\n", d)
	}
	if out == "-" || v.dry {
		return r.Clean(), show(cmd.OutOrStdout(), r.Files)
	}
	if len(r.Files) == 1 && isFileName(out) {
		err = confconvert.WriteFile(out, r.Files[0], v.overwrite)
	} else {
		err = confconvert.WriteTree(out, r.Files, v.overwrite)
	}
	if errors.Is(err, confconvert.ErrExists) {
		return false, usagef("%w; --overwrite replaces it", err)
	}
	return r.Clean(), err
}

// options says how to read, and where external files will be: beside IN if
// nothing is written.
func (v *configConvert) options(in, out string, to conf.Dialect) (confconvert.Options, error) {
	read, err := configOptions(v.dialect, false)
	if err != nil {
		return confconvert.Options{}, err
	}
	dir := out
	switch {
	case out == "-":
		dir = filepath.Dir(in)
	case isFileName(out):
		dir = filepath.Dir(out)
	}
	dir, err = filepath.Abs(dir)
	return confconvert.Options{To: to, Read: read, Out: dir, Version: v.version, KeepDefaults: v.keep}, err
}

// isFileName tells whether OUT is meant as a file.
func isFileName(out string) bool {
	st, err := os.Stat(out)
	return err == nil && !st.IsDir() || err != nil && strings.HasSuffix(out, ".conf")
}

// show prints files, with their names if there are several.
func show(w io.Writer, files []confconvert.File) error {
	for _, f := range files {
		if len(files) > 1 {
			if _, err := fmt.Fprintf(w, "==> %s <==\n", f.Name); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, f.Text); err != nil {
			return err
		}
	}
	return nil
}
