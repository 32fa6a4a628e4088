package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dovetail/formats"
	"dovetail/formats/disk"
)

// The exit codes: 2 is doveadm sync's "changes remain", those from 64 are sysexits(3), which MTAs and supervisors know.
const (
	exitDone       = 0
	exitFailed     = 1
	exitLeftOver   = 2
	exitUsage      = 64
	exitData       = 65
	exitNoUser     = 67
	exitNotFound   = 68
	exitTryAgain   = 75
	exitPermission = 77
	exitConfig     = 78
	exitDoveconf   = 89 // what doveconf has for all its errors
)

// exitHelp is the last part of a verb's help: the codes it ends with, in the words that all verbs share.
func exitHelp(codes ...int) string {
	words := map[int]string{
		exitDone:       "done",
		exitFailed:     "failed, or stopped by a signal",
		exitLeftOver:   "done, but something was left over or differs; each is listed",
		exitUsage:      "the command line is wrong",
		exitData:       "the data is damaged",
		exitNoUser:     "no such user",
		exitNotFound:   "no such store, mailbox or file",
		exitTryAgain:   "locked by another program, a service does not answer, or the disk is full: try again",
		exitPermission: "permission denied, or a wrong password",
		exitConfig:     "the configuration is wrong",
	}
	var b strings.Builder
	b.WriteString("\nExit codes:\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "  %2d  %s\n", c, words[c])
	}
	return strings.TrimRight(b.String(), "\n")
}

// errLeftOver ends a verb with exit code 2 and without a further message: what was left over is listed already.
var errLeftOver = errors.New("something was left over")

// errInvalidConfig ends a verb with exit code 78 and without a further message: what is wrong was printed.
var errInvalidConfig = errors.New("the configuration is wrong")

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// also adds a second error to one; what was left over does not matter beside a failure.
func also(err, more error) error {
	switch {
	case more == nil || more == errLeftOver && err != nil:
		return err
	case err == nil || err == errLeftOver:
		return more
	}
	return errors.Join(err, more)
}

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitCode is the one place that turns errors into exit codes.
func exitCode(err error) int {
	usage, is := errors.AsType[*usageError](err)
	if status, ok := errors.AsType[*statusError](err); ok {
		return status.status
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInvalidConfig):
		return exitConfig
	case err == errLeftOver:
		return exitLeftOver
	case is && usage != nil:
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitFailed
	case errors.Is(err, fs.ErrPermission):
		return exitPermission
	case errors.Is(err, disk.ErrLocked), full(err):
		return exitTryAgain
	case errors.Is(err, formats.ErrNoMailbox), errors.Is(err, formats.ErrNoMessage), errors.Is(err, fs.ErrNotExist):
		return exitNotFound
	case errors.Is(err, formats.ErrCorrupt):
		return exitData
	}
	return exitFailed
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// hint is the next step for whoever met err, "" when there is none worth saying.
func hint(cmd *cobra.Command, err error) string {
	switch {
	case errors.Is(err, context.Canceled) && cmd.Name() != "convert" && cmd.Name() != "courier":
		return ""
	case errors.Is(err, context.Canceled):
		return "run the same command again: it goes on where this one stopped"
	case full(err):
		return "make room and run the same command again: it goes on where this one stopped"
	}
	if _, is := errors.AsType[*courierRunningError](err); is {
		return `stop it: "dovetail help courier" has the order; --ignore-running converts all the same, and again later`
	}
	if _, is := errors.AsType[*unreachableError](err); is {
		return `start the service ("dovetail auth serve", or Dovecot), or name its socket with -a`
	}
	switch exitCode(err) {
	case exitUsage:
		return fmt.Sprintf("see %q", helpOf(cmd))
	case exitPermission:
		return "run it as the owner of the mail or as root"
	case exitTryAgain:
		return "wait until the other program is done and run the same command again"
	case exitNotFound:
		if errors.Is(err, formats.ErrNoMailbox) {
			return `"dovetail mailbox list --location LOC" shows the mailboxes`
		}
		if cmd.Name() == "dump" || cmd.Name() == "courier" {
			return ""
		}
		if cmd.Name() == "accounts" {
			return `"dovetail help accounts" shows how lists of accounts are named`
		}
		return `"dovetail help locations" shows how stores are named`
	case exitData:
		if cmd.Name() == "accounts" {
			return ""
		}
		return `"dovetail check LOC" lists all damage of a store`
	}
	return ""
}

// helpOf is the command that explains cmd: "dovetail help mailbox status".
func helpOf(cmd *cobra.Command) string {
	path := strings.Fields(cmd.CommandPath())
	return strings.Join(append([]string{path[0], "help"}, path[1:]...), " ")
}
