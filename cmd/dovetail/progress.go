package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	gosync "sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"dovetail/convert"
)

// progress shows how far a run is: a bar on a terminal, a line now and then with --verbose, else nothing.
type progress struct {
	count convert.Progress
	log   *slog.Logger

	stop    chan struct{}
	stopped gosync.WaitGroup
}

// begin starts showing progress until end. what is a word for it: "converting".
func (o *output) begin(cmd *cobra.Command, what string) *progress {
	p := &progress{log: o.logger(cmd.ErrOrStderr()), stop: make(chan struct{})}
	show := p.shower(cmd.ErrOrStderr(), what, o)
	if show == nil {
		return p
	}
	p.stopped.Go(func() {
		ticker := time.NewTicker(show.every)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				show.last()
				return
			case <-ticker.C:
				show.now()
			}
		}
	})
	return p
}

// end clears what is shown; nothing is printed by it afterwards.
func (p *progress) end() {
	close(p.stop)
	p.stopped.Wait()
}

// shower is one way of showing progress.
type shower struct {
	every     time.Duration
	now, last func()
}

func (p *progress) shower(w io.Writer, what string, o *output) *shower {
	f, isFile := w.(*os.File)
	switch {
	case o.quiet:
		return nil
	case o.endless && (o.verbose || isFile && term.IsTerminal(int(f.Fd()))):
		return p.counter(w, what, o.verbose)
	case o.endless:
		return nil
	case isFile && term.IsTerminal(int(f.Fd())) && !o.verbose:
		return p.bar(w, what)
	case o.verbose:
		line := func() {
			fmt.Fprintf(w, "%s %s: %d of %d messages, %d MB\n", what, p.count.Mailbox(),
				p.count.Messages.Load(), p.count.MessagesTotal.Load(), p.count.Bytes.Load()/1e6)
		}
		return &shower{every: 5 * time.Second, now: line, last: func() {}}
	}
	return nil
}

// counter shows a run of which nobody knows how much there is to do: a bar would show a part of nothing.
func (p *progress) counter(w io.Writer, what string, verbose bool) *shower {
	begun := time.Now()
	line := func() string {
		users, passed := p.count.Mailboxes.Load(), time.Since(begun)
		return fmt.Sprintf("%s: %d users, %d messages, %.0f users/s, %s", what, users, p.count.Messages.Load(),
			float64(users)/max(passed.Seconds(), 0.1), passed.Round(time.Second))
	}
	if verbose {
		return &shower{every: 5 * time.Second, now: func() { fmt.Fprintln(w, line()) }, last: func() {}}
	}
	return &shower{
		every: 200 * time.Millisecond,
		now:   func() { fmt.Fprintf(w, "\r%s ", line()) },
		last:  func() { fmt.Fprintf(w, "\r%s \n", line()) },
	}
}

func (p *progress) bar(w io.Writer, what string) *shower {
	total := func() int64 {
		if found := p.count.Found.Load(); found > 0 { // of many users
			return found
		}
		return p.count.MessagesTotal.Load()
	}
	bar := progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetItsString("messages"),
		progressbar.OptionShowIts(),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(24),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }),
	)
	now := func() {
		if n := total(); n > 0 && n != bar.GetMax64() {
			bar.ChangeMax64(n)
		}
		// The bar ends itself at its maximum, but the total may still grow.
		bar.Set64(min(p.count.Messages.Load(), max(bar.GetMax64()-1, 0)))
	}
	return &shower{every: 100 * time.Millisecond, now: now, last: func() {
		now()
		if total := bar.GetMax64(); total > 0 && p.count.Messages.Load() >= total {
			bar.Set64(total)
		} else {
			fmt.Fprintln(w) // stopped in the middle: the line stays as it is
		}
	}}
}
