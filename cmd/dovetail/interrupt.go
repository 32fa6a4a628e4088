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

// interruptible gives a context that the first SIGINT or SIGTERM cancels: what is being written is finished or taken
// back. The second one ends the process at once, which is as safe as a crash.
func interruptible(parent context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	done := make(chan struct{})
	go func() {
		for count := 0; ; count++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			if count > 0 {
				os.Exit(exitFailed)
			}
			fmt.Fprintln(stderr, "\ndovetail: stopping; once more stops at once")
			cancel()
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}
