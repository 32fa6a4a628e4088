package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheFirstInterruptStopsInOrder(t *testing.T) {
	var stderr strings.Builder
	ctx, stop := interruptible(context.Background(), &stderr)
	if err := unix.Kill(os.Getpid(), unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	stop()
	if !errors.Is(ctx.Err(), context.Canceled) || !strings.Contains(stderr.String(), "once more stops at once") {
		t.Errorf("%v, said %q", ctx.Err(), stderr.String())
	}
}

func TestAStoppedConversionSaysHowToGoOn(t *testing.T) {
	root := newRoot()
	for name, want := range map[string]string{"convert": "goes on where this one stopped", "fetch": ""} {
		cmd, _, err := root.Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		if got := hint(cmd, context.Canceled); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
