package pam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dovetail/auth/pam/wire"
)

// patience is how long a helper may have nothing to do.
const patience = time.Minute

var errClosed = errors.New("pam: closed")

// pool has the helpers.
type pool struct {
	program string
	max     int           // logins of one helper; 0: no limit
	turns   chan struct{} // one for each helper that may be at work
	stop    context.CancelFunc
	stopped context.Context // ended by close

	mu   sync.Mutex // guards idle
	idle []*resting // the one that worked last is the last
}

// resting is a helper with nothing to do, and the clock that runs for it.
type resting struct {
	*helper
	clock *time.Timer
}

func newPool(program string, workers, requests int) *pool {
	p := &pool{program: program, max: requests, turns: make(chan struct{}, workers)}
	p.stopped, p.stop = context.WithCancel(context.Background())
	return p
}

// ask waits for a helper and for its answer, until ctx ends.
func (p *pool) ask(ctx context.Context, q *wire.Question) (*wire.Answer, error) {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("pam: all %d helpers are busy: %w", cap(p.turns), context.Cause(ctx))
	case <-p.stopped.Done():
		return nil, errClosed
	}
	h, fresh, err := p.take()
	if err != nil {
		return nil, fmt.Errorf("pam: %w", err)
	}
	a, err := p.talk(ctx, h, fresh, q)
	if err != nil {
		h.retire()
		if cause := context.Cause(ctx); cause != nil {
			return nil, fmt.Errorf("pam: given up: %w", cause)
		}
		return nil, fmt.Errorf("pam: %w", err)
	}
	return a, nil
}

// talk kills the helper if that is what it takes not to wait for a module any longer.
func (p *pool) talk(ctx context.Context, h *helper, fresh bool, q *wire.Question) (*wire.Answer, error) {
	onClose, onEnd := context.AfterFunc(p.stopped, h.kill), context.AfterFunc(ctx, h.kill)
	a, err := h.greeted(fresh, q)
	alive := onClose()
	alive = onEnd() && alive
	if err != nil {
		return nil, err
	}
	if !alive || p.max > 0 && h.served >= p.max {
		h.retire()
	} else {
		p.give(h)
	}
	return a, nil
}

// take gives an idle helper that lives, or starts one.
func (p *pool) take() (h *helper, fresh bool, err error) {
	p.mu.Lock()
	for len(p.idle) > 0 {
		r := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		r.clock.Stop()
		if !r.dead() {
			p.mu.Unlock()
			return r.helper, false, nil
		}
		r.retire()
	}
	p.mu.Unlock()
	if p.stopped.Err() != nil {
		return nil, false, errClosed
	}
	h, err = start(p.program)
	return h, true, err
}

// give lets a helper rest.
func (p *pool) give(h *helper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped.Err() != nil {
		h.retire()
		return
	}
	r := &resting{helper: h}
	r.clock = time.AfterFunc(patience, func() { p.dismiss(r) })
	p.idle = append(p.idle, r)
}

// dismiss retires a helper that still rests.
func (p *pool) dismiss(r *resting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, r); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		r.retire()
	}
}

func (p *pool) close() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.idle {
		r.clock.Stop()
		r.retire()
	}
	p.idle = nil
}
