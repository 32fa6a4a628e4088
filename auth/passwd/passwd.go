// Package passwd is the users of the system, as Dovecot's userdb passwd, passdb passwd and passdb shadow know them.
//
// # Where they are looked up
//
// /etc/nsswitch.conf names the sources of each database, "passwd: files systemd sss". What is in /etc/passwd,
// /etc/group and /etc/shadow is read here; this program is not linked with the C library, so a source behind
// "files" is asked by the program getent, about a millisecond each time. Is "files" not the first source, or has it
// an action ("files [NOTFOUND=return]"), everything is asked by getent. Files are read again when they change.
//
//	passwd   name:password:uid:gid:comment:home:shell
//	shadow   name:password:…
//	group    name:password:gid:member,member
//
// Lines that glibc's "files" cannot read are left out as there (nss/nss_files/files-parse.c); the first of two lines for
// one name counts.
//
// getent says "not found" also when a source is down (its exit code is 2 for both), so a system that needs to tell these
// apart is asked by PAM.
//
// # Names
//
// A name never becomes an option of getent. getent takes a name of digits for a uid, which getpwnam does not; such a name
// is looked for in the list of all accounts. A name with control characters or a colon is unknown.
package passwd

import (
	"context"
	"iter"
	"log/slog"
	"strconv"
	"strings"

	"dovetail/auth"
)

// DefaultWorkers is auth_worker_max_count's default.
const DefaultWorkers = 30

// Options say where the system is, and who is a user of mail in it.
type Options struct {
	FirstUID, LastUID uint32 // of accounts that are listed; LastUID 0: no upper bound
	FirstGID, LastGID uint32 // and of their groups

	Workers int    // programs at once; 0: DefaultWorkers
	Getent  string // the program; "": getent on PATH
	Etc     string // the folder of the files; "": /etc
}

// account is a line of passwd.
type account struct {
	name, password string
	uid, gid       uint32
	home           string
}

// parseAccount reads a line without its end.
func parseAccount(line string) (account, bool) {
	parts := strings.SplitN(line, ":", 7)
	if len(parts) < 5 || ignored(parts[0]) {
		return account{}, false
	}
	uid, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil {
		return account{}, false
	}
	gid, err := strconv.ParseUint(parts[3], 10, 32)
	if err != nil {
		return account{}, false
	}
	a := account{name: parts[0], password: parts[1], uid: uint32(uid), gid: uint32(gid)}
	if len(parts) > 5 {
		a.home = parts[5]
	}
	return a, true
}

// ignored tells whether a line with this first field is none of an account: comments, and "+" and "-" of NIS.
func ignored(name string) bool { return name == "" || strings.ContainsRune("#+-", rune(name[0])) }

// odd tells whether a name can be none of an account, and must not be asked for.
func odd(name string) bool {
	const longest = 1024 // LOGIN_NAME_MAX is 256
	return name == "" || len(name) > longest || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == ':' })
}

// UserDB is the accounts: an auth.UserDB, Lister and Cacheable, for many goroutines.
type UserDB struct {
	o      Options
	system *system
}

// NewUserDB reads nothing yet.
func NewUserDB(o Options) (*UserDB, error) { return &UserDB{o, newSystem(o)}, nil }

// CacheKey is an auth.Cacheable's.
func (db *UserDB) CacheKey() []string { return []string{"user"} }

// Find gives system_groups_user, uid, gid and home, and the user's name if the system has it in other letters.
func (db *UserDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	a, err := db.system.account(ctx, r.User)
	if err != nil {
		return nil, err
	}
	var f auth.Fields
	if a.name != r.User {
		f = f.Set("user", a.name)
	}
	return append(f,
		auth.Field{Key: "system_groups_user", Value: a.name},
		auth.Field{Key: "uid", Value: strconv.FormatUint(uint64(a.uid), 10)},
		auth.Field{Key: "gid", Value: strconv.FormatUint(uint64(a.gid), 10)},
		auth.Field{Key: "home", Value: a.home}), nil
}

// Users gives the accounts within the bounds of ids, in the order of the sources.
func (db *UserDB) Users(ctx context.Context, _ *auth.Request) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for a, err := range db.system.accounts(ctx) {
			switch {
			case err != nil:
				yield("", err)
				return
			case !within(a.uid, db.o.FirstUID, db.o.LastUID) || !within(a.gid, db.o.FirstGID, db.o.LastGID):
			case !yield(a.name, nil):
				return
			}
		}
	}
}

func within(id, first, last uint32) bool { return id >= first && (last == 0 || id <= last) }

// PassDB is the passwords of passwd or shadow; their scheme is CRYPT.
type PassDB struct {
	system *system
	shadow bool
}

// NewPassDB gives the passwords in passwd, where they have not been for long on most systems.
func NewPassDB(o Options) (*PassDB, error) { return &PassDB{system: newSystem(o)}, nil }

// NewShadow gives those in shadow, which only root can read.
func NewShadow(o Options) (*PassDB, error) { return &PassDB{system: newSystem(o), shadow: true}, nil }

// CacheKey is an auth.Cacheable's.
func (db *PassDB) CacheKey() []string { return []string{"user"} }

// Find gives "password", and the user's name if the system has it in other letters. An account whose password is locked
// or none is auth.ErrDisabled; one whose password is elsewhere has none that matches. Other fields of shadow, such as when the account ends, are not looked at: PAM does that.
func (db *PassDB) Find(ctx context.Context, r *auth.Request) (auth.Fields, error) {
	var name, password string
	var err error
	if db.shadow {
		name, password, err = db.system.shadow(ctx, r.User)
	} else {
		var a account
		a, err = db.system.account(ctx, r.User)
		name, password = a.name, a.password
	}
	if err != nil {
		return nil, err
	}
	// IS_VALID_PASSWD in Dovecot 2.3.19's src/auth/passdb.h. The field itself, which Dovecot logs for passwd, may be
	// a hash behind "!".
	if password == "" || password[0] == '!' || password[0] == '*' {
		return nil, &auth.Refusal{Err: auth.ErrDisabled, Text: "invalid password field", Level: slog.LevelInfo}
	}
	// "x" says that the password is elsewhere; no password has that hash.
	if password == "x" {
		return nil, auth.ErrMismatch
	}
	f := auth.Fields{{Key: "password", Value: password}}
	if name != r.User {
		f = f.Set("user", name)
	}
	return f, nil
}

// parseShadow reads name and password of a line without its end.
func parseShadow(line string) (name, password string, ok bool) {
	name, rest, ok := strings.Cut(line, ":")
	if !ok || ignored(name) {
		return "", "", false
	}
	password, _, ok = strings.Cut(rest, ":")
	return name, password, ok
}
