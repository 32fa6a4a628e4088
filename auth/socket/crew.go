package socket

import "sync"

// crew are the goroutines that work on a connection's requests. Some stay when they have nothing to do: a new one would
// first have to grow its stack, which takes as long as all the rest of a cheap login.
type crew struct {
	all  sync.WaitGroup
	work chan func()
	rest chan struct{} // has one for each that has nothing to do
}

// maxRest is how many stay. A client that waits for each reply needs one.
const maxRest = 4

func newCrew() *crew { return &crew{work: make(chan func()), rest: make(chan struct{}, maxRest)} }

// do has f run on another goroutine. It does not wait.
func (c *crew) do(f func()) {
	select {
	case c.work <- f:
	default:
		c.all.Go(func() {
			for ; f != nil; f = c.next() {
				f()
			}
		})
	}
}

// next waits for more to do; nil is the end.
func (c *crew) next() func() {
	select {
	case c.rest <- struct{}{}:
	default:
		return nil
	}
	f := <-c.work
	<-c.rest
	return f
}

// wait returns when everything is done. Nothing may be given to do from then on.
func (c *crew) wait() {
	close(c.work)
	c.all.Wait()
}
