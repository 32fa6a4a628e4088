package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dovetail/auth/socket"
	"dovetail/serve"
	"dovetail/serve/authconf"
	"dovetail/serve/autoexpunge"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/event"
	"dovetail/serve/imap"
	"dovetail/serve/lmtp"
	"dovetail/serve/pop3"
	"dovetail/serve/submission"
	"dovetail/sync/watch"
)

func newServe() *cobra.Command {
	v := &serveVerb{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the mail of a Dovecot configuration",
		Long: `Serve mail in the foreground as the configuration says: listeners, TLS, passdbs and
userdbs, namespaces and mail locations are those of Dovecot, which may serve the
same mail beside it. The auth service's sockets are served, too.

Protocols are imap, pop3, lmtp and submission. What is submitted goes to the MTA of
submission_relay_host, and is accepted if that one accepts it.

SIGHUP rereads the configuration, the certificates and the databases of users, and
opens and closes ports as it says now; what is connected stays. A configuration with
errors is refused, and the old one stays.
SIGUSR1 opens the log files anew. SIGTERM and SIGINT end it. "dovetail reload" and
"dovetail stop" send these by the process id in base_dir/master.pid; while that
server runs, another one of the same base_dir does not start.

The log goes where log_path says, in Dovecot's form; to standard error if it says
nothing. Sockets that a supervisor hands over (LISTEN_FDS) are used for the ports
that are theirs.
` + exitHelp(exitDone, exitFailed, exitUsage, exitPermission, exitConfig),
		Example: `  dovetail serve -c /etc/dovecot/dovecot.conf`,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return v.run(cmd) },
	}
	configFlags(cmd, &v.config, &v.dialect)
	cmd.Flags().BoolVar(&v.asDovecot, "as-dovecot", false, "exit codes of dovecot")
	cmd.Flags().MarkHidden("as-dovecot")
	return cmd
}

type serveVerb struct {
	config, dialect string
	asDovecot       bool
}

func (v *serveVerb) run(cmd *cobra.Command) error {
	err := v.serve(cmd.Context(), cmd.ErrOrStderr())
	if v.asDovecot && errors.Is(err, errInvalidConfig) {
		return &statusError{err, dovecotFatal}
	}
	return err
}

// dovecotFatal is how Dovecot ends when it cannot start.
const dovecotFatal = 89

func (v *serveVerb) serve(ctx context.Context, stderr io.Writer) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGHUP, unix.SIGUSR1)
	defer signal.Stop(signals)
	read, err := configOptions(v.dialect, true)
	if err != nil {
		return err
	}
	live, problems := config.Start(ctx, v.config, read)
	if live == nil {
		fmt.Fprintln(stderr, "Fatal:", worst(problems))
		return errInvalidConfig
	}
	out, err := event.Open(live.Config().For(config.Filter{}), stderr)
	if err != nil {
		fmt.Fprintln(stderr, "Fatal:", err)
		return errInvalidConfig
	}
	defer out.Close()
	d := &daemon{live: live, out: out, log: slog.New(out), forget: func() {}}
	defer func() { d.forget() }()
	d.remark(problems)
	if err := d.start(ctx); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.log.Error("master: " + line)
			fmt.Fprintln(stderr, "Fatal:", line)
		}
		return errInvalidConfig
	}
	return d.run(ctx, signals)
}

// daemon is the running server.
type daemon struct {
	live    *config.Live
	out     *event.Log
	log     *slog.Logger
	server  *serve.Server
	hub     *watch.Hub
	stop    context.CancelFunc // of the auth service's sockets; nil: there are none
	stopped chan error         // what they end with
	forget  func()             // removes the file with our process id
}

// mailboxLinger is how long a mailbox stays open for who comes back to it.
const mailboxLinger = time.Minute

// floor makes garbage of some 25 MB collected at once, however little else is in use: what a client asks for leaves some
// behind, and collecting takes a while even when it finds nothing. It is memory that is counted but never touched, so the
// machine gives none for it.
const floor = 64 << 20

// start opens everything that can be refused.
func (d *daemon) start(ctx context.Context) error {
	c := d.live.Config()
	service, err := authconf.Build(ctx, c, nil, d.out.Service("auth"))
	if err != nil {
		return err
	}
	storage, err := options.Read[options.Storage](c.For(config.Filter{}))
	if err != nil {
		return errors.Join(err, service.Close())
	}
	mail := &imap.Protocol{Hub: watch.NewHub(storage.MailboxIdleCheckInterval), Log: d.log}
	mail.Hub.Hold, mail.Hub.Linger = mail.Stores.Hold, mailboxLinger
	mail.Stores.Mended = func(text string) { d.log.Warn(text) }
	mail.Hub.Deaf = func(err error) { d.log.Warn("imap: " + deafness(err, storage.MailboxIdleCheckInterval)) }
	d.hub = mail.Hub
	mail.Clean = &autoexpunge.Cleaner{Hub: mail.Hub}
	post := &pop3.Protocol{Hub: mail.Hub, Stores: &mail.Stores, Clean: mail.Clean, Log: d.log}
	in := &lmtp.Protocol{Hub: mail.Hub, Stores: &mail.Stores, Clean: mail.Clean, Log: d.log}
	out := &submission.Protocol{Hub: mail.Hub, Stores: &mail.Stores, Log: d.log}
	o := serve.Options{Config: c, Auth: service, Log: d.log, Protocols: map[string]serve.Protocol{"imap": mail, "pop3": post, "lmtp": in, "submission": out}}
	if o.Listeners, err = d.listen(ctx, c, o.Protocols); err != nil {
		return errors.Join(err, service.Close())
	}
	if mail.Server, err = serve.New(o); err != nil {
		return errors.Join(err, service.Close())
	}
	d.server, post.Server, in.Server, out.Server = mail.Server, mail.Server, mail.Server, mail.Server
	return d.answer(ctx, c)
}

// deafness says that mailboxes are looked at by the clock alone, and what to do about it.
func deafness(err error, every time.Duration) string {
	limit := "the kernel cannot tell of changes in mailboxes"
	switch {
	case errors.Is(err, unix.ENOSPC):
		limit = "inotify watch limit of the user is reached: increase /proc/sys/fs/inotify/max_user_watches"
	case errors.Is(err, unix.EMFILE):
		limit = "inotify instance limit of the user, or that of open files, is reached: increase /proc/sys/fs/inotify/max_user_instances"
	}
	return fmt.Sprintf("%s (%v); until then mailboxes are looked at every %v (mailbox_idle_check_interval)", limit, err, every)
}

func (d *daemon) listen(ctx context.Context, c *config.Config, protocols map[string]serve.Protocol) ([]serve.Listener, error) {
	services, err := options.ReadServices(c.For(config.Filter{}))
	if err != nil {
		return nil, err
	}
	master, err := options.Read[options.Master](c.For(config.Filter{}))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(master.BaseDir, 0o755); err != nil { // where sockets are
		return nil, err
	}
	if d.forget, err = writePID(master.BaseDir); err != nil {
		d.forget = func() {}
		return nil, err
	}
	handed, err := serve.Inherited()
	if err != nil {
		return nil, errors.Join(err, handed.Close())
	}
	list, err := serve.Listen(ctx, services, func(p string) bool { return protocols[p] != nil }, handed)
	return list, errors.Join(err, handed.Close())
}

// answer serves the sockets of the auth service, with the databases that logins ask now.
func (d *daemon) answer(ctx context.Context, c *config.Config) error {
	sockets, err := authconf.Listen(ctx, c, d.out.Service("auth"))
	if errors.Is(err, socket.ErrInUse) {
		d.log.Warn(fmt.Sprintf("master: %v; the sockets of the auth service are left to it", err))
		return nil
	}
	if err != nil {
		return err
	}
	service, release := d.server.HoldAuth()
	ctx, d.stop = context.WithCancel(ctx)
	d.stopped = make(chan error, 1)
	go func() {
		defer release()
		d.stopped <- sockets.Serve(ctx, service)
	}()
	return nil
}

// hush ends what answer began.
func (d *daemon) hush() error {
	if d.stop == nil {
		return nil
	}
	d.stop()
	d.stop = nil
	return <-d.stopped
}

// run goes on until a signal ends it.
func (d *daemon) run(ctx context.Context, signals <-chan os.Signal) error {
	unused := make([]byte, floor)
	defer runtime.KeepAlive(unused)
	go new(calm).giveBack(ctx)
	tellSupervisor("READY=1")
	defer tellSupervisor("STOPPING=1")
	master, err := options.Read[options.Master](d.live.Config().For(config.Filter{}))
	if err != nil {
		return err
	}
	d.log.Info(fmt.Sprintf("master: dovetail v%s starting up for %s", readVersion().Version, strings.Join(master.Protocols, ", ")))
	done := make(chan error, 1)
	go func() { done <- d.server.Run(ctx) }()
	for {
		select {
		case s := <-signals:
			if s == unix.SIGUSR1 {
				d.reopen()
				continue
			}
			d.reload(ctx)
		case err := <-done:
			if s, ok := context.Cause(ctx).(killed); ok {
				d.log.Warn("master: " + s.Error())
			}
			return errors.Join(err, d.hub.Close(), d.hush())
		}
	}
}

func (d *daemon) reopen() {
	if err := d.out.Reopen(); err != nil {
		d.log.Error(fmt.Sprintf("log: %v", err))
	}
}

// reload takes over a changed configuration, all of it or nothing.
func (d *daemon) reload(ctx context.Context) {
	if ctx.Err() != nil {
		return // it is ending
	}
	d.log.Warn("master: SIGHUP received - reloading configuration")
	problems, err := d.live.Replace(ctx, func(c *config.Config) error { return d.use(ctx, c) })
	if p := worst(problems); p != nil {
		err = p
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.log.Error("config: the old configuration stays: " + line)
		}
		return
	}
	d.remark(problems)
	c := d.live.Config()
	if err := d.out.Configure(c.For(config.Filter{})); err != nil {
		d.log.Error(fmt.Sprintf("log: %v", err))
	}
	if err := errors.Join(d.hush(), d.answer(ctx, c)); err != nil {
		d.log.Error(fmt.Sprintf("auth: %v", err))
	}
	d.log.Info("master: configuration reloaded")
}

// use makes new connections be served with a configuration.
func (d *daemon) use(ctx context.Context, c *config.Config) error {
	service, err := authconf.Build(ctx, c, nil, d.out.Service("auth"))
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	if err := d.server.Reload(ctx, c, service); err != nil {
		return errors.Join(err, service.Close())
	}
	return nil
}

// remark logs what is not as the configuration has it: Dovecot's warnings, and in one line the settings that mean nothing
// here.
func (d *daemon) remark(problems *config.Problems) {
	const most = 10
	var idle []string
	for _, p := range problems.ByPlace() {
		switch {
		case p.Severity == config.Warning:
			d.log.Warn("config: " + p.Error())
		case p.Severity == config.Advice && p.Idle:
			idle = append(idle, p.Text)
		}
	}
	if n := len(idle) - most; n > 0 {
		idle = append(idle[:most], fmt.Sprintf("and %d more", n))
	}
	if len(idle) > 0 {
		d.log.Warn("config: " + strings.Join(idle, "; ") + ` ("dovetail config check" says more)`)
	}
}

// worst is the first problem with which nothing can start.
func worst(problems *config.Problems) *config.Problem {
	for _, p := range problems.All {
		if p.Severity <= config.AtStart {
			return p
		}
	}
	return nil
}
