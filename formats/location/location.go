// Package location reads mail locations in Dovecot 2.3's spelling and opens them.
//
//	DRIVER:ROOT[:KEY=VALUE|:FLAG]...        maildir:~/Maildir:INDEX=/var/index/%u:LAYOUT=fs
//
// "::" inside a value means ":", and a ":" at the end means nothing. "~/" is the home directory. Without a driver the format is found by looking at ROOT.
// The keys, in the words of Dovecot 2.3.19 (src/lib-storage/mailbox-list.c):
//
//	INBOX=         the inbox, elsewhere than in ROOT                             maildir, mbox
//	INDEX=         root of dovecot.index*; MEMORY: none                          all
//	CONTROL=       root of dovecot-uidlist, dovecot-keywords, subscriptions      all
//	ALT=           second storage for dbox messages                              sdbox, mdbox
//	LAYOUT=        Maildir++ (default of maildir), fs (default of the others)    maildir, others fs only
//	SUBSCRIPTIONS= DIRNAME= FULLDIRNAME= MAILBOXDIR=                             accepted with their default values only, and
//	               FULLDIRNAME not with INDEX or CONTROL, whose folders it moves
//	INDEXPVT=      refused: flags in private indexes are not read
//	UTF-8          names in raw UTF-8 on disk                                    all
//	INDEXCACHE= LISTINDEX= VOLATILEDIR= BROKENCHAR=
//	ALTNOCHECK ITERINDEX NO-NOSELECT NO-FS-VALIDATION                            say nothing about where mail is: read and kept
//
// and four of ours, for what Dovecot has in plugins and settings or not at all:
//
//	ESCAPE=C       the escape character of names (plugin listescape)             all
//	ATTACHMENTS=   mail_attachment_dir                                           sdbox, mdbox
//	DIALECT=       o, rd, cl, cl2: how a foreign mbox marks its messages         mbox
//	VERSION=       4, 5: which Courier-IMAP wrote or will read the tree          courier
//
// The driver courier is a Maildir whose lists are those of Courier-IMAP (courierimapuiddb and so on): only they are read
// and written, and no file of Dovecot's. ROOT is all there is to it; the version is found by looking, and is 5 where there
// is nothing to look at.
package location

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"dovetail/formats/spelling"
)

// Location says where and how one user's mail is kept. Paths are as given, with "~" and variables filled in.
type Location struct {
	Driver string // "maildir", "courier", "mbox", "sdbox", "mdbox"; "" is found by looking
	Root   string

	Inbox, Index, Control, Alt, Attachments string

	Layout  string // "" is the driver's own
	UTF8    bool
	Escape  string // "" or one character
	Dialect string
	Version string // of Courier; "" is found by looking

	// Kept holds keys that have no meaning for where mail is, in the order given: "LISTINDEX=x".
	Kept []string
}

// Vars fill in what a location leaves open.
type Vars struct {
	// Home is what "~" and %h stand for; "" makes them an error.
	Home string

	// User is what %u, %n (before "@") and %d (after it) stand for. "" leaves "%" alone.
	User string
}

// Error says which part of a location is wrong.
type Error struct {
	Location string
	Offset   int // byte in Location
	Problem  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("location %q at byte %d: %s", e.Location, e.Offset, e.Problem)
}

var drivers = []string{"maildir", "courier", "mbox", "sdbox", "mdbox", "dbox"}

// Parse reads a location. A wrong one gives an *Error.
func Parse(s string, v Vars) (Location, error) {
	parts, offsets := split(s)
	if n := len(parts) - 1; n > 1 && parts[n] == "" {
		parts = parts[:n]
	}
	var l Location
	i := 0
	if slices.Contains(drivers, parts[0]) && len(parts) > 1 {
		l.Driver = parts[0]
		i = 1
	} else if len(parts) > 1 && !strings.ContainsAny(parts[0], "/~.=") && !isKey(parts[1]) {
		return l, &Error{s, 0, fmt.Sprintf("unknown driver %q; known are %s", parts[0], strings.Join(drivers, ", "))}
	}
	if l.Driver == "dbox" {
		l.Driver = "sdbox" // Dovecot's own alias
	}
	fail := func(i int, problem string) (Location, error) { return Location{}, &Error{s, offsets[i], problem} }
	for n, part := range parts[i:] {
		value, err := v.expand(part, n > 0)
		if err != nil {
			return fail(i+n, err.Error())
		}
		if n == 0 {
			if value == "" {
				return fail(i, "no path")
			}
			l.Root = trimSlash(value)
			if l.Driver == "" && !strings.Contains(l.Root, "/") {
				l.Root = "./" + l.Root // never to be taken for a driver
			}
			continue
		}
		if err := l.set(value); err != nil {
			return fail(i+n, err.Error())
		}
	}
	if err := l.check(); err != nil {
		return fail(0, err.Error())
	}
	return l, nil
}

// split cuts at single colons; offsets say where each part began.
func split(s string) (parts []string, offsets []int) {
	var b strings.Builder
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != ':':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == ':':
			b.WriteByte(':')
			i++
		default:
			parts, offsets = append(parts, b.String()), append(offsets, start)
			b.Reset()
			start = i + 1
		}
	}
	return append(parts, b.String()), append(offsets, start)
}

// trimSlash takes trailing slashes away; "/" stays.
func trimSlash(path string) string {
	if t := strings.TrimRight(path, "/"); t != "" {
		return t
	}
	return path
}

// expand fills in "~" at the beginning of a path and variables anywhere. keyed parts have their path after "=".
func (v Vars) expand(part string, keyed bool) (string, error) {
	key, path := "", part
	if keyed {
		if k, p, ok := strings.Cut(part, "="); ok {
			key, path = k+"=", p
		}
	}
	if path == "~" || strings.HasPrefix(path, "~/") {
		if v.Home == "" {
			return "", fmt.Errorf("%q needs a home directory, and none is known", path)
		}
		path = v.Home + path[1:]
	} else if strings.HasPrefix(path, "~") {
		return "", fmt.Errorf("%q: only ~/ is understood", path)
	}
	path, err := v.variables(path)
	return key + path, err
}

// longNames are the variables' names in braces (Dovecot 2.3, Config variables).
var longNames = map[string]byte{"{user": 'u', "{username": 'n', "{domain": 'd', "{home": 'h'}

func (v Vars) variables(s string) (string, error) {
	if v.User == "" {
		return s, nil
	}
	local, domain, _ := strings.Cut(v.User, "@")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("%q ends in a lone %%", s)
		}
		if name, rest, ok := strings.Cut(s[i:], "}"); ok && longNames[name] != 0 {
			s = s[:i] + string(longNames[name]) + rest
		}
		switch s[i] {
		case 'u':
			b.WriteString(v.User)
		case 'n':
			b.WriteString(local)
		case 'd':
			b.WriteString(domain)
		case 'h':
			if v.Home == "" {
				return "", fmt.Errorf("%q needs a home directory, and none is known", s)
			}
			b.WriteString(v.Home)
		case '%':
			b.WriteByte('%')
		default:
			return "", fmt.Errorf("unknown variable %%%c; known are %%u %%n %%d %%h and %%{user} %%{username} %%{domain} %%{home}", s[i])
		}
	}
	return b.String(), nil
}

var flags = []string{"UTF-8", "ALTNOCHECK", "ITERINDEX", "NO-NOSELECT", "NO-FS-VALIDATION"}

// fixed are keys that are understood only with the value that the format has anyway.
var fixed = map[string][]string{
	"DIRNAME": {"dbox-Mails"}, "FULLDIRNAME": {"dbox-Mails"}, "MAILBOXDIR": {"mailboxes"}, "SUBSCRIPTIONS": {"subscriptions", ".subscriptions"},
}

var keys = []string{"INBOX", "INDEX", "CONTROL", "ALT", "LAYOUT", "SUBSCRIPTIONS", "DIRNAME", "FULLDIRNAME", "MAILBOXDIR", "INDEXCACHE",
	"INDEXPVT", "LISTINDEX", "VOLATILEDIR", "BROKENCHAR", "ESCAPE", "ATTACHMENTS", "DIALECT", "VERSION"}

func unknownKey(key string) error {
	all := slices.Concat(keys, flags)
	if near := spelling.Nearest(key, all, len(key)/3+1); near != "" {
		return fmt.Errorf("unknown key %q; the nearest is %q", key, near)
	}
	return fmt.Errorf("unknown key %.40q; there are %s", key, strings.Join(all, " "))
}

func isKey(part string) bool {
	key, _, _ := strings.Cut(part, "=")
	return slices.Contains(keys, key) || slices.Contains(flags, part)
}

func (l *Location) set(part string) error {
	key, value, hasValue := strings.Cut(part, "=")
	if !isKey(part) {
		return unknownKey(key)
	}
	if !hasValue {
		if part == "UTF-8" {
			l.UTF8 = true
			return nil
		}
		if !slices.Contains(flags, part) {
			return fmt.Errorf("%s needs a value", key)
		}
		l.Kept = append(l.Kept, part)
		return nil
	}
	switch key {
	case "INBOX":
		l.Inbox = trimSlash(value)
	case "INDEX":
		l.Index = trimSlash(value)
	case "CONTROL":
		l.Control = trimSlash(value)
	case "ALT":
		l.Alt = trimSlash(value)
	case "ATTACHMENTS":
		l.Attachments = trimSlash(value)
	case "LAYOUT":
		l.Layout = value
	case "DIALECT":
		l.Dialect = value
	case "ESCAPE":
		l.Escape = value
	case "VERSION":
		l.Version = value
	case "INDEXPVT":
		return fmt.Errorf("INDEXPVT: flags in private indexes cannot be read")
	default:
		if want, ok := fixed[key]; ok && !slices.Contains(want, value) {
			return fmt.Errorf("%s=%s: only %s is supported", key, value, strings.Join(want, " or "))
		}
		l.Kept = append(l.Kept, part)
	}
	return nil
}

func (l *Location) check() error {
	layouts := map[string][]string{
		"maildir": {"", "Maildir++", "fs"}, "courier": {"", "Maildir++"}, "mbox": {"", "fs"}, "sdbox": {"", "fs", "index"}, "mdbox": {"", "fs", "index"}, "": {"", "Maildir++", "fs", "index"},
	}[l.Driver]
	i := slices.IndexFunc(layouts, func(s string) bool { return strings.EqualFold(s, l.Layout) })
	if i < 0 {
		return fmt.Errorf("LAYOUT=%s is not possible with %s; possible are %s", l.Layout, l.Driver, strings.Join(layouts[1:], ", "))
	}
	l.Layout = layouts[i]
	if len(l.Escape) > 1 {
		return fmt.Errorf("ESCAPE=%s: one character is wanted", l.Escape)
	}
	if !slices.Contains([]string{"", "o", "rd", "cl", "cl2"}, l.Dialect) {
		return fmt.Errorf("DIALECT=%s: o, rd, cl and cl2 are known", l.Dialect)
	}
	if l.Driver == "courier" {
		return l.checkCourier()
	}
	dbox := l.Driver == "" || l.Driver == "sdbox" || l.Driver == "mdbox"
	switch {
	case l.Alt != "" && !dbox:
		return fmt.Errorf("ALT is for sdbox and mdbox, not for %s", l.Driver)
	case l.Attachments != "" && !dbox:
		return fmt.Errorf("ATTACHMENTS is for sdbox and mdbox, not for %s", l.Driver)
	case l.Index == "MEMORY" && dbox && l.Driver != "":
		return fmt.Errorf("INDEX=MEMORY is not possible with %s, which keeps flags only in its index", l.Driver)
	case (l.Index != "" || l.Control != "") && slices.ContainsFunc(l.Kept, func(k string) bool { return strings.HasPrefix(k, "FULLDIRNAME=") }):
		return fmt.Errorf("FULLDIRNAME with INDEX or CONTROL is not supported")
	case l.Dialect != "" && l.Driver != "" && l.Driver != "mbox":
		return fmt.Errorf("DIALECT is for mbox, not for %s", l.Driver)
	case l.Version != "":
		return fmt.Errorf("VERSION is for courier; write the driver in front, as in courier:%s", l.Root)
	}
	return nil
}

// checkCourier: Courier has everything in one place.
func (l *Location) checkCourier() error {
	for _, kv := range []struct{ key, value string }{
		{"INBOX", l.Inbox}, {"INDEX", l.Index}, {"CONTROL", l.Control}, {"ALT", l.Alt}, {"ATTACHMENTS", l.Attachments},
		{"ESCAPE", l.Escape}, {"DIALECT", l.Dialect},
	} {
		if kv.value != "" {
			return fmt.Errorf("%s is not possible with courier, which keeps everything beside the mail", kv.key)
		}
	}
	if l.UTF8 {
		return fmt.Errorf("UTF-8 is not for courier; names are in UTF-8 with VERSION=5")
	}
	if !slices.Contains([]string{"", "4", "5"}, l.Version) {
		return fmt.Errorf("VERSION=%s: 4 and 5 are known", l.Version)
	}
	return nil
}

// String spells the location; Parse gives the same one again if it has no "~" or variables left.
func (l Location) String() string {
	parts := []string{}
	if l.Driver != "" {
		parts = append(parts, l.Driver)
	}
	parts = append(parts, l.Root)
	for _, kv := range []struct{ key, value string }{
		{"INBOX", l.Inbox}, {"INDEX", l.Index}, {"CONTROL", l.Control}, {"ALT", l.Alt}, {"ATTACHMENTS", l.Attachments},
		{"LAYOUT", l.Layout}, {"ESCAPE", l.Escape}, {"DIALECT", l.Dialect}, {"VERSION", l.Version},
	} {
		if kv.value != "" {
			parts = append(parts, kv.key+"="+kv.value)
		}
	}
	if l.UTF8 {
		parts = append(parts, "UTF-8")
	}
	parts = append(parts, l.Kept...)
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, ":", "::")
	}
	return strings.Join(parts, ":")
}

// Paths are the places on disk that the location names, made absolute and clean.
func (l Location) Paths() []string {
	var paths []string
	for _, p := range []string{l.Root, l.Inbox, l.Index, l.Control, l.Alt} {
		if p == "" || p == "MEMORY" {
			continue
		}
		if abs, err := filepath.Abs(p); err == nil {
			paths = append(paths, abs)
		}
	}
	return paths
}

// Holds tells whether path lies where a store at this location keeps mailboxes, so that it would take what is there for
// its own: for dbox below mailboxes/ and storage/, for Maildir++ in folders with a leading dot, otherwise anywhere.
func (l Location) Holds(path string) bool {
	root, err := real(l.Root)
	if err != nil {
		return false
	}
	if path, err = real(path); err != nil {
		return false
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, "../") {
		return false
	}
	first, _, _ := strings.Cut(rel, "/")
	driver := l.Driver
	if driver == "" {
		driver, _ = Detect(root) // unknown: anything may be a mailbox
	}
	switch {
	case driver == "sdbox" || driver == "mdbox":
		return first == "mailboxes" || first == "storage"
	case (driver == "maildir" || driver == "courier") && !strings.EqualFold(l.Layout, "fs"):
		return first[0] == '.' || first == "cur" || first == "new" || first == "tmp"
	}
	return true
}

// real is a path without links, as far as it exists.
func real(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		if whole, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(whole, rest), nil
		}
		if path == "/" {
			return "", fs.ErrNotExist
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

// Identity names a store across runs and working folders.
func (l Location) Identity() string { return l.Driver + ":" + strings.Join(l.Paths(), ":") }

// moved is the location with all its places below dir.
func (l Location) moved(dir string) Location {
	for name, path := range map[string]*string{
		"root": &l.Root, "inbox": &l.Inbox, "index": &l.Index, "control": &l.Control, "alt": &l.Alt, "attachments": &l.Attachments,
	} {
		if *path != "" && *path != "MEMORY" {
			*path = filepath.Join(dir, name)
		}
	}
	return l
}
