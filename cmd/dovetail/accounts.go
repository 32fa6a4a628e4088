package main

import (
	"errors"
	"fmt"
	"io"
	"os/user"

	"github.com/spf13/cobra"

	"dovetail/auth/cdb"
	"dovetail/convert/accounts"
	"dovetail/formats"
	"dovetail/formats/disk"
)

func newAccounts() *cobra.Command {
	var a accountsRun
	cmd := &cobra.Command{
		Use:   "accounts SRC DST",
		Short: "Carry mail accounts between vpopmail, Courier and Dovecot",
		Long: `Make the list of accounts DST say what SRC says: names, passwords, owners, folders,
quotas, who may not use IMAP, POP3, sending or get mail, and names of domains.
Hashes of passwords go over as they are, with the prefix Dovecot needs. Look first
with --dry-run, which prints what a real run would say and writes nothing.

Lists are named so; the keys behind further colons may be left out:

  vpopmail:HOME:assign=FILE          all domains of a vpopmail, from HOME/domains and
                                     qmail's users/cdb and users/assign; or the folder
                                     of one domain as HOME
  vpopmail-mysql:FILE:assign=FILE    its MySQL tables, both layouts; FILE is
                                     vpopmail.mysql, "server|port|user|password|database";
                                     for a new database, tables=one or tables=domain
  passwd-file:FILE:scheme=NAME       Dovecot's; NAME is the scheme of passwords without one
  userdb:PATH                        Courier's, a file or a folder (as a source)
  sql:FILE:schema=NAME               an SQL script (as a target): dovecot (the default),
                                     vpopmail or vpopmail-tables

Beside a passwd-file FILE come FILE.deny-imap, -pop3, -smtp, -submission and -lmtp with
the names of those who may not, FILE.domains with other names of domains, and
FILE.conf, the part of dovecot.conf that uses them all; without that part the lists
keep nobody out. Beside a script FILE come FILE.conf and, for the dovecot schema and
for vpopmail in one table, the queries in FILE.conf.ext.

Where SRC has a password in clear text that is what Dovecot gets, as from its former
vpopmail driver; with --prefer-hash it gets the hash, and challenges such as CRAM-MD5
and APOP no longer work. What Dovecot has no place for is kept in the passwd-file, so
that going back to vpopmail gives the same list again. A target that has accounts
which SRC has not is refused without --overwrite. A list that is replaced is kept
beside as FILE.old, and in vpopmail as dovetail-old-vpasswd.

As root, new lists belong to the user dovecot, who must be able to read them, if there
is one, unless --owner says otherwise. No password or hash is ever printed.
` + exitHelp(exitDone, exitFailed, exitLeftOver, exitUsage, exitData, exitNotFound, exitTryAgain, exitPermission),
		Example: `  dovetail accounts --dry-run vpopmail:/home/vpopmail passwd-file:/etc/dovecot/users
  dovetail accounts --prefer-hash vpopmail:/home/vpopmail passwd-file:/etc/dovecot/users
  dovetail accounts --schemes vpopmail-mysql:/home/vpopmail/etc/vpopmail.mysql
  dovetail accounts --root /mnt/old vpopmail:/home/vpopmail sql:accounts.sql
  dovetail accounts passwd-file:/etc/dovecot/users vpopmail:/home/vpopmail`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error { return a.run(cmd, given) },
	}
	f := cmd.Flags()
	f.BoolVar(&a.dryRun, "dry-run", false, "print what would be done and change nothing")
	f.BoolVar(&a.schemes, "schemes", false, "only say which schemes the passwords of SRC have")
	f.BoolVar(&a.preferHash, "prefer-hash", false, "give Dovecot the hash where SRC also has the password in clear text")
	f.BoolVar(&a.overwrite, "overwrite", false, "replace a target even if it has accounts that SRC has not")
	f.StringVar(&a.root, "root", "", "the site of vpopmail or Courier lies unpacked below this `folder`: its paths begin there")
	f.StringVar(&a.config, "config", "", "write the configuration for Dovecot to this `file`")
	f.StringVar(&a.owner, "owner", "", "as root: new lists belong to this `user[:group]`")
	f.BoolVar(&a.asJSON, "json", false, "print the report as one JSON object a line")
	f.StringVar(&a.report, "report", "", "write the whole report as JSON to this `file`")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print no report, only errors")
	return cmd
}

type accountsRun struct {
	dryRun, schemes, preferHash, overwrite bool
	asJSON, quiet                          bool
	root, config, owner, report            string
}

func (a *accountsRun) run(cmd *cobra.Command, given []string) error {
	if len(given) != 2 && !a.schemes {
		return usagef("SRC and DST are needed: %s", cmd.UseLine())
	}
	if a.schemes && len(given) != 1 {
		return usagef("--schemes writes nothing: only SRC is needed")
	}
	src, err := accounts.ParsePlace(given[0], a.root)
	if err != nil {
		return &usageError{err}
	}
	if a.schemes {
		list, err := accounts.Read(cmd.Context(), src)
		if err != nil {
			return placeError(err)
		}
		return a.finish(cmd.OutOrStdout(), accounts.NewReport(src.String(), list))
	}
	return a.convert(cmd, src, given[1])
}

func (a *accountsRun) convert(cmd *cobra.Command, src accounts.Place, target string) error {
	dst, err := accounts.ParsePlace(target, a.root)
	if err != nil {
		return &usageError{err}
	}
	own, err := a.fileSystem()
	if err != nil {
		return err
	}
	list, err := accounts.Read(cmd.Context(), src)
	if err != nil {
		return placeError(err)
	}
	options := accounts.Options{PreferHash: a.preferHash, Overwrite: a.overwrite, Config: a.config, FS: own}
	plan, err := accounts.Prepare(cmd.Context(), list, src, dst, options)
	if err != nil {
		return placeError(err)
	}
	plan.Report.DryRun = a.dryRun
	if a.dryRun && !a.quiet && !a.asJSON {
		fmt.Fprintln(cmd.OutOrStdout(), "dry run, nothing is written; a real run would do this:")
	}
	if !a.dryRun {
		if err := plan.Apply(cmd.Context()); err != nil {
			return err
		}
	}
	return a.finish(cmd.OutOrStdout(), plan.Report)
}

// fileSystem says who new files belong to: Dovecot reads passwords as the user dovecot.
func (a *accountsRun) fileSystem() (*disk.FS, error) {
	own, err := parseOwner(a.owner)
	if err != nil || own != nil {
		return own.fileSystem(), err
	}
	if root, err := user.Current(); err == nil && root.Uid == "0" {
		if found, err := user.Lookup("dovecot"); err == nil {
			own, err = lookupUser(found.Username)
			return own.fileSystem(), err
		}
	}
	return &disk.FS{}, nil
}

// placeError makes a list of a wrong kind, and one whose accounts are in danger, mistakes in the command line.
func placeError(err error) error {
	if errors.Is(err, accounts.ErrPlace) || errors.Is(err, accounts.ErrOthers) {
		return &usageError{err}
	}
	if errors.Is(err, cdb.ErrCorrupt) {
		return fmt.Errorf("%w: %w", formats.ErrCorrupt, err)
	}
	return err
}

func (a *accountsRun) finish(w io.Writer, r *accounts.Report) error {
	err := a.print(w, r)
	if a.report != "" {
		err = also(err, writeReport(a.report, r))
	}
	if err == nil && r.LeftOver() {
		err = errLeftOver
	}
	return err
}

func (a *accountsRun) print(w io.Writer, r *accounts.Report) error {
	switch {
	case a.asJSON:
		return printAccounts(w, r)
	case a.quiet:
		return nil
	}
	return r.WriteText(w)
}

// printAccounts prints the parts of a report one a line. Each object has one member more than in the report: kind of
// object, which is called "object" because a remark has a kind of its own.
func printAccounts(w io.Writer, r *accounts.Report) error {
	out := newLines(w)
	for _, m := range r.Remarks {
		out.object(struct {
			Object string `json:"object"`
			accounts.Remark
		}{"remark", m})
	}
	for _, c := range r.Stored {
		out.object(struct {
			Object string `json:"object"`
			accounts.SchemeCount
		}{"stored", c})
	}
	for _, c := range r.Written {
		out.object(struct {
			Object string `json:"object"`
			accounts.SchemeCount
		}{"written", c})
	}
	for _, f := range r.Files {
		out.object(struct {
			Object string `json:"object"`
			accounts.FileReport
		}{"file", f})
	}
	out.object(struct {
		Object string `json:"object"`
		DryRun bool   `json:"dry_run,omitempty"`
		Source string `json:"source"`
		Target string `json:"target,omitempty"`
		Clear  int    `json:"clear_text"`
		accounts.Totals
	}{"totals", r.DryRun, r.Source, r.Target, r.Clear, r.Totals})
	return out.Flush()
}
