package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"dovetail/formats/conf/variable"
)

// Options are the rules around the databases. Names in brackets are Dovecot's settings.
type Options struct {
	DefaultRealm    string             // (auth_default_realm) added to names without "@"
	Chars           string             // (auth_username_chars) bytes allowed in names; empty: all but control characters
	Translation     string             // (auth_username_translation) pairs of bytes: from, to, from, to …
	Format          *variable.Template // (auth_username_format) what becomes of a name; nil: nothing
	MasterSeparator string             // (auth_master_user_separator) between login user and master user; empty: none
	Anonymous       string             // (auth_anonymous_username) who ANONYMOUS is; empty: ANONYMOUS is refused
	Realms          []string           // (auth_realms) for DIGEST-MD5
	Mechanisms      []string           // (auth_mechanisms) in upper case
	ServerName      string             // of this host, in challenges
	// OpenIDConfiguration is an address that clients are told whose token was refused.
	OpenIDConfiguration string

	AllowWeak            bool // (auth_allow_weak_schemes)
	UsernameFromCert     bool // (auth_ssl_username_from_cert)
	RequireCert          bool // (auth_ssl_require_client_cert)
	FailureDelay         time.Duration
	InternalFailureDelay time.Duration // a random part of up to a half is added
	CacheSize            uint64        // (auth_cache_size) bytes; 0: nothing is kept
	CacheTTL             time.Duration // (auth_cache_ttl); 0: nothing is kept
	CacheNegativeTTL     time.Duration // (auth_cache_negative_ttl) for unknown users and wrong passwords
	Workers              int           // hashes computed at the same time; 0: one for each processor

	Verbose          bool   // (auth_verbose) why logins fail
	Debug            bool   // (auth_debug)
	VerbosePasswords string // (auth_verbose_passwords) "no", "plain", "sha1", each with ":N" for N characters

	FirstUID, LastUID, FirstGID, LastGID uint32 // (first_valid_uid …) of mail users; Last 0: no upper bound

	ProxySelf []netip.Addr // (auth_proxy_self) addresses of this host beside the one of the connection

	Log      *slog.Logger // nil: slog.Default()
	Accounts Accounts     // of the system; nil: /etc/passwd and /etc/group
	Penalty  Penalty      // nil: earlier failures do not matter
	Policy   Policy       // nil: nobody is asked
}

// Penalty slows down addresses from which wrong passwords came. Methods are called by many goroutines at once and do
// not wait.
type Penalty interface {
	// Wait tells how long the next attempt of an address has to wait before anything is done about it.
	Wait(addr netip.Addr) time.Duration
	Failed(addr netip.Addr, user, password string)
	Succeeded(addr netip.Addr)
}

// Policy is another program's opinion on logins. The methods never fail: what a policy that does not answer means is
// the policy's setting.
type Policy interface {
	// Before is asked before the databases are, After when they have accepted the password.
	Before(ctx context.Context, r *Request) Verdict
	After(ctx context.Context, r *Request) Verdict
	// Report tells how it went; refused says whether Before or After have refused.
	Report(ctx context.Context, r *Request, success, refused bool)
}

// Verdict is what a Policy says of a login.
type Verdict struct {
	Refuse bool
	Reason string        // for the client; may be empty
	Wait   time.Duration // before going on; not after success
}

// Accounts are the users and groups of the system.
type Accounts interface {
	UID(ctx context.Context, name string) (uint32, error)      // ErrUnknown: there is none of that name
	GID(ctx context.Context, group string) (uint32, error)     // likewise
	Groups(ctx context.Context, name string) ([]uint32, error) // all groups of a user
}

// What Begin refuses.
var ErrMechanism = errors.New("unsupported authentication mechanism")

// Service answers logins and lookups with a chain of each kind of database. All methods may be called by many
// goroutines at once.
type Service struct {
	o       Options
	log     *slog.Logger
	number  int // among diverted ones
	names   naming
	normal  []*passdb
	masters []*passdb
	users   []*userdb
	cache   *cache
	delays  delays
	hashes  *hashing

	diverted []diversion // what Divert was told
}

// New makes a service of the rules and the chains, whose databases it then owns. Rules that contradict each other are
// errors in Dovecot's words.
func New(o Options, pass []PassEntry, users []UserEntry) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Accounts == nil {
		o.Accounts = localAccounts{}
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	names, err := newNaming(&o)
	if err != nil {
		return nil, err
	}
	s := &Service{o: o, log: o.Log, names: names, cache: newCache(o.CacheSize, o.CacheTTL, o.CacheNegativeTTL),
		hashes: newHashing(o.Workers)}
	if err := s.addPass(pass); err != nil {
		return nil, err
	}
	if err := s.addUsers(users); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) addPass(entries []PassEntry) error {
	for i := range entries {
		p := &passdb{PassEntry: entries[i], number: i + 1}
		if p.DB == nil {
			return fmt.Errorf("passdb %s: no database", p.Driver)
		}
		if !p.Skip.isPass() {
			return fmt.Errorf("passdb %s: Invalid skip %q", p.Driver, p.Skip)
		}
		if err := fillRules(&p.Success, &p.Failure, &p.InternalFailure); err != nil {
			return fmt.Errorf("passdb %s: %w", p.Driver, err)
		}
		if p.Deny && p.Master {
			return errors.New("Master passdb can't be deny passdb")
		}
		p.FieldsFirst = p.FieldsFirst || !p.ImportAll
		if c, ok := p.DB.(Cacheable); ok {
			p.key = c.CacheKey()
		}
		if p.Master {
			s.masters = append(s.masters, p)
			continue
		}
		s.normal = append(s.normal, p)
	}
	if len(s.masters) > 0 {
		last := s.masters[len(s.masters)-1]
		if len(s.normal) == 0 && (last.Success == Continue || last.Success == ContinueOK) {
			return errors.New("Master passdb can't have pass=yes if there are no passdbs")
		}
	}
	return nil
}

func (s *Service) addUsers(entries []UserEntry) error {
	for i := range entries {
		u := &userdb{UserEntry: entries[i], number: i + 1}
		if u.DB == nil {
			return fmt.Errorf("userdb %s: no database", u.Driver)
		}
		if !u.Skip.isUser() {
			return fmt.Errorf("userdb %s: Invalid skip %q", u.Driver, u.Skip)
		}
		if err := fillRules(&u.Success, &u.Failure, &u.InternalFailure); err != nil {
			return fmt.Errorf("userdb %s: %w", u.Driver, err)
		}
		u.FieldsFirst = u.FieldsFirst || !u.ImportAll
		if c, ok := u.DB.(Cacheable); ok {
			u.key = c.CacheKey()
		}
		s.users = append(s.users, u)
	}
	return nil
}

// FlushCache forgets what is known of the users, or everything if none is named, and tells how many entries that were.
func (s *Service) FlushCache(users ...string) (n int) {
	s.each(func(s *Service) { n += s.cache.flush(users) })
	return n
}

// Reset does what SIGHUP does: the cache is emptied.
func (s *Service) Reset() {
	if s.cache == nil {
		return
	}
	s.log.Info(fmt.Sprintf("SIGHUP received, %d cache entries flushed", s.FlushCache()))
}

// Close sends out all failures that wait and closes the databases that can be closed.
func (s *Service) Close() error {
	s.delays.close()
	var errs []error
	for _, d := range s.diverted {
		errs = append(errs, d.to.Close())
	}
	closeOne := func(db any) {
		if c, ok := db.(interface{ Close() error }); ok {
			errs = append(errs, c.Close())
		}
	}
	for _, p := range slices.Concat(s.masters, s.normal) {
		closeOne(p.DB)
	}
	for _, u := range s.users {
		closeOne(u.DB)
	}
	return errors.Join(errs...)
}

// newAttempt begins work on a request: r is copied, and what is the service's to fill in is emptied.
func (s *Service) newAttempt(r Request) *attempt {
	r.User, r.LoginUser, r.MasterUser, r.AuthUser, r.Password, r.Number = "", "", "", "", "", 0
	forwarded := r.Pass
	r.Pass, r.Found = nil, nil
	r.Mechanism = strings.ToUpper(r.Mechanism)
	for _, f := range forwarded {
		if strings.HasPrefix(f.Key, "forward_") {
			r.Pass = r.Pass.Set(f.Key, f.Value)
		}
	}
	a := &attempt{s: s, r: r, chain: s.normal}
	a.keep()
	return a
}
