// Package bound starts programs for tests that end with the test binary, even when that is killed or runs out of time.
package bound

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starts has what starts programs: one thread, which stays as long as the test binary does. The system ends a child by the
// signal when the thread that made it is gone, and so nothing is left behind by tests that time out.
var starts = sync.OnceValue(func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	}()
	return work
})

// Start starts a program that gets the signal when this one ends, however it does.
func Start(cmd *exec.Cmd, signal syscall.Signal) (err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = signal
	done := make(chan struct{})
	starts() <- func() {
		defer close(done)
		err = cmd.Start()
	}
	<-done
	return err
}
