// Command dovetail-pam asks PAM for dovetail, which starts it: dovetail is one file without a C library, and PAM is
// modules of C. It is no program for users. What is said on its standard input and output is in package auth/pam/wire.
//
// It is found beside dovetail, or in ../libexec/dovetail. It needs no C compiler either; libpam.so.0 is loaded when it
// starts. It wants to run as root where a module does, as pam_unix does for /etc/shadow.
//
// Passwords come by the pipe alone, are cleared when PAM has answered, and the process can neither be traced by other
// processes of its user nor leave a core. When the process that started it goes away, so does this one, also while a
// module waits.
//
// Exit codes: 0 input ended, 1 libpam is missing or the input is none, 64 started by hand.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"dovetail/auth/pam/wire"

	"golang.org/x/sys/unix"
)

const usage = 64

func main() {
	if in, err := os.Stdin.Stat(); len(os.Args) > 1 || err != nil || in.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintln(os.Stderr, wire.Program+": dovetail starts this program when it has a passdb pam; there is nothing to start by hand")
		os.Exit(usage)
	}
	in, out, err := aside()
	if err == nil {
		err = serve(in, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, wire.Program+": "+err.Error())
		os.Exit(1)
	}
}

// aside moves what dovetail speaks on out of the way of modules: one that prints something writes to standard error, and one
// that reads finds nothing. Descriptors this high also survive a module that closes those which it may have got by
// inheritance.
func aside() (in, out *os.File, err error) {
	const high = 200
	for fd, to := range []**os.File{&in, &out} {
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, high)
		if err != nil {
			return nil, nil, os.NewSyscallError("fcntl", err)
		}
		*to = os.NewFile(uintptr(moved), []string{"standard input", "standard output"}[fd])
	}
	nothing, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("open "+os.DevNull, err)
	}
	if err := errors.Join(unix.Dup3(nothing, 0, 0), unix.Dup3(2, 1, 0), unix.Close(nothing)); err != nil {
		return nil, nil, os.NewSyscallError("dup", err)
	}
	return in, out, nil
}

// serve answers questions until they end.
func serve(in, out *os.File) error {
	runtime.LockOSThread() // modules may keep things by thread
	if err := hide(); err != nil {
		return err
	}
	pam, err := load()
	if _, hello := out.Write(wire.Hello(err)); err != nil || hello != nil {
		return errors.Join(err, hello)
	}
	go watch(int32(in.Fd()))
	for {
		q, err := wire.ReadQuestion(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a := pam.login(q)
		clear(q.Password)
		b, err := a.Append(nil)
		if err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
}

// watch ends the process when nobody can write to the input any more, also while a module waits. It reads nothing: a question
// that went from one thread to another would cost more than most logins.
func watch(input int32) {
	for {
		hung := []unix.PollFd{{Fd: input}} // POLLHUP and POLLERR need not be asked for
		if n, err := unix.Poll(hung, -1); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			os.Exit(0)
		}
	}
}

// hide keeps passwords in this memory: no core, no tracing by the same user, no file that all can read.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return os.NewSyscallError("setrlimit", err)
	}
	unix.Umask(0o077)
	return os.Chdir("/")
}
