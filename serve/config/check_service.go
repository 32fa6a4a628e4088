package config

import (
	"fmt"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// serviceTypes are what Dovecot knows as the type of a service.
var serviceTypes = []string{"", "log", "config", "anvil", "login", "startup", "worker"}

func (k *checker) master() {
	if k.text("listen") == "" {
		k.fail(k.pos("listen"), "listen can't be set empty")
	}
	for _, id := range []string{"uid", "gid"} {
		if last := k.number("last_valid_" + id); last != 0 && k.number("first_valid_"+id) > last {
			k.fail(k.pos("first_valid_"+id), "first_valid_"+id+" can't be larger than last_valid_"+id)
		}
	}
	for _, key := range []string{"default_login_user", "default_internal_user"} {
		if k.o.User != nil && !k.o.User(k.text(key)) {
			k.fail(k.pos(key), key+" doesn't exist: "+k.text(key))
		}
	}
	for _, s := range k.services() {
		if t := s.text("type"); !slices.Contains(serviceTypes, t) {
			k.fail(s.posOf("type"), "Unknown service type: "+t)
		}
	}
	protocols := k.protocols()
	load := k.eachService(protocols)
	if !k.failed[k.module] {
		load.warn(k)
	}
	load.duplicates(k)
}

func (k *checker) services() []*block { return k.t.root.inner["service"] }

// protocols gives the enabled ones, and complains about those without a
// service.
func (k *checker) protocols() []string {
	list := strings.Fields(k.text("protocols"))
	if len(list) == 1 && list[0] == "none" {
		return nil
	}
	for _, p := range list {
		if slices.ContainsFunc(k.services(), func(s *block) bool { return s.text("protocol") == p }) {
			continue
		}
		if k.c.Dialect == conf.V1 { // which took any word
			k.problems.add(&Problem{Severity: Advice, Pos: k.pos("protocols"), Text: "unknown protocol: " + p,
				Meaning: "it is not served"})
			continue
		}
		k.fail(k.pos("protocols"), "protocols: Unknown protocol: "+p)
	}
	return list
}

// load is what all services together need.
type load struct {
	authClients, anvilClients uint64
	authWhy, anvilWhy         []string
	listeners                 []listener
}

type listener struct {
	name string // path, or port:address
	pos  conf.Pos
}

func (k *checker) eachService(protocols []string) *load {
	l := &load{anvilClients: 2} // two pipes
	for _, s := range k.services() {
		if p := s.text("protocol"); p != "" && !slices.Contains(protocols, p) {
			continue
		}
		limit := s.number("process_limit")
		if limit == 0 {
			limit = k.number("default_process_limit")
		}
		k.service(s, limit)
		l.count(s, limit)
		k.fileListeners(l, s, "unix_listener")
		k.fileListeners(l, s, "fifo_listener")
		for _, in := range s.inner["inet_listener"] {
			if in.text("port") != "0" {
				l.listeners = append(l.listeners, listener{in.text("port") + ":" + in.text("address"), in.posOf("port")})
			}
		}
	}
	return l
}

func (k *checker) service(s *block, limit uint64) {
	at := "service(" + s.name + "): "
	if s.text("drop_priv_before_exec") == "yes" && s.text("chroot") != "" {
		k.fail(s.posOf("drop_priv_before_exec"), at+"drop_priv_before_exec=yes can't be used with chroot")
		k.found.Instead = "chroot ="
	}
	if s.number("process_min_avail") > limit {
		k.fail(s.posOf("process_min_avail"), at+"process_min_avail is higher than process_limit")
	}
	if n := s.number("vsz_limit"); n != 0 && n < 1<<20 {
		k.fail(s.posOf("vsz_limit"), at+"vsz_limit is too low")
	}
	if s.base["process_limit"] == "1" && limit > 1 {
		k.fail(s.posOf("process_limit"), at+"process_limit must be 1")
	}
}

// count adds what a service needs of the auth and anvil services.
func (l *load) count(s *block, limit uint64) {
	why := fmt.Sprintf("service %s { process_limit=%d }", s.name, limit)
	login := s.text("type") == "login"
	if s.text("protocol") != "" && s.name != "imap-hibernate" && (login || s.text("service_count") != "1") {
		l.authClients += limit
		l.authWhy = append(l.authWhy, why)
	}
	if login || s.name == "auth" {
		l.anvilClients += limit
		l.anvilWhy = append(l.anvilWhy, why)
	}
}

func (k *checker) fileListeners(l *load, s *block, kind string) {
	base := strings.TrimSuffix(k.text("base_dir"), "/")
	for _, in := range s.inner[kind] {
		path := in.text("path")
		switch {
		case path == "":
			k.fail(in.pos, "service("+s.name+"): "+kind+": path must not be empty")
			continue
		case !strings.HasPrefix(path, "/"):
			path = base + "/" + path
		case strings.HasPrefix(path, base+"/"):
			k.warn(in.posOf("path"), "You should remove base_dir prefix from unix_listener: "+path)
		}
		if in.text("mode") != "00" {
			l.listeners = append(l.listeners, listener{path, in.posOf("path")})
		}
	}
}

// warn compares what is needed with what the services give.
func (l *load) warn(k *checker) {
	for _, need := range []struct {
		service, how string
		clients      uint64
		why          []string
	}{
		{"auth", "Counted for protocol services with service_count != 1", l.authClients, l.authWhy},
		{"anvil", "Counted with", l.anvilClients, l.anvilWhy},
	} {
		limit, pos := k.number("default_client_limit"), k.pos("default_client_limit")
		for _, s := range k.services() {
			if n := s.number("client_limit"); s.name == need.service && n != 0 {
				limit, pos = n, s.posOf("client_limit")
			}
		}
		if limit < need.clients {
			k.warn(pos, fmt.Sprintf("service %s { client_limit=%d } is lower than required under max. load (%d). %s: %s",
				need.service, limit, need.clients, need.how, strings.Join(need.why, " + ")))
		}
	}
}

// duplicates complains about two listeners at one place.
func (l *load) duplicates(k *checker) {
	slices.SortStableFunc(l.listeners, func(a, b listener) int { return strings.Compare(a.name, b.name) })
	for i, at := range l.listeners {
		if i > 0 && at.name == l.listeners[i-1].name {
			k.fail(at.pos, "duplicate listener: "+at.name)
		}
	}
}
