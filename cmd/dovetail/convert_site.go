package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/auth"
	"dovetail/convert"
	"dovetail/formats/location"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// siteFlags say whose mail a run is about. The zero value is one user's.
type siteFlags struct {
	users, root string
	ask         authVerb // the userdbs of -c
}

func (s *siteFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.users, "users", "", "many users: those of this `list`, a file or one of those named above; - is standard input")
	f.StringVar(&s.root, "root", "", "a list of accounts lies unpacked below this `folder`: its paths begin there")
	f.StringVarP(&s.ask.config, "config", "c", "", "many users: those of the userdbs of this configuration `file` of Dovecot")
}

// many tells whether a run is about more than one user.
func (s *siteFlags) many(given []string) bool {
	return s.users != "" || s.ask.config != "" || slices.ContainsFunc(given, hasVariable)
}

// hasVariable tells a template from the place of one user's mail.
func hasVariable(src string) bool {
	for _, v := range []string{"%u", "%n", "%d", "%{user", "%{domain"} {
		if strings.Contains(src, v) {
			return true
		}
	}
	return false
}

// runSite converts the mail of many users.
func (c *convertVerb) runSite(cmd *cobra.Command, given []string) error {
	if c.owner != "" {
		return usagef("--owner is for one user: of many each has his own")
	}
	if c.dryRun && !c.quiet && !c.asJSON {
		fmt.Fprintln(cmd.OutOrStdout(), "dry run, nothing is written; a real run would do this:")
	}
	return c.site.run(cmd, &c.output, given, "converting", convert.Run, convert.Options{
		Mailboxes: c.mailboxes, RemoveOwn: c.removeOwn, DryRun: c.dryRun, Verify: c.verify,
	})
}

// run does for many users what run is, and reports it.
func (s *siteFlags) run(cmd *cobra.Command, out *output, given []string, what string,
	run func(context.Context, convert.Users, convert.Options) (*convert.Report, error), o convert.Options) error {
	t, err := s.template(given)
	if err != nil {
		return err
	}
	users, done, err := s.open(cmd, t)
	if err != nil {
		return err
	}
	defer done()
	p := out.begin(cmd, what)
	o.Jobs, o.Progress, o.Log = out.jobs, &p.count, p.log
	o.Done = func(u *convert.UserReport) { out.tell(cmd.OutOrStdout(), u) }
	report, err := run(cmd.Context(), users, o)
	p.end()
	err = also(err, out.sum(cmd.OutOrStdout(), report))
	if out.report != "" {
		err = also(err, writeReport(out.report, report))
	}
	if report.ExitCode() == exitLeftOver {
		err = also(err, errLeftOver)
	}
	return err
}

// template is made of what is given: both places, or the target alone where users bring their source.
func (s *siteFlags) template(given []string) (t convert.Template, err error) {
	switch {
	case s.users != "" && s.ask.config != "":
		return t, usagef("--users and --config both say who the users are")
	case len(given) == 2:
		return convert.Template{Source: given[0], Target: given[1]}, nil
	case len(given) == 1 && s.ask.config != "":
		return convert.Template{Target: given[0]}, nil
	case len(given) == 0 && s.users != "":
		return t, nil
	}
	return t, usagef("both places are needed, or with --config only the second")
}

// open finds out where users come from. done is called when they are not needed any more.
func (s *siteFlags) open(cmd *cobra.Command, t convert.Template) (users convert.Users, done func(), err error) {
	done = func() {}
	switch kind, _, listed := strings.Cut(s.users, ":"); {
	case s.ask.config != "":
		return s.fromConfig(cmd, t)
	case s.users == "":
		if users, err = convert.Folders(t); err != nil {
			err = &usageError{err}
		}
	case s.users == "-":
		users = convert.List(cmd.InOrStdin(), "standard input", t)
	case listed && !strings.Contains(kind, "/"):
		users, err = convert.Accounts(cmd.Context(), s.users, s.root, t)
	default:
		var f *os.File
		if f, err = os.Open(s.users); err == nil {
			users, done = convert.List(f, s.users, t), func() { f.Close() }
		}
	}
	if err != nil {
		return nil, nil, placeError(err)
	}
	return users, done, nil
}

// fromConfig asks the userdbs of a configuration. Without a source in the template, mail is where the configuration says.
func (s *siteFlags) fromConfig(cmd *cobra.Command, t convert.Template) (convert.Users, func(), error) {
	c, err := s.ask.load(cmd)
	if err != nil {
		return nil, nil, err
	}
	service, err := s.ask.open(cmd)
	if err != nil {
		return nil, nil, err
	}
	r := auth.Request{Service: "doveadm"}
	settings := userSettings{View: c.For(config.Filter{Protocol: r.Service})}
	return func(yield func(convert.User, error) bool) {
		for name, err := range service.Users(cmd.Context(), r) {
			if err != nil {
				yield(convert.User{}, err)
				return
			}
			u, err := fromUserdb(cmd, service, settings, r, name, t)
			if err != nil {
				err = &convert.UserError{Name: name, Err: err}
			}
			if !yield(u, err) {
				return
			}
		}
	}, func() { service.Close() }, nil
}

// fromUserdb makes a user of what the userdbs and the settings say of him.
func fromUserdb(cmd *cobra.Command, service authority, settings userSettings, r auth.Request, name string, t convert.Template) (convert.User, error) {
	u := convert.User{Name: name}
	found, err := service.User(cmd.Context(), r, name)
	if err != nil {
		return u, err
	}
	lookup := variables(r, name, found)
	fields, err := settings.complete(found, name, lookup)
	if err != nil {
		return u, err
	}
	home := fields.Value("home")
	if t.Source != "" {
		u, err = t.User(found.Name, home)
	} else {
		u, err = t.From(found.Name, home, func() (location.Location, error) {
			place := options.ReadPlace(settings.View)
			if mail, ok := found.Fields.Get("mail"); ok {
				place = options.ParsePlace(mail)
			}
			return place.Location(lookup(fields), home)
		})
	}
	uid, noUID := strconv.Atoi(fields.Value("uid"))
	gid, noGID := strconv.Atoi(fields.Value("gid"))
	if os.Geteuid() == 0 && noUID == nil && noGID == nil {
		u.Owner = &convert.Owner{UID: uid, GID: gid}
	}
	return u, err
}

// tell prints one user's part when he is done.
func (o *output) tell(out io.Writer, u *convert.UserReport) {
	switch {
	case o.asJSON:
		l := newLines(out)
		l.object(struct {
			Kind string `json:"kind"`
			*convert.UserReport
		}{"user", u})
		l.Flush()
	case !o.quiet:
		u.WriteText(out)
	}
}

// sum prints the totals.
func (o *output) sum(out io.Writer, r *convert.Report) error {
	switch {
	case o.asJSON:
		l := newLines(out)
		l.object(struct {
			Kind   string `json:"kind"`
			Verb   string `json:"verb"`
			DryRun bool   `json:"dry_run,omitempty"`
			convert.Totals
			Seconds    float64 `json:"seconds"`
			Unfinished string  `json:"unfinished,omitempty"`
		}{"totals", r.Verb, r.DryRun, r.Totals, r.Seconds, r.Unfinished})
		return l.Flush()
	case o.quiet:
		return nil
	}
	return r.WriteText(out)
}
