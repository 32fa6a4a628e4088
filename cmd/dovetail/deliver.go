package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"dovetail/auth"
	"dovetail/formats/disk"
	"dovetail/serve/authconf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
	"dovetail/serve/deliver"
	"dovetail/serve/event"
	"dovetail/serve/namespace"
	"dovetail/serve/quota"
	"dovetail/serve/smtp"
	"dovetail/sync/watch"
)

func newDeliver() *cobra.Command {
	v := &deliverVerb{}
	cmd := &cobra.Command{
		Use:   "deliver [flags] <message",
		Short: "Deliver a message to a user, as dovecot-lda does",
		Long: `Read a message from standard input and save it durably in a user's mail, in INBOX
or where -m says. It is what an MTA runs for local users; dovecot-lda is the same
program by the name that MTAs know.

With -d the user is looked up: in the running auth service (auth_socket_path), or
in the databases of the configuration where there is none. Without it the mail of
the user who runs the program is meant (USER and HOME).

A message for which the user has no room by his quota is refused for good, and the
MTA tells its sender; with quota_full_tempfail it is to be tried again.

A line "From sender date" in front of the message, as MTAs write it for mboxes, is
taken off; its sender counts unless -f names one.
` + exitHelp(exitDone, exitUsage, exitNoUser, exitTryAgain, exitPermission, exitConfig),
		Example: `  dovetail deliver -d ann@example.org <message
  dovetail deliver -d ann -m Lists/golang -f sender@example.net <message`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd) },
	}
	configFlags(cmd, &v.config, &v.dialect)
	f := cmd.Flags()
	f.StringVarP(&v.user, "user", "d", "", "whose mail")
	f.StringVarP(&v.mailbox, "mailbox", "m", "", "save into this `mailbox`")
	f.StringVarP(&v.from, "from", "f", "", "envelope `sender`")
	f.StringVarP(&v.original, "original", "a", "", "original envelope `recipient`")
	f.StringVarP(&v.final, "recipient", "r", "", "final envelope `recipient`")
	f.StringVarP(&v.path, "path", "p", "", "read the message from this `file`")
	f.BoolVarP(&v.tell, "errors", "e", false, "say on standard error why it was not saved")
	f.BoolVarP(&v.keep, "keep-environment", "k", false, "nothing: the environment is never changed")
	f.MarkHidden("keep-environment")
	return cmd
}

type deliverVerb struct {
	config, dialect                            string
	user, mailbox, from, original, final, path string
	tell, keep                                 bool
}

func (v *deliverVerb) run(cmd *cobra.Command) error {
	for flag, address := range map[string]string{"f": v.from, "a": v.original, "r": v.final} {
		if _, err := smtp.ParseAddress(address, smtp.Options{Empty: flag == "f"}); address != "" && err != nil {
			return usagef("Invalid -%s parameter: %v", flag, err)
		}
	}
	if !utf8.ValidString(v.mailbox) {
		return &statusError{fmt.Errorf("Mailbox name not UTF-8: %q", v.mailbox), exitTryAgain}
	}
	c, problems, err := loadConfig(cmd.Context(), v.config, v.dialect, true)
	if err != nil {
		return err
	}
	if p := problems.Fatal(); p != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Fatal:", p)
		return &statusError{errInvalidConfig, exitTryAgain} // the message must not bounce for it
	}
	view := c.For(config.Filter{Protocol: "lda"})
	log, err := event.Open(view, cmd.ErrOrStderr())
	if err != nil {
		return &statusError{err, exitTryAgain}
	}
	defer log.Close()
	err = v.deliver(cmd.Context(), c, view, slog.New(log))
	if status := (*statusError)(nil); err != nil && !errors.As(err, &status) && !isUsage(err) {
		// Whatever it is may be mended: the MTA keeps the message and tries again.
		err = &statusError{err, exitTryAgain}
	}
	if err != nil && !v.tell && !isUsage(err) {
		return &statusError{errSaid, exitCode(err)} // the log has it
	}
	return err
}

func isUsage(err error) bool {
	u := (*usageError)(nil)
	return errors.As(err, &u)
}

func (v *deliverVerb) deliver(ctx context.Context, c *config.Config, view config.View, log *slog.Logger) error {
	account, err := v.account(ctx, c, view, log)
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("lda(%s)<%d><>: ", account.Name, os.Getpid())
	tell := func(level slog.Level, text string) { log.Log(ctx, level, prefix+text) }
	r := auth.Request{Service: "lda", User: account.Name}
	stores := &namespace.Stores{Mended: func(text string) { tell(slog.LevelWarn, text) }}
	mail, err := namespace.Open(namespace.Options{View: view, Account: account, Lookup: r.Variable, Stores: stores})
	if err != nil {
		tell(slog.LevelError, err.Error())
		return err
	}
	defer mail.Close()
	m, err := v.message(ctx)
	if err != nil {
		tell(slog.LevelError, err.Error())
		return err
	}
	defer m.Close()
	hub := watch.NewHub(0)
	hub.Hold = stores.Hold
	d := deliver.Delivery{User: mail, Mailbox: v.mailbox, To: v.recipient(account.Name), Was: strings.Trim(v.original, "<>"), Began: time.Now(), Lookup: r.Variable, Hub: hub, Log: tell}
	// A signal does not undo what is being saved: the MTA would deliver it again.
	return v.refusal(view, d.Deliver(context.WithoutCancel(ctx), m))
}

// refusal lets a message bounce for which the user has no room, unless that is meant to be temporary. dovecot-lda sends
// the rejection itself; here the MTA does, with the text that -e has on standard error.
func (v *deliverVerb) refusal(view config.View, err error) error {
	full := (*quota.FullError)(nil)
	o, _ := options.Read[options.Delivery](view) // it was read before
	if !errors.As(err, &full) || full.TooLarge || o.QuotaFullTempfail {
		return err
	}
	return &statusError{err, exitPermission}
}

func (v *deliverVerb) recipient(name string) string {
	if v.final != "" {
		return strings.Trim(v.final, "<>")
	}
	return name
}

// account says whose mail it is.
func (v *deliverVerb) account(ctx context.Context, c *config.Config, view config.View, log *slog.Logger) (*auth.User, error) {
	if v.user == "" {
		return ownAccount()
	}
	service, err := v.authority(ctx, c, view, log)
	if err != nil {
		log.Error("lda: " + err.Error())
		return nil, err
	}
	defer service.Close()
	u, err := service.User(ctx, auth.Request{Service: "lda"}, v.user)
	switch {
	case errors.Is(err, auth.ErrUnknown):
		err = &statusError{fmt.Errorf("User doesn't exist: %s", v.user), exitNoUser}
		log.Info("lda: " + err.Error())
	case err != nil:
		log.Error(fmt.Sprintf("lda: Failed to lookup user %s: %v", v.user, err))
		err = &statusError{err, exitTryAgain}
	}
	return u, err
}

// authority is the running service, or one of our own where none runs.
func (v *deliverVerb) authority(ctx context.Context, c *config.Config, view config.View, log *slog.Logger) (authority, error) {
	m, err := options.Read[options.Master](view)
	if err != nil {
		return nil, err
	}
	running := &remote{address: filepath.Join(m.BaseDir, "auth-userdb")}
	_, err = running.connected(ctx)
	gone := (*unreachableError)(nil)
	if !errors.As(err, &gone) {
		return running, err
	}
	service, err := authconf.Build(ctx, c, nil, log)
	if err != nil {
		return nil, err
	}
	return own{service}, nil
}

// ownAccount is the user who runs the program.
func ownAccount() (*auth.User, error) {
	if os.Geteuid() == 0 {
		return nil, usagef("destination user parameter (-d user) not given")
	}
	name, home := os.Getenv("USER"), os.Getenv("HOME")
	if name == "" || home == "" {
		u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
		if err != nil {
			return nil, usagef("Couldn't lookup our username (uid=%d)", os.Geteuid())
		}
		name = u.Username
		if home == "" {
			home = u.HomeDir
		}
	}
	return &auth.User{Name: name, Home: home}, nil
}

// message reads the message to its end before anything is saved. What is interrupted before that is not delivered: half a
// message must not look like a whole one.
func (v *deliverVerb) message(ctx context.Context) (*deliver.Message, error) {
	in := os.Stdin
	if v.path != "" {
		f, err := os.Open(v.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	all := &disk.Spool{} // it ends with the process
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(all, in)
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	sender, line := deliver.FromLine(all)
	if v.from != "" {
		sender = strings.Trim(v.from, "<>")
	}
	return &deliver.Message{From: sender, Text: io.NewSectionReader(all, line, all.Size()-line)}, nil
}
