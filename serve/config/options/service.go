package options

import (
	"cmp"
	"io/fs"
	"math"
	"path"
	"strings"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// Mode is the permissions of a socket; 0 means that there is none.
type Mode fs.FileMode

// Service is one service with where it is reached. Everything that follows from
// other settings is put in: limits, addresses, paths, users.
type Service struct {
	Name               string        `set:"service/name"`
	Protocol           string        `set:"service/protocol"`                      // enabled only with this protocol; "" always
	Type               string        `set:"service/type"`                          // "", startup, login, log, config, anvil, worker
	User               string        `set:"service/user"`                          // "" is root, or whoever runs the program
	Chroot             string        `set:"service/chroot"`                        // relative to base_dir
	DropPrivBeforeExec bool          `set:"service/drop_priv_before_exec"`         //
	ProcessMinAvail    uint32        `set:"service/process_min_avail"`             // spare workers
	ProcessLimit       uint32        `set:"service/process_limit"`                 // most workers; default default_process_limit
	ClientLimit        uint32        `set:"service/client_limit"`                  // clients of a worker; default default_client_limit
	Requests           uint32        `set:"service/service_count" by:"dialect"`    // clients until a worker ends; 0: it does not
	IdleKill           time.Duration `set:"service/idle_kill" by:"dialect"`        // idle workers end after it; default default_idle_kill
	MemoryLimit        uint64        `set:"service/vsz_limit" by:"dialect"`        // of a worker, in bytes, 0: none; default default_vsz_limit
	Unix               []Socket      `set:"service/unix_listener/path" by:"lists"` // mode 0 left out
	FIFO               []Socket      `set:"service/fifo_listener/path" by:"lists"` //
	Inet               []InetSocket  `set:"service/inet_listener/name" by:"lists"` // port 0 left out
}

// Socket is a socket or pipe in the file system.
type Socket struct {
	Path  string `set:"service/unix_listener/path,service/fifo_listener/path" by:"kind"` // absolute
	Mode  Mode   `set:"service/unix_listener/mode,service/fifo_listener/mode" by:"kind"`
	User  string `set:"service/unix_listener/user,service/fifo_listener/user" by:"kind"`   // "" is that of the process
	Group string `set:"service/unix_listener/group,service/fifo_listener/group" by:"kind"` //
	Type  string `set:"unix_listener_type" by:"kind"`                                      // role of the socket where its name does not tell
}

// InetSocket is a port on one or more addresses.
type InetSocket struct {
	Name      string   `set:"service/inet_listener/name"`
	Addresses []string `set:"service/inet_listener/address" by:"dialect"` // "*" is all of IPv4, "::" all of IPv6; default listen
	Port      uint16   `set:"service/inet_listener/port"`
	TLS       bool     `set:"service/inet_listener/ssl"`     // from the first byte
	HAProxy   bool     `set:"service/inet_listener/haproxy"` // a PROXY header comes first
	Type      string   `set:"inet_listener_type" by:"kind"`  // role of the port where the service has several
}

// ReadServices gives the services that are enabled: those without a protocol,
// and those of a protocol that is. With ssl = no nothing listens for TLS.
func ReadServices(v config.View) ([]Service, error) {
	m, err := Read[Master](v)
	if err != nil {
		return nil, err
	}
	tls, err := Read[TLS](v)
	if err != nil {
		return nil, err
	}
	var list []Service
	for _, section := range v.Sections("service") {
		r := serviceReader{v, m, tls.Mode != "no", section}
		s, err := r.read()
		if err != nil {
			return nil, err
		}
		if s.Protocol == "" || m.Serves(s.Protocol) {
			list = append(list, s)
		}
	}
	return list, nil
}

type serviceReader struct {
	config.View
	master Master
	tls    bool
	at     config.SectionView
}

func (r serviceReader) read() (Service, error) {
	var s Service
	if err := fill(r.Dialect, r.at.Get, &s); err != nil {
		return s, err
	}
	s.User = r.resolve(s.User)
	s.ProcessLimit = cmp.Or(s.ProcessLimit, r.master.DefaultProcessLimit)
	s.ClientLimit = cmp.Or(s.ClientLimit, r.master.DefaultClientLimit)
	if err := r.limits(&s); err != nil {
		return s, err
	}
	s.Unix, s.FIFO = r.sockets("unix_listener"), r.sockets("fifo_listener")
	for _, in := range r.at.Sections("inet_listener") {
		l, err := r.inet(in)
		if err != nil {
			return s, err
		}
		if l.Port != 0 && (r.tls || !l.TLS) {
			s.Inet = append(s.Inet, l)
		}
	}
	return s, nil
}

// limits reads what the dialects write in different ways: no limit is the
// largest number in one, 0 in the other, and "as by default" the reverse.
func (r serviceReader) limits(s *Service) error {
	var raw struct {
		Requests uint32        `set:"service/service_count" v24:"service_restart_request_count"`
		IdleKill time.Duration `set:"service/idle_kill" v24:"service_idle_kill_interval"`
		Memory   uint64        `set:"service/vsz_limit"`
	}
	if err := fill(r.Dialect, r.at.Get, &raw); err != nil {
		return err
	}
	s.Requests, s.IdleKill, s.MemoryLimit = raw.Requests, cmp.Or(raw.IdleKill, r.master.DefaultIdleKill), raw.Memory
	if s.Requests == math.MaxUint32 {
		s.Requests = 0
	}
	byDefault, unlimited := uint64(math.MaxUint64), uint64(0)
	if r.Dialect == conf.V24 {
		byDefault, unlimited = unlimited, byDefault
	}
	switch raw.Memory {
	case byDefault:
		s.MemoryLimit = r.master.DefaultMemoryLimit
	case unlimited:
		s.MemoryLimit = 0
	}
	return nil
}

// resolve gives the value that the default of a service refers to.
func (r serviceReader) resolve(text string) string {
	name, ok := strings.CutPrefix(text, "$")
	if !ok {
		return text
	}
	v, _ := r.Get(strings.TrimPrefix(name, "SET:"))
	return v.Text
}

func (r serviceReader) sockets(kind string) []Socket {
	var list []Socket
	for _, in := range r.at.Sections(kind) {
		get := func(key string) string {
			if r.Dialect == conf.V24 {
				key = kind + "_" + key
			}
			v, _ := in.Get(key)
			return r.resolve(v.Text)
		}
		mode, _ := conf.ParseOctal(get("mode"), conf.V23)
		if mode == 0 {
			continue
		}
		s := Socket{Path: get("path"), Mode: Mode(mode), User: get("user"), Group: get("group")}
		if r.Dialect == conf.V24 && kind == "unix_listener" {
			s.Type = get("type")
		}
		if !path.IsAbs(s.Path) {
			s.Path = path.Join(r.master.BaseDir, s.Path)
		}
		list = append(list, s)
	}
	return list
}

func (r serviceReader) inet(in config.SectionView) (InetSocket, error) {
	var l InetSocket
	err := fill(r.Dialect, in.Get, &l)
	key := "address"
	if r.Dialect == conf.V24 {
		key = "listen"
		v, _ := in.Get("inet_listener_type")
		l.Type = v.Text
	}
	v, _ := in.Get(key)
	if l.Addresses = words(v.Text); l.Addresses == nil {
		l.Addresses = r.master.Listen
	}
	return l, err
}

// Serves tells whether a protocol is enabled.
func (m Master) Serves(protocol string) bool {
	for _, p := range m.Protocols {
		if p == protocol {
			return true
		}
	}
	return false
}
