package event

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// open opens the log of a configuration, at a fixed time.
func open(t *testing.T, text string) (*Log, *bytes.Buffer) {
	t.Helper()
	var stderr bytes.Buffer
	l, err := Open(view(t, text), &stderr)
	if err != nil {
		t.Fatal(err)
	}
	l.now = func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }
	t.Cleanup(func() { l.Close() })
	return l, &stderr
}

func view(t *testing.T, text string) config.View {
	t.Helper()
	c, problems := config.Load(t.Context(), "d.conf", config.Options{Dialect: conf.V23, Expand: true,
		Source: conf.In{FS: fstest.MapFS{"d.conf": {Data: []byte(text)}}}})
	if c == nil {
		t.Fatal(problems.Fatal())
	}
	return c.For(config.Filter{})
}

func said(l *Log) {
	log := slog.New(l)
	log.Error("auth: broken")
	log.Warn("imap-login: hm")
	log.Info("imap-login: Login: user=<a\nb>, rip=1")
	log.Debug("imap(ann)<1><s>: detail")
}

func TestLinesLookLikeDovecots(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing said: standard error, no debugging", "", "Mar 04 05:06:07 auth: Error: broken\nMar 04 05:06:07 imap-login: Warning: hm\n" +
			"Mar 04 05:06:07 imap-login: Info: Login: user=<a?b>, rip=1\n"},
		{"no time stamps, for a supervisor that has its own", "log_path = /dev/stderr\nlog_timestamp =\nmail_debug = yes\n",
			"auth: Error: broken\nimap-login: Warning: hm\nimap-login: Info: Login: user=<a?b>, rip=1\nimap(ann)<1><s>: Debug: detail\n"},
		{"another form", "log_timestamp = \"%Y-%m-%d %H:%M:%S %q \"\n", "2026-03-04 05:06:07 %q auth: Error: broken\n2026-03-04 05:06:07 %q imap-login: Warning: hm\n" +
			"2026-03-04 05:06:07 %q imap-login: Info: Login: user=<a?b>, rip=1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, stderr := open(t, tc.text)
			said(l)
			if got := stderr.String(); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

func TestEachLevelHasItsFile(t *testing.T) {
	dir := t.TempDir()
	l, stderr := open(t, "log_timestamp =\nmail_debug = yes\nlog_path = "+dir+"/log\ninfo_log_path = "+dir+"/info\ndebug_log_path = "+dir+"/debug\n")
	said(l)
	for name, want := range map[string]string{"log": "auth: Error: broken\nimap-login: Warning: hm\n", "info": "imap-login: Info: Login: user=<a?b>, rip=1\n",
		"debug": "imap(ann)<1><s>: Debug: detail\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error has %q", stderr)
	}
}

func TestR018AFileIsReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dovecot.log")
	l, _ := open(t, "log_timestamp =\nlog_path = "+path+"\n")
	slog.New(l).Info("a: first")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	slog.New(l).Info("a: second")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	slog.New(l).Info("a: third")
	for name, want := range map[string]string{path + ".1": "a: Info: first\na: Info: second\n", path: "a: Info: third\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
}

func TestAPlaceThatCannotBeOpenedLeavesTheOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := open(t, "log_timestamp =\nlog_path = "+path+"\n")
	if err := l.Configure(view(t, "log_path = /nonexistent/log\n")); err == nil {
		t.Error("no error")
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("no error")
	}
	if err := slog.New(l).Handler().Handle(t.Context(), slog.Record{Message: "a: still"}); err != nil {
		t.Error(err)
	}
	if _, err := Open(view(t, "log_path = /nonexistent/log\n"), os.Stderr); err == nil || !strings.Contains(err.Error(), "/nonexistent/log") {
		t.Error(err)
	}
}
