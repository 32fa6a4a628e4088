package authconf

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"dovetail/auth"
	"dovetail/auth/vpopmail"
	"dovetail/formats/conf/variable"
)

// vpopmailPlaces are where vpopmail and qmail are, which Dovecot's driver had from the library that it was built with.
// The words home= and assign= among the args are our own, for sites where they are elsewhere.
type vpopmailPlaces struct{ home, assign string }

func (s *section) vpopmail(words map[string]string) (*vpopmail.Site, error) {
	p := vpopmailPlaces{words["home"], words["assign"]}
	if p.home == "" {
		p.home = "/home/vpopmail"
		if u, err := user.Lookup("vpopmail"); err == nil {
			p.home = u.HomeDir
		}
	}
	if p.assign == "" {
		p.assign = "/var/qmail/users/cdb" // what vpopmail itself asks
		if _, err := os.Stat(p.assign); err != nil {
			p.assign = "/var/qmail/users/assign"
		}
	}
	return share(s.build, fmt.Sprintf("vpopmail %q", p), func() (*vpopmail.Site, error) {
		site := &vpopmail.Site{Assign: p.assign, Servers: filepath.Join(p.home, "etc/vpopmail.mysql"), Log: s.log}
		if text, err := os.ReadFile(filepath.Join(p.home, "etc/defaultdomain")); err == nil {
			site.DefaultDomain = strings.TrimSpace(string(text))
		}
		if _, _, err := vpopmail.ReadAssign(p.assign); err != nil {
			return nil, fmt.Errorf("qmail's list of domains: %w (assign=PATH among the args says where it is)", err)
		}
		return site, nil
	})
}

// vpopmailWords reads the args, of which these are allowed.
func (s *section) vpopmailWords(allowed ...string) (map[string]string, error) {
	words := map[string]string{}
	for _, word := range s.Args {
		key, value, _ := strings.Cut(word, "=")
		known := false
		for _, a := range append(allowed, "cache_key", "blocking", "home", "assign") {
			known = known || key == a
		}
		if !known {
			return nil, fmt.Errorf("Unknown setting: %s", word)
		}
		words[key] = value
	}
	return words, nil
}

// cacheKey gives the variables that a cache_key names.
func cacheKey(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	t, err := variable.Parse23(text)
	if err != nil {
		return nil, fmt.Errorf("cache_key: %w", err)
	}
	return t.Variables(), nil
}

func vpopmailPass(_ context.Context, s *section) (auth.PassDB, error) {
	words, err := s.vpopmailWords("webmail")
	if err != nil {
		return nil, err
	}
	db := &vpopmail.PassDB{}
	if text := words["webmail"]; text != "" {
		if db.Webmail, err = netip.ParseAddr(text); err != nil {
			return nil, fmt.Errorf("Invalid webmail IP address: %s", text)
		}
	}
	if db.Key, err = cacheKey(words["cache_key"]); err != nil {
		return nil, err
	}
	if s.Scheme == "" {
		s.Scheme = "CRYPT"
	}
	db.Site, err = s.vpopmail(words)
	return db, err
}

func vpopmailUser(_ context.Context, s *section) (auth.UserDB, error) {
	words, err := s.vpopmailWords("quota_template")
	if err != nil {
		return nil, err
	}
	db := &vpopmail.UserDB{}
	if text := words["quota_template"]; text != "" {
		field, template, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("quota_template missing '='")
		}
		db.QuotaField = field
		if db.Quota, err = variable.Parse23(template); err != nil {
			return nil, fmt.Errorf("quota_template: %w", err)
		}
	}
	if db.Key, err = cacheKey(words["cache_key"]); err != nil {
		return nil, err
	}
	db.Site, err = s.vpopmail(words)
	return db, err
}
