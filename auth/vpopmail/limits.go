package vpopmail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"dovetail/auth/listfile"
)

// Limits is what a domain's .qmailadmin-limits, or its row of the table limits, says about all its accounts. How many
// accounts and lists an administrator may make is not in it: that is no property of a mailbox.
type Limits struct {
	Flags Flags // what is switched off for every account without Override

	// Quota of an account that has none of its own. vpopmail puts it into the account when that is made, so a list made
	// by vpopmail does not need it; bytes and messages, 0: none.
	Default Quota
}

// limitWords are the words of .qmailadmin-limits and columns of the table limits that set flags.
var limitWords = map[string]Flags{
	"disable_pop": NoPOP, "disable_imap": NoIMAP, "disable_smtp": NoSMTP, "disable_webmail": NoWebmail,
	"disable_external_relay": NoRelay, "disable_relay": NoRelay, "disable_dialup": NoDialup, "disable_password_changing": NoPasswordChange,
	"disable_passwordchanging": NoPasswordChange, "disable_spamassassin": NoSpamAssassin, "delete_spam": DeleteSpam, "disable_maildrop": NoMaildrop,
}

// limitNumbers are the other words; those that set nothing of ours are 0 in meaning and known in spelling.
var limitNumbers = map[string]bool{
	"maxpopaccounts": true, "maxaliases": true, "maxforwards": true, "maxautoresponders": true, "maxmailinglists": true,
	"quota": true, "maxmsgcount": true, "default_quota": true, "default_maxmsgcount": true,
}

// ReadLimits reads .qmailadmin-limits in the domain's folder. No such file: no limits.
func ReadLimits(d Domain) (Limits, []Problem, error) {
	f, _, err := listfile.Open(filepath.Join(d.Dir, ".qmailadmin-limits"))
	if errors.Is(err, fs.ErrNotExist) {
		return Limits{}, nil, nil
	}
	if err != nil {
		return Limits{}, nil, err
	}
	defer f.Close()
	return ParseLimits(f, f.Name())
}

// ParseLimits reads lines "key: number" and words that stand alone. A word that is not known is a problem: it may be one
// that keeps people out.
func ParseLimits(r io.Reader, path string) (l Limits, problems []Problem, err error) {
	for line, err := range listfile.Lines(r) {
		if err != nil {
			return Limits{}, nil, fmt.Errorf("%s: %w", path, err)
		}
		text := strings.TrimSpace(string(line.Text))
		key, value, hasValue := strings.Cut(text, ":")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch flag := limitWords[key]; {
		case text == "" || strings.HasPrefix(text, "#"):
		case flag != 0:
			if !hasValue || atoi(value) != 0 {
				l.Flags |= flag
			}
		case key == "default_quota":
			l.Default.Bytes = int64(max(0, atoi(value))) << 20
		case key == "default_maxmsgcount":
			l.Default.Messages = int64(max(0, atoi(value)))
		case !limitNumbers[key] && !strings.HasPrefix(key, "perm_"):
			problems = append(problems, Problem{Path: path, Line: line.Number, What: "a word that is not known"})
		}
	}
	return l, problems, nil
}
