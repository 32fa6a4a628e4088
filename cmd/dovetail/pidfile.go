package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// pidFile holds the process id of the server that runs, as Dovecot's does: one line in base_dir.
const pidFile = "master.pid"

// runningError: a server of the same base_dir is there already.
type runningError struct {
	pid  int
	path string
}

func (e *runningError) Error() string {
	return fmt.Sprintf("Dovecot is already running with PID %d (read from %s)", e.pid, e.path)
}

// writePID notes that this process is the server of a base_dir, until the function is called. Another one that runs is a
// *runningError; what one left behind that was killed is replaced.
func writePID(baseDir string) (remove func(), err error) {
	path := filepath.Join(baseDir, pidFile)
	if pid, err := readPID(path); err == nil {
		return nil, &runningError{pid, path}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	own := strconv.Itoa(os.Getpid()) + "\n"
	if err := os.WriteFile(path+".new", []byte(own), 0o644); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	return func() {
		if text, err := os.ReadFile(path); err == nil && string(text) == own { // else it is the next one's
			os.Remove(path)
		}
	}, nil
}

// readPID gives the process that a file names, if it runs and is such a server: in a container, or after a crash, the
// number may long be another one's. fs.ErrNotExist if there is none.
func readPID(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	gone := &fs.PathError{Op: "find server", Path: path, Err: fs.ErrNotExist}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 || pid == os.Getpid() || unix.Kill(pid, 0) == unix.ESRCH {
		return 0, gone
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err == nil && strings.TrimSpace(string(name)) != "dovetail" && strings.TrimSpace(string(name)) != "dovecot" {
		return 0, gone
	}
	return pid, nil
}

// newSignal makes a verb that tells the running server something.
func newSignal(verb, short, long string, signal unix.Signal) *cobra.Command {
	v := &signalVerb{signal: signal}
	cmd := &cobra.Command{
		Use:   verb,
		Short: short,
		Long: long + `

The server is the one whose process id is in base_dir/` + pidFile + `, be it ours or
Dovecot's.
` + exitHelp(exitDone, exitFailed, exitUsage, exitPermission, exitConfig),
		Example: "  dovetail " + verb + " -c /etc/dovecot/dovecot.conf",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return v.run(cmd.Context(), cmd) },
	}
	configFlags(cmd, &v.config, &v.dialect)
	return cmd
}

func newStop() *cobra.Command {
	return newSignal("stop", "Stop the running server", "Tell the running server to end: connections are told, and closed.", unix.SIGTERM)
}

func newReload() *cobra.Command {
	return newSignal("reload", "Have the running server read its configuration again",
		"Tell the running server to read its configuration, certificates and databases of users\nagain. What is connected stays.", unix.SIGHUP)
}

type signalVerb struct {
	config, dialect string
	signal          unix.Signal
}

func (v *signalVerb) run(ctx context.Context, cmd *cobra.Command) error {
	c, problems, err := loadConfig(ctx, v.config, v.dialect, true)
	if err != nil {
		return err
	}
	if p := problems.Fatal(); p != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", p)
		return errInvalidConfig
	}
	master, err := options.Read[options.Master](c.For(config.Filter{}))
	if err != nil {
		return err
	}
	path := filepath.Join(master.BaseDir, pidFile)
	pid, err := readPID(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Dovecot is not running (read from %s)", path)
	}
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, v.signal); err != nil {
		return &os.SyscallError{Syscall: fmt.Sprintf("kill(%d)", pid), Err: err}
	}
	return nil
}
