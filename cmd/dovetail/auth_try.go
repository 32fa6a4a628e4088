package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"dovetail/auth"
)

func newAuthTest() *cobra.Command {
	var v authVerb
	var master string
	cmd := &cobra.Command{
		Use:   "test [flags] user [password]",
		Short: "Try a password",
		Long: `Log in as a user, by the passdbs alone, and print what came with it. Without a
password on the command line it is read from the terminal, or from a line of
standard input. On the command line, where doveadm takes it too, other users may
see it for a moment before it is wiped out, and the shell keeps it in its history.

With -M a master user logs in as the user, with the master user's password.
` + exitHelp(exitDone, exitUsage, exitTryAgain, exitPermission, exitConfig),
		Example: `  dovetail auth test -c /etc/dovecot/dovecot.conf ann@example.org
  dovetail auth test -x service=imap -x rip=192.0.2.7 ann@example.org < secret`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error { return v.try(cmd, given, master) },
	}
	v.flags(cmd)
	cmd.Flags().StringVarP(&master, "master-user", "M", "", "log in as this master `user` for the other one")
	return cmd
}

func (v *authVerb) try(cmd *cobra.Command, given []string, master string) error {
	hide()
	user := given[0]
	var password string
	if len(given) == 2 {
		password = strings.Clone(given[1])
		wipe(given[1])
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
	if len(given) < 2 {
		if password, err = askPassword(cmd); err != nil {
			return err
		}
	}
	reply, err := service.Login(cmd.Context(), r, user, master, password)
	if err != nil {
		return err
	}
	status, word := exitDone, "succeeded"
	if !reply.OK {
		status, word = exitPermission, "failed"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "passdb: %s auth %s\n", user, word)
	printExtra(cmd.OutOrStdout(), replyFields(reply))
	return ended(status)
}

func printExtra(out io.Writer, fields auth.Fields) {
	fmt.Fprintln(out, "extra fields:")
	for _, f := range fields {
		if f.Value == "" {
			fmt.Fprintln(out, "  "+f.Key)
			continue
		}
		fmt.Fprintln(out, "  "+f.Key+"="+f.Value)
	}
}

// replyFields are what a client of Dovecot's service is told, in its order: the user first, other names of his last.
func replyFields(reply *auth.Reply) auth.Fields {
	fields := auth.Fields{{Key: "user", Value: reply.User}}
	if reply.Code != auth.CodeNone {
		fields = fields.Set("code", string(reply.Code))
	}
	for _, f := range reply.Fields.Without("pass") {
		fields = fields.Set(f.Key, f.Value)
	}
	if reply.Reason != "" {
		fields = fields.Set("reason", reply.Reason)
	}
	if reply.OriginalUser != "" && reply.OriginalUser != reply.User {
		fields = fields.Set("original_user", reply.OriginalUser)
	}
	if reply.AuthUser != "" {
		fields = fields.Set("auth_user", reply.AuthUser)
	}
	return fields
}

func newAuthLookup() *cobra.Command {
	var v authVerb
	var field string
	cmd := &cobra.Command{
		Use:   "lookup [flags] user…",
		Short: "Ask the passdbs for users without a password",
		Long: `Print what the passdbs have on each user, but for his password. Databases that
only check passwords, as PAM does, cannot say anything here.
` + exitHelp(exitDone, exitUsage, exitNoUser, exitTryAgain, exitConfig),
		Example: `  dovetail auth lookup -f nologin ann@example.org`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, users []string) error {
			r, err := v.request()
			if err != nil {
				return err
			}
			service, err := v.open(cmd)
			if err != nil {
				return err
			}
			defer service.Close()
			return eachUser(cmd, users, func(user string) int {
				reply, err := service.Lookup(cmd.Context(), r, user)
				if err != nil {
					return lookupStatus(cmd, "passdb", user, field != "", err)
				}
				fields := auth.Fields{{Key: "user", Value: reply.User}}
				for _, f := range reply.Fields.Without("original_user", "auth_user") {
					fields = fields.Set(f.Key, f.Value)
				}
				answer{"passdb", user, fields}.print(cmd.OutOrStdout(), field)
				return exitDone
			})
		},
	}
	v.flags(cmd)
	cmd.Flags().StringVarP(&field, "field", "f", "", "print only the value of this `field`")
	return cmd
}

// eachUser looks users up one after the other, with an empty line between them, and ends with the code of the last that
// failed.
func eachUser(cmd *cobra.Command, users []string, look func(user string) int) error {
	status := exitDone
	for i, user := range users {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		if s := look(user); s != exitDone {
			status = s
		}
		if err := cmd.Context().Err(); err != nil {
			return err
		}
	}
	return ended(status)
}
