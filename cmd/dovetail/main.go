// Dovetail moves mail between stores without losing anything a mail client can see.
//
// Each verb is one file of this package: its flags, its help and the call into the packages below, which do the work. The
// help texts are the manual; "dovetail help" lists the verbs and the topics.
//
// What every verb keeps to: the answer goes to standard output and everything else to standard error; nothing is asked;
// exit codes are those of exit.go; a source is opened so that nothing can be written to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"dovetail/auth/checkpassword"

	"github.com/spf13/cobra"
)

// gcPercent lets garbage grow to a part of what is in use before it is collected, not to as much again: what is in use is
// small (some 100 bytes for each message of the mailboxes at work), so collecting it more often costs about a
// hundredth of the time, and many runs side by side on a server of small memory fit.
const gcPercent = 40

func main() {
	debug.SetGCPercent(gcPercent)
	if filepath.Base(os.Args[0]) == checkpassword.Program { // by programs that check passwords, with nothing but an environment
		os.Exit(checkpassword.ThisProcess().Reply())
	}
	os.Exit(run(calledAs(os.Args), os.Stdout, os.Stderr))
}

// run executes one command line and gives the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := interruptible(context.Background(), stderr)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && err != errLeftOver && !errors.Is(err, errInvalidConfig) && !errors.Is(err, errSaid) {
		fmt.Fprintln(stderr, "dovetail:", message(err))
		if next := hint(cmd, err); next != "" {
			fmt.Fprintln(stderr, "hint:", next)
		}
	}
	return exitCode(err)
}

func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return stopped
	}
	return err.Error()
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "dovetail",
		Short: "Move mail between stores without losing anything",
		Long: `Dovetail converts mail between the formats of Dovecot, Courier and others, and
keeps everything a client can see: UIDs, flags, keywords, dates, POP3 UIDLs,
subscriptions and every byte of every message.

A first conversion:

  dovetail convert --dry-run maildir:/home/ann/Maildir sdbox:/srv/mail/ann
  dovetail convert --verify  maildir:/home/ann/Maildir sdbox:/srv/mail/ann

"dovetail help VERB" explains a verb, "dovetail help locations" how stores are
named, "dovetail help formats" what each format can hold, "dovetail help
exit-codes" what the exit codes mean.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("no such verb: %s", args[0])
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newConvert(), newCourier(), newAccounts(), newVerify(), newMailbox(), newFetch(), newDump(), newCheck(), newRepair(), newPurge(), newAltMove(), newConfig(), newPW(), newAuth(), newUser(), newServe(), newStop(), newReload(), newDeliver(), newVersion(),
	)
	root.SetHelpCommand(newHelp(root))
	for _, topic := range topics {
		root.AddCommand(topic.command())
	}
	return root
}

// args makes a mistake in the number of arguments a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return &usageError{fmt.Errorf("%w: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

// newHelp is cobra's help verb with an exit code for what has no help.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB or topic]",
		Short: "Explain a verb or a topic",
		RunE: func(_ *cobra.Command, given []string) error {
			cmd, rest, err := root.Find(given)
			if err != nil || len(rest) > 0 {
				return usagef("no help about %s", strings.Join(given, " "))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}
