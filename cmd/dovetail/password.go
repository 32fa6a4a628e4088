package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// maxPassword bounds what is read as a password.
const maxPassword = 1 << 20

// askPassword reads a password without showing it, or the first line of what is not a terminal.
func askPassword(cmd *cobra.Command) (string, error) {
	in, isFile := cmd.InOrStdin().(*os.File)
	if isFile && term.IsTerminal(int(in.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	if line == "" {
		return "", usagef("no password: give it on standard input")
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// wipe overwrites an argument of this process where the system has it, so that ps and /proc show it no longer. It does
// nothing to other strings. Whoever needs the text clones it first.
func wipe(argument string) {
	for _, a := range os.Args {
		if a != "" && len(a) == len(argument) && unsafe.StringData(a) == unsafe.StringData(argument) {
			clear(unsafe.Slice(unsafe.StringData(a), len(a)))
			return
		}
	}
}

// hide keeps what is in the memory of this process from others: it leaves no core when it dies, and only root may trace it or
// look at its environment (prctl(2), PR_SET_DUMPABLE). Whoever handles passwords, or configurations that have some, calls it
// first. That it cannot be is no reason to stop.
func hide() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// logLine makes one line of a message: what a database or a client has said in it makes no lines of its own.
func logLine(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' || c == 0x7f {
			return '?'
		}
		return c
	}, strings.ReplaceAll(text, "\n", "; "))
}
