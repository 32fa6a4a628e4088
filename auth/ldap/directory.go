package ldap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"dovetail/auth"
)

// Directory keeps the connections to the servers of one directory. Its methods are called by many goroutines at once.
type Directory struct {
	server    Server
	addresses []address
	tls       tlsConfig
	log       *slog.Logger

	connecting, answering time.Duration // at most

	slots chan struct{} // one for each bind under way

	mu      sync.Mutex // guards what follows
	shared  *link      // of all searches; nil: none yet
	attempt *attempt   // to connect it, under way
	down    error      // why no server could be reached
	until   time.Time  // when that is tried again
	pause   time.Duration
	idle    []*link // for binds, the latest last
	closed  bool
}

// attempt is a connection being made, which several wait for.
type attempt struct {
	done chan struct{}
	link *link
	err  error
}

// binders is how many users bind at once; more wait. Each has a connection.
const binders = 16

// After a server could not be reached, requests fail without asking it for minPause, which doubles with each failure
// up to maxPause.
const minPause, maxPause = 100 * time.Millisecond, 4 * time.Second

// maxIdle is how long a connection for binds is kept that nobody needs.
const maxIdle = time.Minute

// Open reads the certificates and connects with the first lookup. The log, which may be nil, gets warnings.
func Open(s Server, log *slog.Logger) (*Directory, error) {
	d := &Directory{server: s, log: log, connecting: connectTimeout, answering: answerTimeout, slots: make(chan struct{}, binders)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if len(s.URIs) == 0 {
		return nil, errors.New("No uris or hosts set")
	}
	for _, uri := range s.URIs {
		a, err := parseURI(uri)
		if err != nil {
			return nil, err
		}
		if a.tls && s.StartTLS {
			return nil, fmt.Errorf("Don't use both tls=yes and ldaps URI (%s): the connection is TLS from its start", uri)
		}
		d.addresses = append(d.addresses, a)
	}
	var err error
	if d.tls, err = newTLSConfig(s.TLS, d.log); err != nil {
		return nil, err
	}
	if s.Password != "" && !s.External {
		d.warnClear("the password of "+s.DN+" travels", d.log)
	}
	return d, nil
}

// Close ends all connections. Lookups after it fail.
func (d *Directory) Close() error {
	d.mu.Lock()
	links := d.idle
	if d.shared != nil {
		links = append(links, d.shared)
	}
	d.idle, d.shared, d.closed = nil, nil, true
	d.mu.Unlock()
	for _, l := range links {
		l.end()
	}
	return nil
}

var errClosed = errors.New("the directory is not asked any more")

// service gives the connection of searches, and makes it if there is none. All who need it wait for one attempt.
func (d *Directory) service(ctx context.Context) (*link, error) {
	d.mu.Lock()
	if l := d.shared; l != nil && !l.IsClosing() {
		d.mu.Unlock()
		return l, nil
	}
	if err := d.refused(); err != nil {
		d.mu.Unlock()
		return nil, err
	}
	if d.attempt == nil {
		d.attempt = &attempt{done: make(chan struct{})}
		go d.connectService(d.attempt)
	}
	a := d.attempt
	d.mu.Unlock()
	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refused says why no connection is to be made now; the caller holds the lock.
func (d *Directory) refused() error {
	switch {
	case d.closed:
		return errClosed
	case d.down != nil && time.Now().Before(d.until):
		return d.down
	}
	return nil
}

// connectService serves all who wait for it, so it does not end with the context of one of them.
func (d *Directory) connectService(a *attempt) {
	a.link, a.err = d.connect(context.Background(), d.bindService)
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.shared
	d.shared, d.attempt = a.link, nil
	d.noted(a.err)
	if d.closed && a.err == nil {
		old, a.link, a.err, d.shared = a.link, nil, errClosed, nil
	}
	if old != nil {
		go old.end()
	}
	close(a.done)
}

// noted remembers whether servers can be reached; the caller holds the lock.
func (d *Directory) noted(err error) {
	if err == nil {
		d.down, d.pause = nil, 0
		return
	}
	d.pause = min(max(2*d.pause, minPause), maxPause)
	d.down, d.until = err, time.Now().Add(d.pause)
}

// drop forgets a connection that is of no use any more.
func (d *Directory) drop(l *link) {
	d.mu.Lock()
	if d.shared == l {
		d.shared = nil
	}
	d.mu.Unlock()
	l.end()
}

// onService runs a request on the connection of searches, and once more on a new one if it breaks. The request goes
// on when the context is over, until its answer comes or the connection ends: there may be others on it.
func onService[T any](ctx context.Context, d *Directory, do func(*link) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	for again := false; ; again = true {
		l, err := d.service(ctx)
		if err != nil {
			return none, err
		}
		answered := make(chan outcome, 1)
		go func() {
			value, err := do(l)
			answered <- outcome{value, err}
		}()
		late := time.NewTimer(d.answering) // the library's own costs a goroutine for each request
		select {
		case a := <-answered:
			late.Stop()
			if !lost(a.err) {
				return a.value, a.err
			}
			d.drop(l)
			if again {
				return none, failure(a.err, "Connection lost to LDAP server: %v", a.err)
			}
		case <-late.C:
			d.drop(l)
			return none, errHanging
		case <-ctx.Done():
			late.Stop()
			return none, ctx.Err()
		}
	}
}

var errHanging = errors.New("LDAP connection appears to be hanging")

// search asks as the service. Beside an error there may be entries: those before a limit was reached.
func (d *Directory) search(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	for again := false; len(request.Controls) == 0; again = true {
		l, err := d.service(ctx)
		if err != nil {
			return nil, err
		}
		if l.mux == nil {
			break
		}
		result, err := l.mux.search(ctx, d.answering, request)
		switch {
		case !lost(err) || err == ctx.Err():
			return result, err
		case err == errHanging:
			d.drop(l)
			return nil, err
		}
		d.drop(l)
		if again {
			return nil, failure(err, "Connection lost to LDAP server: %v", err)
		}
	}
	return onService(ctx, d, func(l *link) (*ldap.SearchResult, error) { return l.Search(request) })
}

// modify changes an entry as the service.
func (d *Directory) modify(ctx context.Context, request *ldap.ModifyRequest) error {
	_, err := onService(ctx, d, func(l *link) (struct{}, error) { return struct{}{}, l.Modify(request) })
	return err
}

// bind tells whether the password is that of the entry.
func (d *Directory) bind(ctx context.Context, dn, password string) error {
	if strings.TrimSpace(dn) == "" || password == "" {
		return auth.ErrMismatch // it would be a bind of nobody, which succeeds
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		l, used, err := d.binder(ctx)
		if err != nil {
			return err
		}
		answer, cancel := context.WithTimeoutCause(ctx, d.answering, errHanging)
		stop := context.AfterFunc(answer, l.end)
		err = l.Bind(dn, password)
		ended := !stop()
		cancel()
		if ended {
			return context.Cause(answer)
		}
		if !lost(err) {
			d.release(l)
			return err
		}
		l.end()
		if !used { // one that had been idle may have been closed by the server
			return failure(err, "Connection lost to LDAP server: %v", err)
		}
	}
}

// binder gives a connection to bind on, and whether it was used before.
func (d *Directory) binder(ctx context.Context) (l *link, used bool, err error) {
	d.mu.Lock()
	for len(d.idle) > 0 {
		l := d.idle[len(d.idle)-1]
		d.idle = d.idle[:len(d.idle)-1]
		if !l.IsClosing() {
			d.mu.Unlock()
			return l, true, nil
		}
		go l.end()
	}
	err = d.refused()
	d.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	l, err = d.connect(ctx, nil)
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noted(err)
	return l, false, err
}

// release keeps a connection for the next bind, and ends those that were not needed for long.
func (d *Directory) release(l *link) {
	l.used = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || l.IsClosing() {
		go l.end()
		return
	}
	d.idle = append(d.idle, l)
	needed := slices.IndexFunc(d.idle, func(l *link) bool { return time.Since(l.used) < maxIdle })
	for _, old := range d.idle[:needed] {
		go old.end()
	}
	d.idle = slices.Delete(d.idle, 0, needed)
}
