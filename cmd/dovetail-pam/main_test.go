package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"dovetail/auth/authtest"
	"dovetail/auth/pam/wire"
)

// needle is a password that nothing else looks like.
const needle = "Xyzzy-4711-swordfish-Plugh"

// process is a helper that the test speaks with.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func begin(t *testing.T, program string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program)}
	var err error
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.out, err = p.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	if err := wire.ReadHello(p.out); err != nil {
		t.Skip(err) // no libpam
	}
	return p
}

func (p *process) ask(t *testing.T, service string) {
	t.Helper()
	b, err := (&wire.Question{Service: service, User: "ann", Password: []byte(needle)}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(b); err != nil {
		t.Fatal(err)
	}
}

// waiting makes a service whose module waits, and gives the pipe that it writes a line to before.
func waiting(t *testing.T, m *authtest.Machine) *os.File {
	t.Helper()
	if !m.Mounted() {
		t.Skip("the module that waits needs programs, which are there only where mounts can be private (CAP_SYS_ADMIN)")
	}
	fifo, hold := filepath.Join(m.Root, "begun"), filepath.Join(m.Root, "hold")
	for _, path := range []string{fifo, hold} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wait := m.Script("wait", "#!/bin/sh\necho begun >"+fifo+"\nread end <"+hold+"\n")
	m.Etc("pam.d/wait", "auth required pam_exec.so quiet expose_authtok "+wait+"\naccount required pam_permit.so\n")
	begun, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(hold, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		begun.Close()
		held.WriteString("end\n") // for a module that outlives its helper
		held.Close()
	})
	return begun
}

// A helper whose dovetail has gone ends, whatever its modules do.
func TestTheHelperEndsWithItsInput(t *testing.T) {
	m := machine(t)
	begun := waiting(t, m)
	p := begin(t, m.Program(self(t)))
	p.ask(t, "wait")
	begun.Read(make([]byte, 1))
	p.in.Close()
	if err := p.Wait(); err != nil {
		t.Errorf("ended by %v", err)
	}
}

// A password is in no argument, no environment and no core; and not in memory once PAM has answered.
func TestNoTraceOfPasswords(t *testing.T) {
	m := machine(t)
	begun := waiting(t, m)
	p := begin(t, m.Program(self(t)))
	proc := fmt.Sprintf("/proc/%d/", p.Process.Pid)
	p.ask(t, "wait")
	begun.Read(make([]byte, 1))
	for _, name := range []string{"cmdline", "environ", "limits"} {
		text, err := os.ReadFile(proc + name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(needle)) {
			t.Errorf("the password is in %s", name)
		}
		if name == "limits" && !regexp.MustCompile(`Max core file size +0 +0 `).Match(text) {
			t.Errorf("cores are written:\n%s", text)
		}
	}
	if find(t, p.Process.Pid, needle[4:]) == "" {
		t.Error("a password that is in use is not found, so this test finds nothing")
	}
	q := begin(t, m.Program(self(t)))
	for _, service := range []string{"unix", "permit", "deny", "unix"} {
		q.ask(t, service)
		if _, err := wire.ReadAnswer(q.out); err != nil {
			t.Fatal(err)
		}
		if at := find(t, q.Process.Pid, needle[4:]); at != "" {
			t.Errorf("after a login by %s the password is in memory:\n%s", service, at)
		}
	}
}

// find looks for a text in the memory of a process, and gives the mapping that has it.
func find(t *testing.T, pid int, text string) string {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip(err) // not even for root
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var start, end uint64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &mode); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(mode, "rw") || strings.Contains(line, "[v") {
			continue
		}
		b := make([]byte, end-start)
		if n, err := mem.ReadAt(b, int64(start)); err == nil && bytes.Contains(b[:n], []byte(text)) {
			return line
		}
	}
	return ""
}

func TestStartedByHand(t *testing.T) {
	cmd := exec.Command(self(t), "--help")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != usage || !strings.Contains(string(out), "nothing to start by hand") {
		t.Errorf("%v: %s", cmd.ProcessState, out)
	}
}

// A module that prints, or reads, does so beside what is spoken with dovetail.
func TestModulesHaveDescriptorsOfTheirOwn(t *testing.T) {
	p := begin(t, self(t))
	var to [3]string
	for fd := range to {
		var err error
		if to[fd], err = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.Process.Pid, fd)); err != nil {
			t.Skip(err) // root alone may look
		}
	}
	if to[0] != os.DevNull || to[1] != to[2] {
		t.Errorf("modules have %q", to)
	}
}
