package auth

import "strings"

// diversion is the service of a protocol that has rules or databases of its own.
type diversion struct {
	protocol string // "lmtp"; "!lmtp" is all others
	to       *Service
}

// Divert hands requests of a protocol on to another service: its rules, its chains. "!lmtp" stands for every protocol
// but lmtp that has no service of its own name; of several such the first one holds. The other service is then closed,
// reset and flushed together with this one, and both have one cache and one bound on hashing. Divert is to be called before any request.
func (s *Service) Divert(protocol string, to *Service) {
	to.cache, to.hashes, to.number = s.cache, s.hashes, len(s.diverted)+1
	s.diverted = append(s.diverted, diversion{protocol, to})
}

// of gives the service that answers requests of a protocol.
func (s *Service) of(protocol string) *Service {
	if len(s.diverted) == 0 || protocol == "" {
		return s
	}
	for _, d := range s.diverted {
		if d.protocol == protocol {
			return d.to
		}
	}
	for _, d := range s.diverted {
		if not, ok := strings.CutPrefix(d.protocol, "!"); ok && not != protocol {
			return d.to
		}
	}
	return s
}

// each does something with the service and all behind it.
func (s *Service) each(do func(*Service)) {
	do(s)
	for _, d := range s.diverted {
		d.to.each(do)
	}
}
