package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"dovetail/auth/scheme"
)

func newPW() *cobra.Command {
	v := &pwVerb{}
	cmd := &cobra.Command{
		Use:   "pw [flags]",
		Short: "Make a password's hash, or test one, as doveadm pw does",
		Long: `Print the password as it is stored: {SCHEME}hash. It is asked for twice; from
what is no terminal one line is read for each question. With -t a stored
password is tested instead, with -V a new one is at once.

Schemes are named as in passdbs; ".b64" or ".hex" behind the name writes the
hash in that encoding. -l lists them; those that Dovecot 2.4 refuses unless
auth_allow_weak_schemes is set are made here, too.

Rounds are the scheme's own: the exponent of BLF-CRYPT (4 to 31, 5 if not
given), rounds of SHA256-CRYPT and SHA512-CRYPT (5000), of PBKDF2 (5000), passes
of ARGON2I and ARGON2ID, which also take more memory then. Hashes that take
minutes to verify are refused.

-p shows the password to everyone who can list processes while it is read, and
stays in the history of the shell.
` + exitHelp(exitDone, exitFailed, exitUsage) + `
  75  no such scheme, or the password is not the stored one`,
		Example: `  dovetail pw -s SHA512-CRYPT
  dovetail pw -s ARGON2ID -r 4
  dovetail pw -t '{SHA512-CRYPT}$6$…'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v.given = cmd.Flags().Changed("plaintext")
			return v.run(cmd)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&v.list, "list", "l", false, "list the schemes")
	f.StringVarP(&v.password, "plaintext", "p", "", "the `password`, instead of asking")
	f.Int64VarP(&v.rounds, "rounds", "r", 0, "how often to hash, in the scheme's own `unit`")
	f.StringVarP(&v.scheme, "scheme", "s", "CRYPT", "the `scheme` to make")
	f.StringVarP(&v.hash, "test-hash", "t", "", "test this stored password: `{SCHEME}hash`")
	f.StringVarP(&v.user, "user", "u", "", "whose password it is, for DIGEST-MD5: `user@realm`")
	f.BoolVarP(&v.verify, "reverse-verify", "V", false, "test the new one")
	return cmd
}

type pwVerb struct {
	list, verify, given          bool
	password, scheme, hash, user string
	rounds                       int64
}

func (v *pwVerb) run(cmd *cobra.Command) error {
	if v.list {
		fmt.Fprintln(cmd.OutOrStdout(), strings.Join(scheme.Names(), " ")+" ")
		return nil
	}
	if v.rounds < 0 || v.rounds > math.MaxUint32 {
		return fatal(cmd, "Invalid number of rounds: %d", v.rounds)
	}
	if err := v.ask(cmd); err != nil {
		return err
	}
	if v.hash != "" {
		return v.test(cmd, v.hash)
	}
	made, err := scheme.Make(v.scheme, v.user, v.password, scheme.MakeOptions{Rounds: uint32(v.rounds)})
	if errors.Is(err, scheme.ErrUnknown) {
		return fatal(cmd, "Unknown scheme: %s", strings.ToUpper(v.scheme))
	}
	if err != nil {
		return fatal(cmd, "%v", err)
	}
	if v.verify {
		return v.test(cmd, made)
	}
	fmt.Fprintln(cmd.OutOrStdout(), made)
	return nil
}

// test verifies a stored password, which must tell its scheme.
func (v *pwVerb) test(cmd *cobra.Command, stored string) error {
	name, value := scheme.Cut(stored, "")
	if name == "" && value == stored {
		return fatal(cmd, "Missing {scheme} prefix from hash")
	}
	p, err := scheme.Parse(stored, "")
	if err != nil {
		return fatal(cmd, "reverse decode check failed: %v", err)
	}
	ok, err := p.Verify(v.user, v.password, true)
	switch {
	case err != nil:
		return fatal(cmd, "reverse password verification check failed: %v", err)
	case !ok:
		return fatal(cmd, "reverse password verification check failed: Password mismatch")
	}
	fmt.Fprintf(cmd.OutOrStdout(), "{%s}%s (verified)\n", name, value)
	return nil
}

// fatal ends doveadm's verbs in its words and with its exit code.
func fatal(cmd *cobra.Command, format string, args ...any) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "Fatal: "+format+"\n", args...)
	return ended(exitTryAgain)
}

// ask gets the password: from -p, from the terminal without showing it, or a line of standard input a question.
func (v *pwVerb) ask(cmd *cobra.Command) error {
	if v.given {
		argument := v.password
		v.password = strings.Clone(argument)
		wipe(argument)
		return nil
	}
	question := questions(cmd)
	var err error
	if v.hash != "" {
		v.password, err = question("Enter password to verify: ")
		return err
	}
	for range 3 {
		if v.password, err = question("Enter new password: "); err != nil {
			return err
		}
		again, err := question("Retype new password: ")
		if err != nil {
			return err
		}
		if again == v.password {
			return nil
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Error: Passwords don't match!")
	}
	return ended(exitFailed)
}

// questions gives a function that asks for one password after the other. The end of standard input is an empty one.
func questions(cmd *cobra.Command) func(prompt string) (string, error) {
	in, isFile := cmd.InOrStdin().(*os.File)
	if isFile && term.IsTerminal(int(in.Fd())) {
		return func(prompt string) (string, error) {
			fmt.Fprint(cmd.ErrOrStderr(), prompt)
			text, err := term.ReadPassword(int(in.Fd()))
			fmt.Fprintln(cmd.ErrOrStderr())
			return string(text), err
		}
	}
	lines := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxPassword))
	return func(string) (string, error) {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password from standard input: %w", err)
		}
		return strings.TrimSuffix(line, "\n"), nil
	}
}
