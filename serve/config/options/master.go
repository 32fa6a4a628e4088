package options

import (
	"strings"
	"time"

	"dovetail/formats/conf"
)

// Master is what the whole program obeys, not one connection.
type Master struct {
	BaseDir              string        `set:"base_dir"`                                           // directory of runtime sockets, pid file, link to the configuration; default /run/dovecot
	DefaultClientLimit   uint32        `set:"default_client_limit"`                               // service client_limit when unset; default 1000
	DefaultIdleKill      time.Duration `set:"default_idle_kill" v24:"default_idle_kill_interval"` // service idle_kill when unset; default 1 mins
	DefaultInternalGroup string        `set:"default_internal_group"`                             // group for shared internal sockets; default dovecot
	DefaultInternalUser  string        `set:"default_internal_user"`                              // user of helper services that need no privileges; default dovecot
	DefaultLoginUser     string        `set:"default_login_user"`                                 // user of services talking to unauthenticated clients; default dovenull
	DefaultProcessLimit  uint32        `set:"default_process_limit"`                              // service process_limit when unset; default 100
	DefaultMemoryLimit   uint64        `set:"default_vsz_limit"`                                  // service memory limit when unset, in bytes; default 256 M
	ImportEnvironment    []string      `set:"import_environment"`                                 // environment kept for services
	InstanceName         string        `set:"instance_name"`                                      // name of this instance in process titles and listings; default dovecot
	LibexecDir           string        `set:"libexec_dir"`                                        // where executables named without / are looked up; default /usr/lib/dovecot
	Listen               []string      `set:"listen"`                                             // default addresses of inet listeners (* all IPv4, :: all IPv6); default *, ::
	Protocols            []string      `set:"protocols"`                                          // enabled protocols; none alone = nothing listens
	StateDir             string        `set:"state_dir"`                                          // directory of persistent state; default /var/lib/dovecot
}

// normalise gives what services inherit in 2.3's words, NAME and NAME=VALUE;
// 2.4 writes NAME=%{env:NAME} for the first. Protocols "none" is none.
func (m *Master) normalise(conf.Dialect) {
	for i, word := range m.ImportEnvironment {
		if name, value, _ := strings.Cut(word, "="); value == "%{env:"+name+"}" {
			m.ImportEnvironment[i] = name
		}
	}
	if len(m.Protocols) == 1 && m.Protocols[0] == "none" {
		m.Protocols = nil
	}
}
