package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// stopped is what people read for context.Canceled: only a signal cancels.
const stopped = "stopped by a signal"

// killed is the cause of a context that a signal has ended.
type killed unix.Signal

func (k killed) Error() string { return fmt.Sprintf("Killed with signal %d", k) }

// interruptible gives a context that the first SIGINT or SIGTERM cancels: what is being written is finished or taken
// back. The second one ends the process at once, which is as safe as a crash.
func interruptible(parent context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	done := make(chan struct{})
	go func() {
		for count := 0; ; count++ {
			var why killed
			select {
			case <-done:
				return
			case s := <-signals:
				why = killed(s.(unix.Signal))
			}
			if count > 0 {
				os.Exit(exitFailed)
			}
			fmt.Fprintln(stderr, "\ndovetail: stopping; once more stops at once")
			cancel(why)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
