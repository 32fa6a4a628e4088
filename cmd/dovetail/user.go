package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/auth"
	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

func newUser() *cobra.Command {
	v := &userVerb{}
	cmd := &cobra.Command{
		Use:   "user [flags] mask…",
		Short: "Ask the userdbs for users, as doveadm user does",
		Long: `Print uid, gid, home and settings of users, as delivery and logged-in sessions
see them: what the userdbs do not say comes from mail_uid, mail_gid, mail_home
and mail_location. With -u only what the userdbs say is printed.

A mask with "*" or "?" lists the names that match, from the userdbs that can list
their users.
` + exitHelp(exitDone, exitUsage, exitNoUser, exitTryAgain, exitConfig),
		Example: `  dovetail user ann@example.org
  dovetail user -f home ann@example.org
  dovetail user '*@example.org'`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, masks []string) error { return v.run(cmd, masks) },
	}
	v.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&v.only, "userdb-only", "u", false, "only what the userdbs say")
	f.StringVarP(&v.field, "field", "f", "", "print only the value of this `field`")
	f.StringVarP(&v.expand, "expand-field", "e", "", "print this `text` with its variables replaced")
	return cmd
}

type userVerb struct {
	authVerb
	only          bool
	field, expand string
}

func (v *userVerb) run(cmd *cobra.Command, masks []string) error {
	switch {
	case v.expand != "" && v.only:
		return usagef("-e can't be used with -u")
	case v.expand != "" && v.field != "":
		return usagef("-e can't be used with -f")
	}
	r, err := v.request()
	if err != nil {
		return err
	}
	service, err := v.open(cmd)
	if err != nil {
		return err
	}
	defer service.Close()
	if strings.ContainsAny(strings.Join(masks, ""), "*?") {
		return listUsers(cmd, service, r, masks)
	}
	s := userSettings{}
	if !v.only {
		c, err := v.load(cmd)
		if err != nil {
			return err
		}
		s.View = c.For(config.Filter{Protocol: r.Service})
	}
	if !v.only && v.field == "" && v.expand == "" {
		fmt.Fprintln(cmd.OutOrStdout(), "field\tvalue")
	}
	return eachUser(cmd, masks, func(name string) int {
		user, err := service.User(cmd.Context(), r, name)
		switch {
		case err != nil && errors.Is(err, auth.ErrUnknown) && !v.only && v.field == "" && v.expand == "":
			fmt.Fprintln(cmd.OutOrStdout()) // doveadm ends its table first
			fallthrough
		case err != nil:
			return lookupStatus(cmd, "userdb", name, v.field != "" || v.expand != "", err)
		case v.only:
			fields := append(auth.Fields{{Key: "user", Value: user.Name}}, user.Fields...)
			answer{"userdb", name, fields}.print(cmd.OutOrStdout(), v.field)
			return exitDone
		}
		return v.print(cmd, s, r, name, user)
	})
}

// listUsers prints the names that fit one of the masks, whatever their case.
func listUsers(cmd *cobra.Command, service authority, r auth.Request, masks []string) error {
	for name, err := range service.Users(cmd.Context(), r) {
		if err != nil {
			if ctx := cmd.Context().Err(); ctx != nil {
				return ctx
			}
			if !errors.Is(err, auth.ErrNoList) {
				fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "Error: auth-master: userdb list: User listing returned failure")
			fmt.Fprintln(cmd.ErrOrStderr(), "Fatal: user listing failed")
			return ended(exitTryAgain)
		}
		for _, mask := range masks {
			if fitsMask(strings.ToLower(name), strings.ToLower(mask)) {
				fmt.Fprintln(cmd.OutOrStdout(), name)
				break
			}
		}
	}
	return nil
}

// fitsMask matches a whole name with "*" and "?".
func fitsMask(name, mask string) bool {
	star, back := -1, 0
	n, m := 0, 0
	for n < len(name) {
		switch {
		case m < len(mask) && mask[m] == '*':
			star, back = m, n
			m++
		case m < len(mask) && (mask[m] == '?' || mask[m] == name[n]):
			n++
			m++
		case star >= 0:
			back++
			n, m = back, star+1
		default:
			return false
		}
	}
	return strings.Trim(mask[m:], "*") == ""
}

// print shows a user with what the settings add.
func (v *userVerb) print(cmd *cobra.Command, s userSettings, r auth.Request, asked string, user *auth.User) int {
	lookup := variables(r, asked, user)
	fields, err := s.complete(user, asked, lookup)
	if err == nil && v.expand != "" {
		var text string
		if text, err = s.expand(v.expand, lookup(fields)); err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), text)
		} else {
			fmt.Fprintf(cmd.ErrOrStderr(), "Error: Failed to expand %s: %v\n", v.expand, err)
			err = nil
		}
		fields = nil
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "Error: userdb lookup failed for %s: %v\n", asked, err)
		return exitTryAgain
	}
	for _, f := range fields {
		switch {
		case v.field == "":
			fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", f.Key, f.Value)
		case v.field == f.Key:
			fmt.Fprintln(cmd.OutOrStdout(), f.Value)
		}
	}
	return exitDone
}

// userSettings are those that a user's fields stand before.
type userSettings struct{ config.View }

// complete gives the fields of a user in doveadm's order: the name if it is another than was asked for, the ids, home and
// place of mail, and what else the userdbs say.
func (s userSettings) complete(user *auth.User, asked string, lookup func(auth.Fields) variable.Lookup) (fields auth.Fields, err error) {
	if user.Name != asked {
		fields = fields.Set("user", user.Name)
	}
	mail := "mail"
	if s.Dialect == conf.V24 {
		mail = "mail_path"
	}
	set, err := options.Read[options.Users](s.View)
	if err != nil {
		return nil, err
	}
	rest := user.Fields.Without("uid", "gid", "home", mail)
	for _, f := range []struct {
		key  string
		text options.Template
	}{{"uid", options.Template{Text: set.UID}}, {"gid", options.Template{Text: set.GID}}, {"home", set.Home}, {mail, s.mail(mail)}} {
		value, ok := user.Fields.Get(f.key)
		if !ok {
			if value, err = f.text.Expand(lookup(fields)); err != nil {
				return nil, fmt.Errorf("%s: %w", f.key, err)
			}
		}
		fields = fields.Set(f.key, value)
	}
	for _, f := range rest {
		fields = fields.Set(f.Key, f.Value)
	}
	return fields, nil
}

// mail is the setting that says where mail is, in the words of its dialect.
func (s userSettings) mail(name24 string) options.Template {
	if s.Dialect == conf.V24 {
		v, _ := s.Get(name24)
		return options.Template{Text: v.Text}
	}
	v, _ := s.Get("mail_location")
	return options.Template{Text: v.Text, Old: true}
}

func (s userSettings) expand(text string, l variable.Lookup) (string, error) {
	return options.Template{Text: text, Old: s.Dialect != conf.V24}.Expand(l)
}

// variables are those of a user's settings; fields has what is known of ids and home by then.
func variables(r auth.Request, asked string, user *auth.User) func(fields auth.Fields) variable.Lookup {
	r.User, r.Requested, r.Found = user.Name, asked, user.Fields
	r.AuthUser, r.MasterUser = user.AuthUser, user.MasterUser
	return func(fields auth.Fields) variable.Lookup {
		return func(name string) (string, error) {
			switch name {
			case "h", "home":
				return fields.Value("home"), nil
			case "i", "uid":
				return fields.Value("uid"), nil
			case "gid":
				return fields.Value("gid"), nil
			}
			return r.Variable(name)
		}
	}
}
