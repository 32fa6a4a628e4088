// Package event is where the log of the daemon goes: to files, to syslog or to standard error, in Dovecot's form, so that
// log tools and ban rules that know Dovecot's lines know these.
//
//	Nov 21 15:17:02 imap-login: Info: Login: user=<ann>, method=PLAIN, …     in a file
//	dovecot: imap-login: Login: user=<ann>, method=PLAIN, …                  in syslog, which has level and time itself
//
// A message begins with who says it, up to the first ": "; the level is put behind that. Whatever comes from clients
// cannot begin a line of its own: control characters are shown as "?".
package event

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"strings"
	"sync"
	"time"

	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// Log writes lines. It is a slog.Handler that knows no attributes; it may be used by several goroutines.
type Log struct {
	now func() time.Time

	mu    sync.Mutex
	o     settings
	sinks map[string]sink // by place
	to    [3]sink         // of errors and warnings, of information, of debugging
}

// settings are those that the log obeys.
type settings struct {
	options.Log
	places   [3]string
	instance string
}

// The places that are no files.
const (
	toSyslog = "syslog"
	toStderr = "/dev/stderr"
)

// Open opens the log of a configuration. One that says nothing of log_path has standard error, which is stderr.
func Open(v config.View, stderr io.Writer) (*Log, error) {
	l := &Log{now: time.Now, sinks: map[string]sink{toStderr: &writer{stderr}}}
	return l, l.Configure(v)
}

// Configure takes other settings. After an error the old ones hold.
func (l *Log) Configure(v config.View) error {
	o, err := options.Read[options.Log](v)
	if err != nil {
		return err
	}
	m, err := options.Read[options.Master](v)
	if err != nil {
		return err
	}
	s := settings{Log: o, instance: m.InstanceName}
	if set, _ := v.Get("log_path"); set.Pos.File == "" {
		s.Path = toStderr
	}
	s.places[0] = s.Path
	s.places[1] = cmp.Or(s.InfoPath, s.Path)
	s.places[2] = cmp.Or(s.DebugPath, s.places[1])
	l.mu.Lock()
	defer l.mu.Unlock()
	opened, err := l.open(s)
	if err != nil {
		return err
	}
	l.use(s, opened)
	return nil
}

// open opens places that are not open.
func (l *Log) open(s settings) (map[string]sink, error) {
	all := map[string]sink{toStderr: l.sinks[toStderr]}
	for _, place := range s.places {
		if all[place] != nil {
			continue
		}
		if old := l.sinks[place]; old != nil {
			all[place] = old
			continue
		}
		var err error
		if all[place], err = s.open(place); err != nil {
			for name, one := range all {
				if l.sinks[name] != one {
					one.close()
				}
			}
			return nil, err
		}
	}
	return all, nil
}

func (l *Log) use(s settings, opened map[string]sink) {
	for place, old := range l.sinks {
		if opened[place] != old {
			old.close()
		}
	}
	l.o, l.sinks = s, opened
	for i, place := range s.places {
		l.to[i] = opened[place]
	}
}

// Reopen opens the files anew: they may have been renamed. One that cannot be opened stays as it is.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := map[string]sink{toStderr: l.sinks[toStderr]}
	var errs []error
	for place, old := range l.sinks {
		if place == toStderr {
			continue
		}
		one, err := l.o.open(place)
		if err != nil {
			errs = append(errs, err)
			one = old
		}
		fresh[place] = one
	}
	l.use(l.o, fresh)
	return errors.Join(errs...)
}

// Close closes the files.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.use(settings{Log: l.o.Log, places: [3]string{toStderr, toStderr, toStderr}}, map[string]sink{toStderr: l.sinks[toStderr]})
	return nil
}

// Enabled: debugging is for who asked for it.
func (l *Log) Enabled(_ context.Context, level slog.Level) bool {
	if level >= slog.LevelInfo {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.o.AuthDebug || l.o.MailDebug
}

// WithAttrs and WithGroup are for slog.Handler.
func (l *Log) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup gives the log itself.
func (l *Log) WithGroup(string) slog.Handler { return l }

// Service is the log of a part that does not say its name: "auth".
func (l *Log) Service(name string) *slog.Logger { return slog.New(&named{l, name + ": "}) }

// named puts a name before each message.
type named struct {
	*Log
	name string
}

func (n *named) WithAttrs([]slog.Attr) slog.Handler { return n }
func (n *named) WithGroup(string) slog.Handler      { return n }

func (n *named) Handle(ctx context.Context, r slog.Record) error {
	r.Message = n.name + r.Message
	return n.Log.Handle(ctx, r)
}

// Handle writes one line.
func (l *Log) Handle(_ context.Context, r slog.Record) error {
	who, what, ok := strings.Cut(r.Message, ": ")
	if !ok {
		who, what = "master", r.Message
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := entry{level: r.Level, who: printable(who), what: printable(what)}
	kind := 0
	switch {
	case r.Level < slog.LevelInfo:
		kind = 2
	case r.Level < slog.LevelWarn:
		kind = 1
	}
	return l.to[kind].write(e, strftime(l.o.Timestamp, l.now()))
}

// entry is one line.
type entry struct {
	level     slog.Level
	who, what string
}

func (e entry) word() string {
	switch {
	case e.level >= slog.LevelError:
		return "Error: "
	case e.level >= slog.LevelWarn:
		return "Warning: "
	case e.level >= slog.LevelInfo:
		return "Info: "
	}
	return "Debug: "
}

// printable has no control characters.
func printable(s string) string {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if !strings.ContainsFunc(s, control) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return '?'
		}
		return r
	}, s)
}

// sink is one place that lines go to.
type sink interface {
	write(e entry, stamp string) error
	close() error
}

func (s settings) open(place string) (sink, error) {
	if place == toSyslog {
		w, err := syslog.New(facility(s.SyslogFacility), s.instance)
		if err != nil {
			return nil, err
		}
		return &system{w}, nil
	}
	f, err := os.OpenFile(place, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &writer{f}, nil
}

// writer is a file, or standard error.
type writer struct{ to io.Writer }

func (w *writer) write(e entry, stamp string) error {
	_, err := io.WriteString(w.to, stamp+e.who+": "+e.word()+e.what+"\n")
	return err
}

func (w *writer) close() error {
	if c, ok := w.to.(io.Closer); ok && w.to != os.Stderr {
		return c.Close()
	}
	return nil
}

// system is syslog.
type system struct{ to *syslog.Writer }

func (s *system) write(e entry, _ string) error {
	switch {
	case e.level >= slog.LevelError:
		return s.to.Err(e.who + ": " + e.word() + e.what)
	case e.level >= slog.LevelWarn:
		return s.to.Warning(e.who + ": " + e.word() + e.what)
	case e.level >= slog.LevelInfo:
		return s.to.Info(e.who + ": " + e.what)
	}
	return s.to.Debug(e.who + ": " + e.word() + e.what)
}

func (s *system) close() error { return s.to.Close() }

var facilities = map[string]syslog.Priority{"kern": syslog.LOG_KERN, "user": syslog.LOG_USER, "mail": syslog.LOG_MAIL,
	"daemon": syslog.LOG_DAEMON, "auth": syslog.LOG_AUTH, "syslog": syslog.LOG_SYSLOG, "lpr": syslog.LOG_LPR, "news": syslog.LOG_NEWS,
	"uucp": syslog.LOG_UUCP, "cron": syslog.LOG_CRON, "authpriv": syslog.LOG_AUTHPRIV, "ftp": syslog.LOG_FTP,
	"local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3,
	"local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5, "local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7}

func facility(name string) syslog.Priority {
	if f, ok := facilities[name]; ok {
		return f
	}
	return syslog.LOG_MAIL
}
