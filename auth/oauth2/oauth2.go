// Package oauth2 is a database of passwords that are tokens (RFC 6750): of OAUTHBEARER and XOAUTH2, or in the place of
// a password in clear. It is Dovecot's passdb oauth2 (2.3.19, src/auth/db-oauth2.c) and has its words for the log.
//
// A token is checked in one of these ways, or in one after the other:
//
//	local            it is a JSON web token (RFC 7519) signed with a key that is in a folder or at an address (RFC 7517)
//	token info       GET of an address with the token at its end; 400, 401, 403: it is not valid
//	introspection    auth: GET with the token as bearer; get: with the token at the end of the address; post: RFC 7662
//	password grant   the client gave a password and not a token: POST of name and password (RFC 6749 section 4.3)
//
// What the token or the server says becomes fields, an object within it included; an array of texts is one text with
// blanks. One of the fields is the user's name and must be that of the login. What cannot be asked is a temporary
// failure.
//
// Beyond Dovecot: an answer "active": false is refused by whatever name the attribute goes, an object within a token
// cannot take the place of a field outside of it, the audience can be checked, keys may come from an address.
package oauth2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// Options are those of one passdb.
type Options struct {
	TokenInfoURL, IntrospectionURL, GrantURL string
	Mode                                     string // of introspection: "auth" or "", "get", "post", "local"
	GrantPassword                            bool   // passwords are given to GrantURL
	ForceIntrospection                       bool   // even if the first answer has all fields

	KeyPrefix string // of the names of files with keys, that is a folder and "/"; then AZP/ALG/KID
	JWKS      string

	Scope    []string      // one of these must be among the token's; none: any
	Issuers  []string      // likewise "iss"
	Audience []string      // likewise "aud"
	Grace    time.Duration // how long after its end a token is still taken

	UsernameAttribute        string             // "": email
	UsernameFormat           *variable.Template // made of both names before they are compared; nil: as they are
	ActiveAttribute          string             // "": none
	ActiveValue              string
	Fields                   []Field
	ClientID, ClientSecret   string
	SendAuthHeaders          bool          // tells servers of service and addresses
	OpenIDConfiguration      string        // an address for clients whose token was refused
	Timeout, MaxIdle         time.Duration // 0: 60 s
	MaxConnections           int           // per server; 0: 10
	CAFile, CADir, Cert, Key string        // of TLS; no CA: the system's
	AllowInvalidCert         bool
	Now                      func() time.Time // nil: time.Now
	Log                      *slog.Logger
}

// Field is made of the token's fields: %{oauth2:NAME}; %$ is the one that has its key.
type Field struct {
	Key   string
	Value *variable.Template
}

// PassDB checks tokens. It is for many goroutines.
type PassDB struct {
	o      Options
	client *http.Client
	keys   keySource // nil: there is no local validation
}

// New checks the options.
func New(o Options) (*PassDB, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	p := &PassDB{o: o, client: client}
	switch {
	case o.Mode != "local":
	case o.KeyPrefix == "":
		p.keys = newKeySet(p.getKeys, o.Now)
	default:
		p.keys = &keyFiles{prefix: o.KeyPrefix, cache: map[string]keyFile{}}
	}
	return p, nil
}

func (o *Options) check() error {
	if o.UsernameAttribute == "" {
		o.UsernameAttribute = "email"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	local := o.Mode == "local"
	switch {
	case !slices.Contains([]string{"", "auth", "get", "post", "local"}, o.Mode):
		return fmt.Errorf("Invalid value '%s' for introspection mode, must be one of auth, get, post or local", o.Mode)
	case local && o.KeyPrefix == "" && o.JWKS == "" && o.OpenIDConfiguration == "":
		return errors.New("local_validation_key_dict is required for local introspection: fs:posix:prefix=/etc/dovecot/keys/; " +
			"or openid_configuration_url, whose document says where keys are")
	case o.KeyPrefix != "" && o.JWKS != "":
		return errors.New("keys are either in files, local_validation_key_dict, or at an address, jwks_url")
	case !local && o.TokenInfoURL == "" && o.IntrospectionURL == "" && (o.GrantURL == "" || o.ClientID == ""):
		return errors.New("Password grant, tokeninfo, introspection URL or validation key dictionary must be given")
	case o.GrantPassword && (o.GrantURL == "" || o.ClientID == ""):
		return errors.New("use_grant_password needs grant_url and client_id")
	case !local && !o.GrantPassword && o.TokenInfoURL == "" && o.IntrospectionURL == "":
		return errors.New("grant_url is used with use_grant_password=yes only; else tokeninfo_url or introspection_url must be given")
	case o.ActiveAttribute == "" && o.ActiveValue != "":
		return errors.New("Cannot have empty active_attribute if active_value is set")
	}
	for name, address := range map[string]string{"tokeninfo_url": o.TokenInfoURL, "introspection_url": o.IntrospectionURL,
		"grant_url": o.GrantURL, "openid_configuration_url": o.OpenIDConfiguration, "jwks_url": o.JWKS} {
		if address != "" && !isAddress(address) {
			return fmt.Errorf("Invalid %s: it must begin with https:// or http:// and a host", name)
		}
	}
	return nil
}

// Close ends connections that are idle.
func (p *PassDB) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

// OpenIDConfiguration is an address for clients whose token was refused; "" is none.
func (p *PassDB) OpenIDConfiguration() string { return p.o.OpenIDConfiguration }

// CacheKey is Dovecot's: answers depend on the token. Those of local validation are not kept: they are made as quickly,
// and a token that has ended must not go on.
func (p *PassDB) CacheKey() []string {
	switch {
	case p.o.GrantPassword:
		return []string{"user"}
	case p.keys != nil:
		return nil
	}
	return []string{"user", "password"}
}

// Find says that there is nothing to be found.
func (p *PassDB) Find(context.Context, *auth.Request) (auth.Fields, error) {
	return nil, auth.ErrNoFind
}

// Verify checks a token, or a password where there is a password grant. The field "token" is the token.
func (p *PassDB) Verify(ctx context.Context, r *auth.Request, password string) (auth.Fields, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.timeout())
	defer cancel()
	l := &lookup{PassDB: p, r: r, token: password}
	fields, err := l.run(ctx, password)
	if err == nil {
		return fields, nil
	}
	level, cause := slog.LevelInfo, error(nil)
	for _, known := range []error{auth.ErrUnknown, auth.ErrMismatch, auth.ErrDisabled} {
		if errors.Is(err, known) {
			cause = known
		}
	}
	if cause == nil {
		level, cause = slog.LevelError, err
	}
	return nil, &auth.Refusal{Err: cause, Text: "oauth2 failed: " + err.Error(), Level: level}
}

// refusal is why a token will not do.
type refusal struct {
	kind error // auth.ErrMismatch…
	text string
}

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return e.kind }

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}

// lookup is the check of one token.
type lookup struct {
	*PassDB
	r      *auth.Request
	token  string
	fields map[string]string
}

// run goes the ways in Dovecot's order. The error begins with the name of the step.
func (l *lookup) run(ctx context.Context, password string) (auth.Fields, error) {
	if password == "" || strings.ContainsAny(password, "\r\n\x00") {
		return nil, refuse(auth.ErrMismatch, "Invalid token")
	}
	switch {
	case l.o.GrantPassword:
		if err := l.grant(ctx, password); err != nil {
			return nil, fmt.Errorf("Password grant failed: %w", err)
		}
		return l.more(ctx, "Password grant failed")
	case l.keys != nil:
		return l.local(ctx)
	case l.o.TokenInfoURL == "":
		return l.introspect(ctx)
	}
	valid, err := l.ask(ctx, "GET", l.o.TokenInfoURL+url.QueryEscape(l.token), nil, l.o.Mode == "" || l.o.Mode == "auth")
	if err == nil && !valid {
		err = refuse(auth.ErrMismatch, "Invalid token")
	}
	if err != nil {
		return nil, fmt.Errorf("Token validation failed: %w", err)
	}
	return l.more(ctx, "Token validation failed")
}

// more asks further if what is known is not enough.
func (l *lookup) more(ctx context.Context, step string) (auth.Fields, error) {
	if !l.complete() || l.o.ForceIntrospection {
		switch {
		case l.keys != nil:
			return l.local(ctx)
		case l.active() != nil:
			return nil, fmt.Errorf("Token is not valid: %w", l.active())
		case l.o.IntrospectionURL != "":
			return l.introspect(ctx)
		}
	}
	return l.end(step)
}

func (l *lookup) local(ctx context.Context) (auth.Fields, error) {
	claims, err := l.validate(ctx, l.token)
	if err != nil {
		return nil, fmt.Errorf("Local validation failed: %w", err)
	}
	l.merge(claims)
	return l.end("Local validation failed")
}

func (l *lookup) introspect(ctx context.Context) (auth.Fields, error) {
	const step = "Introspection failed"
	valid, err := l.introspection(ctx)
	if err == nil && !valid {
		err = refuse(auth.ErrMismatch, "Provided token is not valid")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	return l.end(step)
}

// end looks at the fields: active, the right user, in scope.
func (l *lookup) end(step string) (auth.Fields, error) {
	for _, check := range []func() error{l.active, l.rightUser, l.inScope, l.forUs} {
		if err := check(); err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
	}
	fields, err := l.export()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	return fields.Set("token", l.token), nil
}
