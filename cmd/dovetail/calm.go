package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// calm gives memory back to the machine when there was much to do and now there is little: thousands of clients that log
// in and then wait leave more garbage behind than what they hold, and without work nothing would collect it for minutes.
type calm struct {
	last     uint64 // bytes that were ever allocated, at the last look
	released uint64 // and when memory was given back last
}

const (
	calmEvery  = 2 * time.Second
	calmBelow  = 256 << 10 // bytes allocated between two looks are little
	worthwhile = 4 << 20   // and since memory was given back, are much
)

// look tells whether now is the time.
func (c *calm) look(allocated uint64) bool {
	quiet := allocated-c.last < calmBelow
	c.last = allocated
	if !quiet || allocated-c.released < worthwhile {
		return false
	}
	c.released = allocated
	return true
}

// giveBack looks now and then until the context ends.
func (c *calm) giveBack(ctx context.Context) {
	now := time.NewTicker(calmEvery)
	defer now.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-now.C:
		}
		metrics.Read(sample)
		if c.look(sample[0].Value.Uint64()) {
			runtime.GC() // a stack that was large loses half of it each time
			debug.FreeOSMemory()
		}
	}
}
