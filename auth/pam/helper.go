package pam

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"dovetail/auth/pam/wire"
)

// Locate finds the helper: beside the running program, or in ../libexec/dovetail.
func Locate() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	here := filepath.Dir(self)
	places := []string{filepath.Join(here, wire.Program), filepath.Join(here, "..", "libexec", "dovetail", wire.Program)}
	for _, place := range places {
		if s, err := os.Stat(place); err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0 {
			return place, nil
		}
	}
	return "", fmt.Errorf("pam: there is no program %s\ninstall %s beside %s (make install does), or in %s",
		strings.Join(places, " nor "), wire.Program, self, filepath.Dir(places[1]))
}

// helper is one process of dovetail-pam, for one goroutine at a time.
type helper struct {
	cmd     *exec.Cmd
	in, out *os.File
	served  int
	gone    chan struct{} // closed when the process has ended
	state   error         // how; to be read after gone
	said    last          // on standard error
}

// environment is all that a helper has of it: messages are in English.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}

// start begins a process, with which nothing has been said yet.
func start(program string) (*helper, error) {
	h := &helper{gone: make(chan struct{})}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer theirOut.Close()
	h.in, h.out = in, out
	h.cmd = &exec.Cmd{Path: program, Args: []string{wire.Program}, Env: environment, Dir: "/",
		Stdin: theirIn, Stdout: theirOut, Stderr: &h.said,
		// Signals of a terminal are for dovetail alone.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		// What a module has left running may hold standard error open.
		WaitDelay: time.Second}
	if err := h.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go func() {
		h.state = h.cmd.Wait()
		close(h.gone)
	}()
	return h, nil
}

// greeted is ask, of a fresh helper after its hello.
func (h *helper) greeted(fresh bool, q *wire.Question) (*wire.Answer, error) {
	if fresh {
		if err := wire.ReadHello(h.out); err != nil {
			return nil, h.lost(err)
		}
	}
	return h.ask(q)
}

// ask puts a question and waits for its answer.
func (h *helper) ask(q *wire.Question) (*wire.Answer, error) {
	h.served++
	// Room for all of it: nothing of it is to be left in memory.
	b := make([]byte, 0, len(q.Service)+len(q.User)+len(q.RemoteHost)+len(q.RemoteUser)+len(q.Term)+len(q.Password)+64)
	b, err := q.Append(b)
	defer clear(b)
	if err != nil {
		return nil, err
	}
	if _, err := h.in.Write(b); err != nil {
		return nil, h.lost(err)
	}
	a, err := wire.ReadAnswer(h.out)
	if err != nil {
		return nil, h.lost(err)
	}
	return a, nil
}

// lost says what became of a process that no longer talks as it should, and makes an end of it.
func (h *helper) lost(err error) error {
	h.kill()
	<-h.gone
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.EPIPE) {
		return h.told(err)
	}
	exit, _ := errors.AsType[*exec.ExitError](h.state)
	if exit == nil || exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL { // by this kill or another
		return h.told(errEnded)
	}
	return h.told(fmt.Errorf("%w: %w", errEnded, exit))
}

var errEnded = errors.New("ended without an answer")

func (h *helper) told(err error) error {
	if said := h.said.String(); said != "" {
		return fmt.Errorf("%s: %w: %q", h.cmd.Path, err, said)
	}
	return fmt.Errorf("%s: %w", h.cmd.Path, err)
}

// dead tells whether the process has ended.
func (h *helper) dead() bool {
	select {
	case <-h.gone:
		return true
	default:
		return false
	}
}

// kill ends the process at once; any goroutine may.
func (h *helper) kill() { h.cmd.Process.Kill() }

// retire lets the process end by itself.
func (h *helper) retire() {
	h.in.Close()
	h.out.Close()
}

// last keeps the end of what is written.
type last struct {
	mu   sync.Mutex // guards text
	text []byte
}

const lastMax = 512

func (l *last) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if extra := len(l.text) - lastMax; extra > 0 {
		l.text = append(l.text[:0], l.text[extra:]...)
	}
	return len(b), nil
}

func (l *last) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.text))
}
