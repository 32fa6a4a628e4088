package sql

import (
	"context"
	dbsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one server with a way to it.
type Server struct {
	Host      string // for the log; "" of a file
	Database  string // likewise
	Connector driver.Connector
}

// PoolOptions bound a pool.
type PoolOptions struct {
	Connections int // to each server; 0: 30, which is auth_worker_max_count
	Log         *slog.Logger
	// Pauses are how long a server is left alone that could not be reached; the last one counts for ever. nil: 1, 5
	// and 25 seconds.
	Pauses []time.Duration
	Now    func() time.Time // nil: the clock
}

// Pool has the connections to servers that all have the same. It is used by many goroutines.
type Pool struct {
	dialect *Dialect
	servers []*server
	next    atomic.Uint32 // which server is asked first
}

const (
	defaultConnections = 30
	// idleTime is how long a connection is kept for the next lookup, as Dovecot's workers are.
	idleTime = time.Minute
	// queryTime bounds a lookup, waiting for a connection included (sql-api-private.h, SQL_QUERY_TIMEOUT_SECS).
	queryTime = time.Minute
)

// NewPool connects to nothing yet.
func NewPool(d *Dialect, servers []Server, o PoolOptions) (*Pool, error) {
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s: No hosts given in connect string", d.Name)
	}
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pauses == nil {
		o.Pauses = []time.Duration{time.Second, 5 * time.Second, 25 * time.Second}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Pool{dialect: d}
	for _, s := range servers {
		one := &server{Server: s, PoolOptions: o, name: d.Name + "(" + s.Host + "): "}
		if s.Host == "" {
			one.name = d.Name + ": "
		}
		one.db = dbsql.OpenDB(one)
		one.db.SetMaxOpenConns(o.Connections)
		one.db.SetMaxIdleConns(o.Connections)
		one.db.SetConnMaxIdleTime(idleTime)
		p.servers = append(p.servers, one)
	}
	return p, nil
}

// Close ends all connections once nobody uses them. It may be called again.
func (p *Pool) Close() error {
	var all []error
	for _, s := range p.servers {
		all = append(all, s.db.Close())
	}
	return errors.Join(all...)
}

// Open is the number of connections that are open now.
func (p *Pool) Open() int {
	n := 0
	for _, s := range p.servers {
		n += s.db.Stats().OpenConnections
	}
	return n
}

// errDown is for a server that cannot be reached; the log has been told why.
var errDown = errors.New("Not connected to database")

// run sends a statement to the next server, and to each of the others if that is not there. A connection that has
// gone while it waited idle, or under the query, is replaced once.
func (p *Pool) run(ctx context.Context, q *query, s statement, each func(Row) bool) error {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	first := int(p.next.Add(1) - 1)
	given := false
	counted := func(r Row) bool {
		given = true
		return each(r)
	}
	var err error
	for n := range len(p.servers) + 1 {
		err = p.servers[(first+n)%len(p.servers)].run(ctx, q, s, counted)
		if err == nil || given || ctx.Err() != nil || !errors.Is(err, errDown) && !p.dialect.Lost(err) {
			return err
		}
	}
	return err
}

// server is a server with its connections; it is their Connector.
type server struct {
	Server
	PoolOptions
	name string
	db   *dbsql.DB
	busy atomic.Int32 // connections that are in use now

	fewer atomic.Bool // of them are allowed than Connections

	mu       sync.Mutex // guards what is below
	failures int
	until    time.Time // when it may be tried again
}

// run sends a statement, with parameters if the server takes them.
func (s *server) run(ctx context.Context, q *query, st statement, each func(Row) bool) error {
	c, err := s.conn(ctx)
	if err != nil {
		return err
	}
	s.busy.Add(1)
	defer s.busy.Add(-1)
	defer c.Close()
	if q.unbound.Load() {
		return q.dialect.Run(ctx, c, st.plain, nil, each)
	}
	err = q.dialect.Run(ctx, c, st.bound, st.args, each)
	if err == nil || q.dialect.Rejected == nil || !q.dialect.Rejected(err) {
		return err
	}
	if err = q.dialect.Run(ctx, c, st.plain, nil, each); err == nil {
		q.unbound.Store(true)
	}
	return err
}

// conn gives a connection. A server that takes no more of them while it serves others is not down: until the pause is
// over, no more are asked for, and one of those is waited for.
func (s *server) conn(ctx context.Context) (*dbsql.Conn, error) {
	if s.fewer.Load() && s.waiting() == 0 && s.fewer.CompareAndSwap(true, false) {
		s.db.SetMaxOpenConns(s.Connections)
	}
	for {
		c, err := s.db.Conn(ctx)
		busy := int(s.busy.Load())
		if err == nil || !errors.Is(err, errDown) || busy == 0 {
			return c, err
		}
		s.fewer.Store(true)
		s.db.SetMaxOpenConns(busy)
	}
}

// waiting is how long the server is left alone still.
func (s *server) waiting() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.until.Sub(s.Now()))
}

// Connect is for the pool of database/sql.
func (s *server) Connect(ctx context.Context) (driver.Conn, error) {
	if s.waiting() > 0 {
		return nil, errDown
	}
	began := s.Now()
	c, err := s.Connector.Connect(ctx)
	switch {
	case err == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failures, s.until = 0, time.Time{}
		return c, nil
	case ctx.Err() != nil: // the client has gone; that says nothing of the server
		return nil, ctx.Err()
	}
	s.failed(began, err)
	return nil, errDown
}

// Driver is for the pool of database/sql.
func (s *server) Driver() driver.Driver { return s.Connector.Driver() }

// failed begins a pause. Of attempts that were made side by side only the first one counts.
func (s *server) failed(began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	if s.failures > 0 && began.Before(s.until) {
		return
	}
	pause := s.Pauses[min(s.failures, len(s.Pauses)-1)]
	s.failures++
	s.until = now.Add(pause)
	s.Log.Error(fmt.Sprintf("%sConnect failed to database (%s): %v - waiting for %d seconds before retry", s.name, s.Database, err, int(pause.Seconds())))
}
