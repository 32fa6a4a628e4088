package auth

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"dovetail/formats/conf/variable"
)

// maxDelay is how far ahead delay_until may be.
const maxDelay = 5 * time.Minute

// setTemplates sets the fields that the configuration has for a passdb; given is what the database gave, for
// %{DRIVER:KEY}.
func (a *attempt) setTemplates(p *passdb, list []FieldTemplate, given Fields) error {
	for _, t := range list {
		value, err := a.expand(t.Value, p.Driver, given)
		if err != nil {
			return err
		}
		a.setPass(p, t.Key, value)
	}
	return nil
}

// expand fills in a template with what is known by now and with what the database of a driver gave.
func (a *attempt) expand(t *variable.Template, driver string, given Fields) (string, error) {
	if t == nil {
		return "", nil
	}
	prefix := strings.ReplaceAll(driver, "-", "_") + ":"
	return t.Expand(func(name string) (string, error) {
		if key, ok := strings.CutPrefix(name, prefix); ok {
			if value, ok := given.Get(key); ok {
				return value, nil
			}
			return "", variable.ErrUnknown
		}
		return a.r.Variable(name)
	})
}

// condition cuts what a key says about when it is set. done: nothing is left to do.
func condition(fields Fields, key string) (bare string, rest Fields, done bool) {
	if bare, ok := strings.CutSuffix(key, ":protected"); ok && bare != "" {
		return bare, fields, fields.Has(bare)
	}
	if bare, ok := strings.CutSuffix(key, ":default"); ok && bare != "" {
		return bare, fields, fields.Has(bare)
	}
	if bare, ok := strings.CutSuffix(key, ":remove"); ok && bare != "" {
		return bare, fields.Without(bare), true
	}
	return key, fields, false
}

// hidden are the fields that are not told to the caller: they have done their work here.
func hidden(key string) bool {
	switch key {
	case "user", "username", "domain", "login_user", "allow_nets", "allow_real_nets", "fail", "delay_until", "noauthenticate", "nopassword":
		return true
	}
	return strings.HasPrefix(key, "userdb_")
}

// setPass gives a field of a passdb its meaning (Dovecot 2.3.19, src/auth/auth-request.c auth_request_set_field).
func (a *attempt) setPass(p *passdb, key, value string) {
	key, rest, done := condition(a.r.Pass, key)
	if a.r.Pass = rest; done || key == "" {
		return
	}
	switch key {
	case "password":
		a.setPassword(p, value, strings.HasPrefix(value, "{") && strings.Contains(value, "}"))
		return
	case "password_noscheme":
		a.setPassword(p, value, false)
		return
	case "user", "username", "domain":
		a.rename(p.name(), key, value)
	case "login_user":
		a.r.LoginUser = value
	case "allow_nets":
		a.allowNets(p, key, value, a.r.Remote)
	case "allow_real_nets":
		real := a.r.RealRemote
		if !real.IsValid() {
			real = a.r.Remote
		}
		a.allowNets(p, key, value, real)
	case "fail":
		a.refused = true
	case "nodelay":
		a.noDelay = true
	case "delay_until":
		a.delay(p, value)
	case "noauthenticate":
		a.r.Pass = a.r.Pass.Set("nopassword", "")
	case "nopassword":
		if a.hasPassword() && !a.r.Pass.Has("noauthenticate") {
			a.logf(slog.LevelError, p.name(), "nopassword set but password is non-empty")
			return
		}
		a.password = stored{}
	case "userdb_userdb_import":
		for _, word := range strings.Split(value, "\t") {
			k, v, _ := strings.Cut(word, "=")
			a.setPass(p, "userdb_"+k, v)
		}
		return
	case "passdb_import":
		for _, word := range strings.Split(value, "\t") {
			k, v, _ := strings.Cut(word, "=")
			a.setPass(p, k, v)
		}
		return
	}
	if bare, ok := strings.CutPrefix(key, "userdb_"); ok {
		a.prefetch = true
		a.startFound()
		a.setUser(p.name(), bare, value)
	}
	a.r.Pass = a.r.Pass.Set(key, value)
}

func (a *attempt) setPassword(p *passdb, value string, hasScheme bool) {
	if a.password.known {
		a.logf(slog.LevelError, p.name(), "Multiple password values not supported")
		return
	}
	if !hasScheme {
		name := p.Scheme
		if name == "" {
			name = "PLAIN"
		}
		value = "{" + name + "}" + value
	}
	a.password = stored{text: value, known: true}
}

// hasPassword tells whether there is a stored password that is not empty.
func (a *attempt) hasPassword() bool {
	_, value, _ := strings.Cut(a.password.text, "}")
	return a.password.known && value != ""
}

// rename changes the name that later databases look up and that the caller gets.
func (a *attempt) rename(who, key, value string) {
	changed, ok := renamed(a.r.User, key, value)
	switch {
	case !ok || changed == a.r.User:
	case changed == "":
		a.logf(slog.LevelError, who, "username attempted to be changed to empty")
		a.refused = true
	case strings.ContainsAny(changed, "\x00\t\r\n"):
		a.logf(slog.LevelError, who, "username attempted to be changed to one with control characters: %s", sanitize(changed, 128))
		a.refused = true
	default:
		a.logf(slog.LevelDebug, who, "username changed %s -> %s", sanitize(a.r.User, 64), sanitize(changed, 64))
		a.r.User, a.changed = changed, true
	}
}

// allowNets refuses addresses that are in none of the networks. "local" is a client without an address, on a socket of
// this host.
func (a *attempt) allowNets(p *passdb, key, networks string, client netip.AddrPort) {
	addr := client.Addr().Unmap()
	for _, network := range strings.FieldsFunc(networks, func(c rune) bool { return c == ',' || c == ' ' }) {
		if network == "local" {
			if !addr.IsValid() {
				return
			}
			continue
		}
		within, err := parseNetwork(network)
		if err != nil {
			a.logf(slog.LevelInfo, p.name(), "%s: Invalid network '%s'", key, sanitize(network, 128))
			continue
		}
		if addr.IsValid() && within.Contains(addr) {
			return
		}
	}
	a.refused = true
	if !addr.IsValid() {
		a.logf(slog.LevelInfo, p.name(), "%s check failed: Remote IP not known and 'local' missing", key)
		return
	}
	a.logf(slog.LevelInfo, p.name(), "%s check failed: IP %s not in allowed networks", key, addr)
}

// parseNetwork reads "10.1.2.3", "10.1.0.0/16", "fd00::/8" and "[fd00::1]". Bits below the mask are ignored. A network
// of IPv4 in IPv6 (::ffff:10.1.2.3) holds no client, as such clients count as those of IPv4.
func parseNetwork(text string) (netip.Prefix, error) {
	host, bits, hasBits := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err != nil {
		return netip.Prefix{}, err
	}
	length := addr.BitLen()
	if hasBits {
		if length, err = strconv.Atoi(bits); err != nil || length < 0 {
			return netip.Prefix{}, fmt.Errorf("invalid number of bits %q", bits)
		}
	}
	return addr.Prefix(length)
}

// delay holds a success until a point in time: "SECONDS" since 1970, or "SECONDS+N" for up to N seconds more.
func (a *attempt) delay(p *passdb, value string) {
	text, extra, hasExtra := strings.Cut(value, "+")
	var more uint64
	if hasExtra {
		var err error
		if more, err = strconv.ParseUint(extra, 10, 32); err != nil {
			a.logf(slog.LevelError, p.name(), "Invalid delay_until randomness number '%s'", sanitize(extra, 64))
			a.refused = true
			return
		}
		if more > 0 {
			more = rand.Uint64N(more)
		}
	}
	secs, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		a.logf(slog.LevelError, p.name(), "Invalid delay_until timestamp '%s'", sanitize(text, 64))
		a.refused = true
		return
	}
	now := time.Now()
	switch until := time.Unix(secs, 0); {
	case !until.After(now):
	case until.Sub(now) > maxDelay:
		a.logf(slog.LevelError, p.name(), "delay_until timestamp %s is too much in the future, failing", text)
		a.refused = true
	default:
		a.delayUntil = until.Add(min(time.Duration(more)*time.Second, maxDelay-until.Sub(now)))
	}
}
