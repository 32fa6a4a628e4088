package config

import (
	_ "embed"
	"sync"
)

//go:embed services.tsv
var servicesText string

// service is what a service, or a listener of it, has unless the
// configuration says otherwise.
type service struct {
	kind      string // "service", or the type of the listener
	name      string
	defaults  map[string]string
	order     []string // of the defaults
	listeners []*service
}

// services23 and services24 give the services that exist without being
// configured, in Dovecot's order.
var (
	services23 = sync.OnceValue(func() []*service { return loadServices("2.3") })
	services24 = sync.OnceValue(func() []*service { return loadServices("2.4") })
)

func loadServices(dialect string) []*service {
	var all []*service
	for f := range records(servicesText, 6) {
		if f[0] != dialect {
			continue
		}
		name, kind, listener, key, value := f[1], f[2], f[3], f[4], f[5]
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, newService("service", name, "name"))
		}
		s := all[len(all)-1]
		if kind == "service" {
			s.put(key, value)
			continue
		}
		label := "path"
		if kind == "inet_listener" {
			label = "name"
		}
		if n := len(s.listeners); n == 0 || s.listeners[n-1].name != listener || s.listeners[n-1].kind != kind {
			s.listeners = append(s.listeners, newService(kind, listener, label))
		}
		s.listeners[len(s.listeners)-1].put(key, value)
	}
	return all
}

func newService(kind, name, label string) *service {
	s := &service{kind: kind, name: name, defaults: map[string]string{}}
	s.put(label, name)
	return s
}

func (s *service) put(key, value string) {
	s.defaults[key] = value
	s.order = append(s.order, key)
}
