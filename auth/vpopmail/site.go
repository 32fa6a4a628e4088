package vpopmail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dovetail/auth/cdb"
	"dovetail/auth/listfile"
	"dovetail/auth/sql/mysql"
)

// Site is a server's accounts, wherever vpopmail keeps them: a domain whose folder has vpasswd.cdb or vpasswd has its
// accounts there, any other in the tables, if the site has some. It is for many goroutines.
type Site struct {
	Assign        string // qmail's users/assign or users/cdb; read again when it has changed
	Servers       string // vpopmail.mysql; "" or no such file: there are no tables
	DefaultDomain string // of names without one
	Log           *slog.Logger
	Now           func() time.Time // nil: the clock

	mu      sync.Mutex
	checked int64
	stamp   time.Time
	size    int64
	domains map[string]Domain

	tablesMu sync.Mutex
	tables   *Tables // as read last
	writable *Tables // nil: the same
	retry    time.Time
	down     error
}

// retryAfter is how long a server that could not be reached is left alone.
const retryAfter = time.Second

// ErrNoAccount is what Find gives for a name that nobody has.
var ErrNoAccount = errors.New("no such account")

// Close ends the connections to the tables.
func (s *Site) Close() error {
	s.tablesMu.Lock()
	defer s.tablesMu.Unlock()
	var errs []error
	for _, t := range []*Tables{s.tables, s.writable} {
		if t != nil {
			errs = append(errs, t.db.Close())
		}
	}
	s.tables, s.writable = nil, nil
	return errors.Join(errs...)
}

func (s *Site) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Domain finds the domain of a name, which may be another name of it. ErrNoAccount: the site has no such domain.
func (s *Site) Domain(ctx context.Context, name string) (Domain, error) {
	s.mu.Lock()
	err := s.sync()
	d, ok := s.domains[strings.ToLower(name)]
	s.mu.Unlock()
	if err != nil || ok {
		return d, err
	}
	return s.aliasOf(ctx, name)
}

// sync reads the domains, if the file is another one than a second ago.
func (s *Site) sync() error {
	now := s.now().Unix()
	if s.domains != nil && s.checked == now {
		return nil
	}
	info, err := os.Stat(s.Assign)
	if err != nil {
		return err
	}
	s.checked = now
	if s.domains != nil && info.ModTime().Equal(s.stamp) && info.Size() == s.size {
		return nil
	}
	list, problems, err := ReadAssign(s.Assign)
	if err != nil {
		return err
	}
	for _, p := range problems {
		s.Log.Warn("vpopmail: " + p.Error())
	}
	s.domains, s.stamp, s.size = make(map[string]Domain, len(list)), info.ModTime(), info.Size()
	for _, d := range list {
		s.domains[d.Name] = d
	}
	return nil
}

// aliasOf asks the tables for the real name of a domain that qmail does not know.
func (s *Site) aliasOf(ctx context.Context, name string) (Domain, error) {
	t, err := s.open(ctx)
	if err != nil || t == nil {
		return Domain{}, errors.Join(err, noAccount(err))
	}
	realName, err := t.Real(ctx, name)
	if err != nil || realName == "" {
		return Domain{}, errors.Join(err, noAccount(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.domains[strings.ToLower(realName)]
	if !ok {
		return Domain{}, ErrNoAccount
	}
	d.Name = strings.ToLower(name)
	return d, nil
}

// noAccount is the error when there is no other.
func noAccount(err error) error {
	if err != nil {
		return nil
	}
	return ErrNoAccount
}

// Find gives an account by its address, with the flags that the domain's limits add, and its domain. ErrNoAccount: there
// is none. Any other error is a failure of the files or tables.
func (s *Site) Find(ctx context.Context, address string) (Account, Domain, error) {
	name, domain, _ := strings.Cut(address, "@")
	if domain == "" {
		domain = s.DefaultDomain
	}
	if name == "" || domain == "" || strings.ContainsAny(address, "\x00\n:") {
		return Account{}, Domain{}, ErrNoAccount
	}
	d, err := s.Domain(ctx, domain)
	if err != nil {
		return Account{}, d, err
	}
	name = strings.ToLower(name)
	a, err := findInFiles(d, name)
	limits := Limits{}
	switch {
	case err == nil:
		limits, err = s.limits(d)
	case errors.Is(err, fs.ErrNotExist):
		a, limits, err = s.findInTables(ctx, d, name)
	}
	a.Flags = a.Flags.Effective(limits)
	return a, d, err
}

// limits are the domain's; a word that is not known is told of, since it may be one that keeps people out.
func (s *Site) limits(d Domain) (Limits, error) {
	limits, problems, err := ReadLimits(d)
	for _, p := range problems {
		s.Log.Warn("vpopmail: " + p.Error())
	}
	return limits, err
}

// findInFiles asks the compiled list alone, as vpopmail does, and the other where there is none. fs.ErrNotExist: the
// domain has no list.
func findInFiles(d Domain, name string) (Account, error) {
	f, info, err := listfile.Open(filepath.Join(d.Dir, "vpasswd.cdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return findInText(d, name)
	}
	if err != nil {
		return Account{}, err
	}
	defer f.Close()
	db, err := cdb.Open(f, info.Size())
	if err != nil {
		return Account{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	data, err := db.Get([]byte(name))
	switch {
	case err != nil:
		return Account{}, fmt.Errorf("%s: %w", f.Name(), err)
	case data == nil:
		return Account{}, ErrNoAccount
	}
	a, err := parseRecord(cdb.Record{Key: []byte(name), Data: data}, d.Real)
	if err != nil {
		return a, fmt.Errorf("%s: %s: %w", f.Name(), name, err)
	}
	return a, nil
}

func findInText(d Domain, name string) (Account, error) {
	f, _, err := listfile.Open(filepath.Join(d.Dir, "vpasswd"))
	if err != nil {
		return Account{}, err
	}
	defer f.Close()
	for a, err := range Vpasswd(f, f.Name(), d.Real) {
		if err != nil {
			if _, ok := errors.AsType[Problem](err); ok {
				continue
			}
			return Account{}, err
		}
		if a.Name == name {
			return a, nil
		}
	}
	return Account{}, ErrNoAccount
}

// findInTables asks the database of a site that has one.
func (s *Site) findInTables(ctx context.Context, d Domain, name string) (Account, Limits, error) {
	t, err := s.open(ctx)
	if err == nil && t == nil {
		err = fmt.Errorf("%s: neither vpasswd nor vpasswd.cdb, and no tables are configured", d.Dir)
	}
	if err != nil {
		return Account{}, Limits{}, err
	}
	if !t.Has(d.Real) {
		if t, err = s.reopen(ctx, t); err != nil {
			return Account{}, Limits{}, err
		}
	}
	a, err := t.Account(ctx, d.Real, name)
	if err != nil {
		return a, Limits{}, err
	}
	limits, err := t.Limits(ctx, d.Real)
	return a, limits, err
}

// open connects to the tables, if the site has some. A server that is down is asked again a second later.
func (s *Site) open(ctx context.Context) (*Tables, error) {
	s.tablesMu.Lock()
	defer s.tablesMu.Unlock()
	if s.tables != nil || s.Servers == "" {
		return s.tables, nil
	}
	if s.down != nil && s.now().Before(s.retry) {
		return nil, s.down
	}
	read, update, err := ReadServers(s.Servers)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		s.tables, err = dialTables(ctx, read)
	}
	if err == nil && update != read {
		if s.writable, err = dialTables(ctx, update); err != nil {
			s.Log.Warn("vpopmail: " + err.Error() + "; the last login of users is not written down")
			err = nil
		}
	}
	if s.down = err; err != nil {
		s.retry = s.now().Add(retryAfter)
	}
	return s.tables, err
}

// reopen finds out anew which tables there are, once a second at most: a domain may be a new one.
func (s *Site) reopen(ctx context.Context, old *Tables) (*Tables, error) {
	s.tablesMu.Lock()
	defer s.tablesMu.Unlock()
	if s.tables != old || s.now().Before(s.retry) {
		return s.tables, nil
	}
	s.retry = s.now().Add(retryAfter)
	t, err := OpenTables(ctx, old.db)
	if err == nil {
		s.tables = t
	}
	return s.tables, err
}

func dialTables(ctx context.Context, server mysql.Server) (*Tables, error) {
	db, err := mysql.Open(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", server, err)
	}
	t, err := OpenTables(ctx, db)
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%v: %w", server, err)
	}
	return t, nil
}
