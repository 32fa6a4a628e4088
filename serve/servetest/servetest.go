// Package servetest runs a server of one protocol within a test.
package servetest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"dovetail/auth"
	"dovetail/serve"
	"dovetail/serve/authconf"
	"dovetail/serve/config"
)

// Log holds what was logged. It may be used by several goroutines.
type Log struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed with the next line
}

func (b *Log) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
	return b.b.Write(p)
}

// Await waits until what was logged is enough, or until it is clear that it never will be, after 20 s, and gives it.
func (b *Log) Await(enough func(text string) bool) string {
	for end := time.After(20 * time.Second); ; {
		b.mu.Lock()
		text := b.b.String()
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		b.mu.Unlock()
		if enough(text) {
			return text
		}
		select {
		case <-more:
		case <-end:
			return text
		}
	}
}

func (b *Log) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Prepared is what a server is made of.
type Prepared struct {
	Config *config.Config
	Auth   *auth.Service
	Logger *slog.Logger
	Log    *Log // of Logger, with everything

	t testing.TB
}

// Prepare reads a configuration. The auth service is closed when the test ends.
func Prepare(t testing.TB, path string) *Prepared {
	t.Helper()
	p := &Prepared{Log: &Log{}, t: t}
	live, problems := config.Start(t.Context(), path, config.Options{Expand: true})
	if live == nil {
		t.Fatal(problems.Fatal())
	}
	p.Config = live.Config()
	p.Logger = slog.New(slog.NewTextHandler(p.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if p.Auth, err = authconf.Build(t.Context(), p.Config, nil, p.Logger); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Auth.Close() })
	return p
}

// Server makes one that is still to be run.
func (p *Prepared) Server(name string, protocol serve.Protocol, l serve.Listener) *serve.Server {
	p.t.Helper()
	l.Protocol = name
	s, err := serve.New(serve.Options{Config: p.Config, Auth: p.Auth, Log: p.Logger, Protocols: map[string]serve.Protocol{name: protocol},
		Listeners: []serve.Listener{l}})
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// Listen opens a port of 127.0.0.1.
func Listen(t testing.TB) serve.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve.Listener{Listener: l}
}

// Run runs a server until the test ends; then after is called.
func Run(t testing.TB, s *serve.Server, after func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, after()); err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
}
