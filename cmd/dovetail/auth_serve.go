package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dovetail/auth"
	"dovetail/serve/authconf"
)

func newAuthServe() *cobra.Command {
	v := &authServeVerb{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer Postfix, Exim and delivery agents on the auth service's sockets",
		Long: `Run the auth service of a Dovecot configuration alone, in the foreground: the
sockets that "service auth" has, with their modes and owners, and behind them the
passdbs and userdbs. Postfix (smtpd_sasl_type = dovecot) and Exim (driver =
dovecot) authenticate there, dovecot-lda and doveadm find users.

  service auth {
    unix_listener /var/spool/postfix/private/auth {
      mode = 0660
      user = postfix
      group = postfix
    }
  }

SIGHUP empties the cache, SIGTERM and SIGINT end it; a second one ends it at once.
The log goes to standard error in Dovecot's form. A supervisor that sets
NOTIFY_SOCKET (systemd, Type=notify) is told when all sockets are open.
` + exitHelp(exitDone, exitFailed, exitUsage, exitPermission, exitConfig),
		Example: `  dovetail auth serve -c /etc/dovecot/dovecot.conf`,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return v.run(cmd) },
	}
	configFlags(cmd, &v.config, &v.dialect)
	return cmd
}

type authServeVerb struct{ config, dialect string }

func (v *authServeVerb) run(cmd *cobra.Command) error {
	hide()
	ctx := cmd.Context()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, unix.SIGHUP)
	defer signal.Stop(hangup)
	c, problems, err := loadConfig(ctx, v.config, v.dialect, true)
	if err != nil {
		return err
	}
	if p := problems.Fatal(); p != nil {
		return cannotRead(cmd, p)
	}
	log := slog.New(&serviceLog{to: cmd.ErrOrStderr(), service: "auth", now: time.Now})
	service, err := authconf.Build(ctx, c, nil, log)
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", err)
		return errInvalidConfig
	}
	sockets, err := authconf.Listen(ctx, c, log)
	if err != nil {
		return errors.Join(err, service.Close())
	}
	log.Info("listening on " + strings.Join(sockets.Names(), ", "))
	if err := tellSupervisor("READY=1"); err != nil {
		log.Warn(err.Error())
	}
	err = v.serve(ctx, hangup, sockets, service)
	tellSupervisor("STOPPING=1") // it waits for the process all the same
	return errors.Join(err, service.Close())
}

// serve answers until a signal ends it.
func (v *authServeVerb) serve(ctx context.Context, hangup <-chan os.Signal, sockets *authconf.Sockets, service *auth.Service) error {
	done := make(chan error, 1)
	go func() { done <- sockets.Serve(ctx, service) }()
	for {
		select {
		case <-hangup:
			service.Reset()
		case err := <-done:
			return err
		}
	}
}

// tellSupervisor speaks sd_notify(3), if there is somebody to listen.
func tellSupervisor(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}

// serviceLog writes lines as they are in Dovecot's log files: "Nov 21 15:17:02 auth: Info: text".
type serviceLog struct {
	to      io.Writer
	service string
	now     func() time.Time

	mu sync.Mutex // lines of goroutines do not mix
}

func (l *serviceLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *serviceLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *serviceLog) WithGroup(string) slog.Handler            { return l }

func (l *serviceLog) Handle(_ context.Context, r slog.Record) error {
	level := "Debug"
	switch {
	case r.Level >= slog.LevelError:
		level = "Error"
	case r.Level >= slog.LevelWarn:
		level = "Warning"
	case r.Level >= slog.LevelInfo:
		level = "Info"
	}
	who, what := l.service, logLine(r.Message)
	if from, rest, ok := strings.Cut(what, ": "); ok && l.service == "" {
		who, what = from, rest
	}
	line := fmt.Sprintf("%s %s: %s: %s\n", l.now().Format("Jan 02 15:04:05"), who, level, what)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.to, line)
	return err
}
