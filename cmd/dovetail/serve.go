package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dovetail/serve"
	"dovetail/serve/authconf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/imap"
	"dovetail/sync/watch"
)

func newServe() *cobra.Command {
	v := &serveVerb{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the mail of a Dovecot configuration",
		Long: `Serve mail in the foreground as the configuration says: listeners, TLS, passdbs and
userdbs, namespaces and mail locations are those of Dovecot, which may serve the
same mail beside it.

SIGHUP rereads the configuration and the certificates; what is connected stays. A
configuration with errors is refused, and the old one stays. SIGTERM and SIGINT end
it. The log goes to standard error in Dovecot's form.
` + exitHelp(exitDone, exitFailed, exitUsage, exitPermission, exitConfig),
		Example: `  dovetail serve -c /etc/dovecot/dovecot.conf`,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return v.run(cmd) },
	}
	configFlags(cmd, &v.config, &v.dialect)
	return cmd
}

type serveVerb struct{ config, dialect string }

func (v *serveVerb) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, unix.SIGHUP)
	defer signal.Stop(hangup)
	read, err := configOptions(v.dialect, true)
	if err != nil {
		return err
	}
	live, problems := config.Start(ctx, v.config, read)
	if live == nil {
		if p := problems.Fatal(); p != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", p.Text)
		}
		return errInvalidConfig
	}
	log := slog.New(&serviceLog{to: cmd.ErrOrStderr(), now: time.Now})
	service, err := authconf.Build(ctx, live.Config(), nil, log)
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", err)
		return errInvalidConfig
	}
	mail := &imap.Protocol{Hub: watch.NewHub(0), Log: log}
	mail.Hub.Hold = mail.Stores.Hold
	o := serve.Options{Live: live, Auth: service, Log: log, Protocols: map[string]serve.Protocol{"imap": mail}}
	services, err := options.ReadServices(live.Config().For(config.Filter{}))
	if err != nil {
		return errors.Join(err, service.Close())
	}
	if o.Listeners, err = serve.Listen(services, func(p string) bool { return o.Protocols[p] != nil }); err != nil {
		return errors.Join(err, service.Close())
	}
	if mail.Server, err = serve.New(o); err != nil {
		return errors.Join(err, service.Close())
	}
	tellSupervisor("READY=1")
	log.Info(fmt.Sprintf("master: dovetail %s starting up for imap", readVersion().Version))
	err = v.serve(ctx, hangup, live, mail.Server, log)
	tellSupervisor("STOPPING=1")
	return errors.Join(err, service.Close())
}

// serve goes on until a signal ends it.
func (v *serveVerb) serve(ctx context.Context, hangup <-chan os.Signal, live *config.Live, s *serve.Server, log *slog.Logger) error {
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for {
		select {
		case <-hangup:
			if problems := live.Reload(ctx); !problems.OK() {
				log.Error(fmt.Sprintf("config: the old configuration stays: %v", problems.Fatal()))
				continue
			}
			s.Reload()
		case err := <-done:
			return err
		}
	}
}
