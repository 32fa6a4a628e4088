package auth

import (
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cache keeps answers of databases, those used longest ago going first when there is no room. Rules are those of
// Dovecot 2.3.19 (src/auth/auth-cache.c, passdb-cache.c):
//
//   - a right password is accepted without the database
//   - a wrong one is refused without it, but for two cases in which the database is asked: the last login was a
//     success (the password may have been changed), or the entry is older than the negative lifetime
//   - an unknown user stays unknown for the negative lifetime
//   - an entry that is too old serves when the database does not answer
//
// A nil cache keeps nothing.
type cache struct {
	ttl, negative time.Duration
	size          uint64
	secret        [32]byte // of digests of passwords that no database gave

	mu      sync.Mutex // guards what follows
	left    uint64
	entries map[string]*list.Element // of *cached
	order   list.List                // used last first
	counts  counts
}

// cached is one answer. All but success is never changed; success is guarded by the cache's mutex.
type cached struct {
	key, user string
	created   time.Time
	unknown   bool
	password  string // as stored, with {SCHEME}; "" with no digest: any is right
	digest    []byte // of a password that the database has accepted without showing what it has
	fields    Fields
	size      uint64
	success   bool // the last login was one
}

// counts are what has happened since they were logged last.
type counts struct {
	hits, misses, positive, negative uint64
	positiveSize, negativeSize       uint64
}

// overhead of an entry beside its texts, about.
const overhead = 256

func newCache(size uint64, ttl, negative time.Duration) *cache {
	if size == 0 || ttl <= 0 {
		return nil
	}
	c := &cache{ttl: ttl, negative: negative, size: size, left: size, entries: map[string]*list.Element{}}
	_, _ = rand.Read(c.secret[:]) // never fails
	return c
}

// get gives the entry of a key. expired: it is too old; stale: it is older than the negative lifetime.
func (c *cache) get(key string) (e *cached, expired, stale bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.entries[key]
	if at == nil {
		c.counts.misses++
		return nil, false, false
	}
	e = at.Value.(*cached)
	age, ttl := time.Since(e.created), c.ttl
	if e.unknown {
		ttl = c.negative
	}
	if expired = age > ttl; expired {
		c.counts.misses++
	} else {
		c.counts.hits++
		c.order.MoveToFront(at)
	}
	return e, expired, age > c.negative
}

// put keeps an entry in place of any other of its key, unless it alone is larger than the cache.
func (c *cache) put(e *cached) {
	if e.unknown && c.negative <= 0 {
		return
	}
	e.created = time.Now()
	e.size = uint64(overhead + len(e.key) + len(e.user) + len(e.password) + len(e.digest))
	for _, f := range e.fields {
		e.size += uint64(32 + len(f.Key) + len(f.Value))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.entries[e.key]; at != nil {
		c.remove(at)
	}
	if e.size > c.size {
		return
	}
	for c.left < e.size {
		c.remove(c.order.Back())
	}
	c.left -= e.size
	if e.unknown {
		c.counts.negative, c.counts.negativeSize = c.counts.negative+1, c.counts.negativeSize+e.size
	} else {
		c.counts.positive, c.counts.positiveSize = c.counts.positive+1, c.counts.positiveSize+e.size
	}
	c.entries[e.key] = c.order.PushFront(e)
}

// remove needs the mutex.
func (c *cache) remove(at *list.Element) {
	e := c.order.Remove(at).(*cached)
	delete(c.entries, e.key)
	c.left += e.size
}

// setSuccess writes down how the last login with an entry went, and tells how the one before did.
func (c *cache) setSuccess(e *cached, success bool) (before bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, e.success = e.success, success
	return before
}

func (c *cache) flush(users []string) int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for at := c.order.Front(); at != nil; {
		next := at.Next()
		if len(users) == 0 || slices.Contains(users, at.Value.(*cached).user) {
			c.remove(at)
			n++
		}
		at = next
	}
	return n
}

func (c *cache) mac(password string) []byte {
	h := hmac.New(sha256.New, c.secret[:])
	h.Write([]byte(password))
	return h.Sum(nil)
}

// cacheKey is the key of the entry for this request in a database: its number, and the worth of the variables on which
// its answer depends, the name being that before any database changed it. "" is none.
func (a *attempt) cacheKey(kind string, number int, variables []string) string {
	if a.s.cache == nil || len(variables) == 0 {
		return ""
	}
	r := a.r
	r.User = a.translated
	var b strings.Builder
	b.WriteString(kind + strconv.Itoa(a.s.number) + "." + strconv.Itoa(number))
	for _, text := range append([]string{r.MasterUser}, variables...) {
		b.WriteByte('\t')
		b.WriteString(strconv.Quote(text))
	}
	for _, name := range variables {
		value, err := r.Variable(name)
		if err != nil {
			continue // what only the answer has, such as an attribute of a directory
		}
		b.WriteByte('\t')
		b.WriteString(strconv.Quote(value))
	}
	return b.String()
}

// cachedVerify looks whether the password can be judged without the database; old allows entries that are too old.
func (a *attempt) cachedVerify(ctx context.Context, p *passdb, old bool) (answer result, hit bool) {
	key := a.cacheKey("P", p.number, p.key)
	if key == "" {
		return 0, false
	}
	e, expired, stale := a.s.cache.get(key)
	if e == nil || expired && !old {
		a.logf(slog.LevelDebug, p.name(), "cache miss")
		return 0, false
	}
	if e.unknown {
		a.logFailure(p, ErrUnknown.Error())
		return isUnknown, true
	}
	right := a.cachedRight(ctx, p, e)
	if !right {
		if before := a.s.cache.setSuccess(e, false); before || stale {
			return 0, false
		}
		a.logFailure(p, ErrMismatch.Error())
	} else {
		a.s.cache.setSuccess(e, true)
	}
	a.logf(slog.LevelDebug, p.name(), "cache hit")
	for _, f := range e.fields {
		a.setPass(p, f.Key, f.Value)
	}
	if right {
		return isOK, true
	}
	return isMismatch, true
}

func (a *attempt) cachedRight(ctx context.Context, p *passdb, e *cached) bool {
	switch {
	case p.Deny:
		return false
	case a.verified:
		return true
	case e.digest != nil:
		return hmac.Equal(e.digest, a.s.cache.mac(a.r.Password))
	case e.password == "":
		a.logf(slog.LevelInfo, p.name(), "Cached NULL password access")
		return true
	}
	ok, err := a.hash(ctx, e.password)
	return ok && err == nil
}

// cachedFind is cachedVerify for lookups without a password.
func (a *attempt) cachedFind(p *passdb, scheme string, old bool) (answer result, hit bool) {
	key := a.cacheKey("P", p.number, p.key)
	if key == "" {
		return 0, false
	}
	e, expired, _ := a.s.cache.get(key)
	if e == nil || expired && !old || e.digest != nil && scheme != "" {
		return 0, false
	}
	if e.unknown {
		return isUnknown, true
	}
	for _, f := range e.fields {
		a.setPass(p, f.Key, f.Value)
	}
	if e.password != "" {
		a.password = stored{text: e.password, known: true}
	}
	return isOK, true
}

// remember keeps the answer of a passdb, if it is one that may be kept.
func (a *attempt) remember(p *passdb, answer result) {
	key := a.cacheKey("P", p.number, p.key)
	if key == "" {
		return
	}
	e := &cached{key: key, user: a.translated, success: answer == isOK}
	switch answer {
	case isUnknown:
		e.unknown = true
	case isOK, isMismatch:
		switch {
		case a.password.known:
			e.password = a.password.text
		case a.r.Pass.Has("nopassword"):
		case answer == isOK && a.r.Password != "" && !a.verified:
			e.digest = a.s.cache.mac(a.r.Password)
		default:
			return
		}
		e.fields = changes(a.kept.pass, a.r.Pass)
	default:
		return
	}
	a.s.cache.put(e)
}

// changes gives the fields that are not there before with the same value.
func changes(before, now Fields) Fields {
	var list Fields
	for _, f := range now {
		if value, ok := before.Get(f.Key); !ok || value != f.Value {
			list = append(list, f)
		}
	}
	return list
}

// cachedUser looks for the answer of a userdb.
func (a *attempt) cachedUser(u *userdb, old bool) (answer result, hit bool) {
	key := a.cacheKey("U", u.number, u.key)
	if key == "" {
		return 0, false
	}
	e, expired, _ := a.s.cache.get(key)
	if e == nil || expired && !old {
		a.logf(slog.LevelDebug, u.name(), "userdb cache miss")
		return 0, false
	}
	a.logf(slog.LevelDebug, u.name(), "userdb cache hit")
	if e.unknown {
		return isUnknown, true
	}
	for _, f := range e.fields {
		a.setUser(u.name(), f.Key, f.Value)
	}
	return isOK, true
}

// rememberUser keeps the answer of a userdb.
func (a *attempt) rememberUser(u *userdb, answer result) {
	key := a.cacheKey("U", u.number, u.key)
	if key == "" {
		return
	}
	e := &cached{key: key, user: a.translated, unknown: answer != isOK}
	if answer == isOK {
		e.fields = changes(a.kept.found, a.r.Found)
		if a.changed {
			e.fields = e.fields.Set("user", a.r.User)
		}
	}
	a.s.cache.put(e)
}
