package config

import (
	"context"
	"sync"
	"sync/atomic"
)

// Live is the configuration that a running program obeys. Whoever needs several
// settings that belong together takes the current Config once: a reload puts
// another one in its place and changes none.
type Live struct {
	path    string
	o       Options
	current atomic.Pointer[Config]
	reload  sync.Mutex // one reload at a time
}

// Start loads the first configuration. It gives no Live if there are problems
// that a program must not start with.
func Start(ctx context.Context, path string, o Options) (*Live, *Problems) {
	o.Expand = true
	l := &Live{path: path, o: o}
	problems := l.Reload(ctx)
	if l.current.Load() == nil {
		return nil, problems
	}
	return l, problems
}

// Config gives the current configuration.
func (l *Live) Config() *Config { return l.current.Load() }

// Reload reads the files again. A configuration that a program must not start
// with, or whose reading was interrupted, is not taken: the old one stays.
func (l *Live) Reload(ctx context.Context) *Problems {
	problems, _ := l.Replace(ctx, func(*Config) error { return nil })
	return problems
}

// Replace is Reload for a program that has to be able to use what it reads: the
// new configuration is taken if use, which is asked when everything else is
// well, gives no error.
func (l *Live) Replace(ctx context.Context, use func(*Config) error) (*Problems, error) {
	l.reload.Lock()
	defer l.reload.Unlock()
	c, problems := Load(ctx, l.path, l.o)
	if c == nil || !problems.OK() || ctx.Err() != nil {
		return problems, ctx.Err()
	}
	err := use(c)
	if err == nil {
		l.current.Store(c)
	}
	return problems, err
}
