package main

import "testing"

func TestMemoryIsGivenBackWhenItIsCalm(t *testing.T) {
	var c calm
	for i, step := range []struct {
		allocated uint64
		back      bool
		why       string
	}{
		{10 << 20, false, "there is much to do"},
		{20 << 20, false, "there is much to do"},
		{20<<20 + 1000, true, "it is calm"},
		{20<<20 + 2000, false, "it was given back"},
		{22 << 20, false, "something happened"},
		{22<<20 + 1000, false, "that was not much"},
		{30 << 20, false, "there is much to do"},
		{30 << 20, true, "it is calm again"},
	} {
		if got := c.look(step.allocated); got != step.back {
			t.Errorf("step %d, %s: %v", i, step.why, got)
		}
	}
}
