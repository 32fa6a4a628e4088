package oauth2

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dovetail/auth"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 1 << 20

func (o *Options) timeout() time.Duration { return cmp.Or(o.Timeout, time.Minute) }

// client makes one for all requests of the passdb. A redirection is followed to the same server only: requests carry
// tokens.
func (o *Options) client() (*http.Client, error) {
	t, err := o.tls()
	if err != nil {
		return nil, err
	}
	connections := cmp.Or(o.MaxConnections, 10)
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: t, MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections,
			IdleConnTimeout: cmp.Or(o.MaxIdle, time.Minute), TLSHandshakeTimeout: o.timeout(), ForceAttemptHTTP2: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
				return errors.New("redirection to another server")
			}
			return nil
		},
	}, nil
}

func (o *Options) tls() (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: o.AllowInvalidCert} // as the configuration says
	files := []string{}
	if o.CAFile != "" {
		files = append(files, o.CAFile)
	}
	if o.CADir != "" {
		entries, err := os.ReadDir(o.CADir)
		if err != nil {
			return nil, fmt.Errorf("tls_ca_cert_dir: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(o.CADir, e.Name()))
			}
		}
	}
	if len(files) > 0 {
		c.RootCAs = x509.NewCertPool()
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("certificates of authorities: %w", err)
		}
		if !c.RootCAs.AppendCertsFromPEM(b) && name == o.CAFile {
			return nil, fmt.Errorf("tls_ca_cert_file: %s has no certificate", name)
		}
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, cmp.Or(o.Key, o.Cert))
		if err != nil {
			return nil, fmt.Errorf("tls_cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// grant exchanges the password for a token.
func (l *lookup) grant(ctx context.Context, password string) error {
	form := url.Values{"grant_type": {"password"}, "username": {l.r.User}, "password": {password},
		"client_id": {l.o.ClientID}, "client_secret": {l.o.ClientSecret}}
	if len(l.o.Scope) > 0 {
		form.Set("scope", strings.Join(l.o.Scope, " "))
	}
	valid, err := l.ask(ctx, "POST", l.o.GrantURL, form, false)
	switch {
	case err != nil:
		return err
	case !valid && l.fields["error"] == "invalid_grant": // RFC 6749 section 5.2
		return refuse(auth.ErrMismatch, "invalid_grant")
	case !valid:
		return errors.New(cmp.Or(printable(l.fields["error"]), "OAuth2 server returned failure without error field"))
	case l.fields["access_token"] == "":
		return errors.New("OAuth2 token missing from reply")
	}
	l.token = l.fields["access_token"]
	return nil
}

// introspection asks about the token. Answers that say nothing of it are failures: in the mode "auth" 401 is about the
// token, in the others about us.
func (l *lookup) introspection(ctx context.Context) (valid bool, err error) {
	secrets := url.Values{"client_id": {l.o.ClientID}, "client_secret": {l.o.ClientSecret}}.Encode()
	switch l.o.Mode {
	case "get":
		valid, err = l.ask(ctx, "GET", l.o.IntrospectionURL+url.QueryEscape(l.token)+"&"+secrets, nil, false)
	case "post":
		form := url.Values{"token": {l.token}, "client_id": {l.o.ClientID}, "client_secret": {l.o.ClientSecret}}
		valid, err = l.ask(ctx, "POST", l.o.IntrospectionURL, form, false)
	default:
		return l.ask(ctx, "GET", l.o.IntrospectionURL, nil, true)
	}
	if _, told := l.fields["active"]; err == nil && !valid && !told {
		return false, fmt.Errorf("the server refuses to answer: %s", cmp.Or(printable(l.fields["error"]), "no error field"))
	}
	return valid, err
}

// ask makes a request and takes in what is answered. valid: 2xx, else it was 400, 401 or 403.
func (l *lookup) ask(ctx context.Context, method, address string, form url.Values, bearer bool) (valid bool, err error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return false, errors.New("Invalid URL") // the text of err has the token in it
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer && r.URL.User == nil {
		r.Header.Set("Authorization", "Bearer "+l.token)
	}
	l.headers(r)
	b, status, err := l.do(r)
	if err != nil {
		return false, err
	}
	if len(b) > 0 {
		fields, err := flatten(b, false)
		if err != nil {
			return false, err
		}
		l.merge(fields)
	}
	if kind, ok := l.fields["token_type"]; ok && !strings.EqualFold(kind, "bearer") && !strings.EqualFold(kind, "access_token") {
		return false, fmt.Errorf("Expected Bearer token, got '%s'", printable(kind))
	}
	return status/100 == 2, nil
}

func (l *lookup) headers(r *http.Request) {
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "dovetail-oauth2-passdb")
	if !l.o.SendAuthHeaders {
		return
	}
	if l.r.Service != "" {
		r.Header.Set("X-Dovecot-Auth-Service", l.r.Service)
	}
	for name, address := range map[string]netip.AddrPort{"Local": l.r.Local, "Remote": l.r.Remote} {
		if address.IsValid() {
			r.Header.Set("X-Dovecot-Auth-"+name, address.String())
		}
	}
}

// getKeys fetches the set of keys; where that is, the provider's document says if the configuration does not (OpenID
// Connect Discovery 1.0 section 3, RFC 8414 section 2).
func (p *PassDB) getKeys(ctx context.Context) ([]byte, error) {
	if p.o.JWKS != "" {
		return p.getJSON(ctx, p.o.JWKS)
	}
	b, err := p.getJSON(ctx, p.o.OpenIDConfiguration)
	if err != nil {
		return nil, err
	}
	document, err := flatten(b, false)
	if err != nil {
		return nil, err
	}
	if from, to := p.o.OpenIDConfiguration, document["jwks_uri"]; !isAddress(to) || strings.HasPrefix(from, "https:") && !strings.HasPrefix(to, "https:") {
		return nil, errors.New("the document at openid_configuration_url has no jwks_uri that can be used")
	}
	return p.getJSON(ctx, document["jwks_uri"])
}

func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// getJSON fetches a document.
func (p *PassDB) getJSON(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		return nil, errors.New("Invalid URL")
	}
	r.Header.Set("Accept", "application/json")
	b, status, err := p.do(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answered %d", r.URL.Host, status)
	}
	return b, err
}

// do gives the body and status of an answer, if that is 2xx, or 400, 401 or 403: of the others of 4xx none is about a
// token. Errors name the server but not the address, which
// may have a token in it.
func (p *PassDB) do(r *http.Request) (body []byte, status int, err error) {
	answer, err := p.client.Do(r)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode/100 == 2:
	case slices.Contains([]int{400, 401, 403}, answer.StatusCode):
	default:
		return nil, 0, fmt.Errorf("%s answered %d %s", r.URL.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	if len(body) > maxAnswer {
		return nil, 0, fmt.Errorf("%s: the answer is longer than %d bytes", r.URL.Host, maxAnswer)
	}
	return body, answer.StatusCode, nil
}
