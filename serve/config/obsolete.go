package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// The conversions here are those of Dovecot 2.3.19 old-set-parser.c, with its
// warnings: what 1.0 to 2.2 called otherwise gets its name of 2.3. Only values
// without references and files are converted.

// old is what the conversions remember between lines.
type old struct {
	noted    bool   // the note about a clean file was given
	baseDir  string //
	auth     int    // 1 inside auth { }, more in sections inside
	seenAuth bool   //
	listen   int    // 1 inside socket listen { }, 2 in master or client
	master   bool   // of these two it is master
	socket   map[string]string
}

// assignOld converts a setting and tells whether nothing is left to do.
func (r *reader23) assignOld(key, value string) bool {
	switch {
	case r.at.path == "":
		return r.assignOldListen(key, value) || r.assignOldService(key, value) ||
			r.assignOldAuth(key, value) || r.assignOldRoot(key, value)
	case strings.HasPrefix(r.at.path, "plugin/") && key == "imap_zlib_compress_level":
		r.obsolete("%s has been replaced by imap_compress_deflate_level", key)
		r.set(r.at.path+"imap_compress_deflate_level", key, value, conf.Plain)
		return true
	}
	return false
}

// global runs do with the top level as the open section.
func (r *reader23) global(do func()) {
	at := r.at
	for r.at.prev != nil {
		r.at = r.at.prev
	}
	do()
	r.at = at
}

// setGlobal sets something of the top level, which may exist only with a
// plug-in and is forgotten without it.
func (r *reader23) setGlobal(path, value string, optional bool) {
	r.global(func() {
		if optional {
			_, _ = r.at.tree.assign(path, value, r.pos, conf.Plain)
			return
		}
		_, key := cutLast(path)
		r.set(path, key, value, conf.Plain)
	})
}

// oldProtocols are the protocols whose services the old settings meant.
var oldProtocols = []string{"imap", "pop3", "sieve"}

// forServices calls do for the services of the protocols that the open filter
// covers: imap, pop3, managesieve.
func (r *reader23) forServices(do func(service string, optional bool)) {
	for _, p := range oldProtocols {
		if !r.at.filter.covers(Filter{Protocol: p}) {
			continue
		}
		if p == "sieve" {
			do("managesieve", true)
			continue
		}
		do(p, false)
	}
}

// movedToService are the settings that became one of every login service, or
// of every mail service.
var movedToService = map[string]struct {
	suffix, key string
	value       func(string) string
}{
	"login_chroot":                 {"-login", "chroot", loginChroot},
	"login_user":                   {"-login", "user", nil},
	"login_executable":             {"-login", "executable", nil},
	"login_process_size":           {"-login", "vsz_limit", megabytes},
	"login_process_per_connection": {"-login", "service_count", perConnection},
	"login_processes_count":        {"-login", "process_min_avail", nil},
	"login_max_processes_count":    {"-login", "process_limit", nil},
	"login_max_connections":        {"-login", "client_limit", nil},
	"max_mail_processes":           {"", "process_limit", nil},
	"mail_executable":              {"", "executable", nil},
	"mail_process_size":            {"", "vsz_limit", megabytes},
	"mail_drop_priv_before_exec":   {"", "drop_priv_before_exec", nil},
}

func megabytes(v string) string { return v + " M" }

func loginChroot(v string) string {
	if v == "no" {
		return ""
	}
	return "login"
}

func perConnection(v string) string {
	if v == "no" {
		return "0"
	}
	return "1"
}

func (r *reader23) assignOldService(key, value string) bool {
	m, ok := movedToService[key]
	if !ok {
		return false
	}
	if m.value != nil {
		value = m.value(value)
	}
	r.obsolete("%s has been replaced by service { %s }", key, m.key)
	r.forServices(func(service string, optional bool) {
		r.setGlobal("service/"+service+m.suffix+"/"+m.key, value, optional)
	})
	return true
}

// assignOldListen converts addresses with ports, and addresses of a protocol.
func (r *reader23) assignOldListen(key, value string) bool {
	top := r.at.filter.covers(Filter{})
	ported := listensOnPort(value)
	if key != "ssl_listen" && (key != "listen" || !ported && top) {
		return false
	}
	if value == "" {
		return true
	}
	if ported && r.listen1(key, value) {
		return true
	}
	tls := strings.TrimSuffix(key, "listen") != ""
	if ported {
		r.obsolete("%s=..:port has been replaced by service { inet_listener { port } }", key)
		colon := strings.LastIndexByte(value, ':')
		r.setListeners(tls, "port", value[colon+1:])
		value = value[:colon]
	}
	if top && !tls {
		r.global(func() { r.apply(key, value, conf.Plain) })
		return true
	}
	r.obsolete("protocol { %s } has been replaced by service { inet_listener { address } }", key)
	r.setListeners(tls, "address", value)
	return true
}

func (r *reader23) setListeners(tls bool, key, value string) {
	r.forServices(func(service string, optional bool) {
		listener := service
		if tls {
			listener += "s"
		}
		if tls && optional {
			return
		}
		r.setGlobal("service/"+service+"-login/inet_listener/"+listener+"/"+key, value, optional)
	})
}

// listensOnPort tells whether a list of addresses has one with a port.
func listensOnPort(list string) bool {
	if !strings.Contains(list, ":") {
		return false
	}
	for a := range strings.FieldsFuncSeq(list, func(c rune) bool { return c == ',' || c == ' ' }) {
		if a == "*" || a == "::" || a == "[::]" {
			continue
		}
		if _, err := netip.ParseAddr(a); err != nil {
			return true
		}
	}
	return false
}

// renamed are the settings that only got another name, or another value too.
var renamed = map[string]struct {
	key    string
	values map[string]string // in lower case
}{
	"ssl_disable":      {"ssl", map[string]string{"yes": "no", "no": "yes"}},
	"fsync_disable":    {"mail_fsync", map[string]string{"yes": "never", "no": "optimized"}},
	"dbox_rotate_size": {"mdbox_rotate_size", nil},
}

// dropped are the settings that are gone without a successor.
var dropped = map[string]string{
	"ssl_parameters_regenerate": "is no longer needed", "ssl_dh_parameters_length": "is no longer needed",
	"login_dir": "has been removed", "dbox_rotate_min_size": "has been removed",
	"dbox_rotate_days": "has been removed", "director_consistent_hashing": "has been removed",
	"mail_log_max_lines_per_sec": "has been removed", "maildir_copy_preserve_filename": "has been removed",
}

func (r *reader23) assignOldRoot(key, value string) bool {
	if to, ok := renamed[key]; ok {
		if other, ok := to.values[lower(value)]; ok {
			value = other
		}
		r.rename(key, to.key, value)
		return true
	}
	if rest, ok := strings.CutPrefix(key, "mail_cache_compress_"); ok {
		r.rename(key, "mail_cache_purge_"+rest, value)
		return true
	}
	if why, ok := dropped[key]; ok {
		r.obsolete("%s %s", key, why)
		return true
	}
	switch key {
	case "base_dir":
		r.old.baseDir = strings.TrimSuffix(value, "/")
	case "protocols":
		r.apply(key, r.oldProtocolNames(value), conf.Plain)
		return true
	case "ssl_cert_file", "ssl_key_file", "ssl_ca_file":
		if to := strings.TrimSuffix(key, "_file"); value != "" {
			r.obsolete("%s has been replaced by %s = <file", key, to)
			r.apply(to, value, conf.FromFile)
		}
		return true
	case "ssl_protocols":
		r.oldTLSVersions(value)
		return true
	case "sieve", "sieve_storage":
		r.oldSieve(key, value)
		return true
	case "imap_client_workarounds":
		r.apply(key, r.oldWorkarounds(value), conf.Plain)
		return true
	}
	if r.old.auth == 1 {
		r.apply(authKey(key), value, conf.Plain)
		return true
	}
	return false
}

func (r *reader23) rename(from, to, value string) {
	r.obsolete("%s has been renamed to %s", from, to)
	r.apply(to, value, conf.Plain)
}

// oldProtocolNames takes imaps, pop3s and managesieve out of protocols.
func (r *reader23) oldProtocolNames(value string) string {
	var names []string
	have := map[string]bool{}
	for name := range strings.FieldsSeq(value) {
		have[name] = true
		switch name {
		case "imaps", "pop3s":
		case "managesieve":
			r.obsolete("protocols=managesieve has been renamed to protocols=sieve")
			names = append(names, "sieve")
		default:
			names = append(names, name)
		}
	}
	for _, p := range []string{"imap", "pop3"} {
		switch {
		case have[p+"s"] && have[p]:
			r.obsolete("'%ss' protocol is no longer necessary, remove it", p)
		case have[p+"s"]:
			r.obsolete("'%[1]ss' protocol can no longer be specified (use protocols=%[1]s). to disable non-ssl %[1]s, "+
				"use service %[1]s-login { inet_listener %[1]s { port=0 } }", p)
			names = append(names, p)
			r.set("service/"+p+"-login/inet_listener/"+p+"/port", "port", "0", conf.Plain)
		}
	}
	return strings.Join(names, " ")
}

// tlsVersions from the oldest; ssl_protocols enabled them one by one.
var tlsVersions = []string{"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"}

func (r *reader23) oldTLSVersions(value string) {
	r.obsolete("ssl_protocols has been replaced by ssl_min_protocol")
	least, why := leastTLS(value)
	if why != "" {
		text := "Could not find a minimum ssl_min_protocol setting from ssl_protocols = " + value + ": " + why
		r.problems.add(&Problem{Severity: Warning, Pos: r.pos, Text: text, Line: text, level: "Error",
			Meaning: "the setting is ignored", Instead: "ssl_min_protocol = TLSv1.2"})
		return
	}
	r.apply("ssl_min_protocol", least, conf.Plain)
}

func leastTLS(value string) (version, why string) {
	enabled := map[string]bool{} // by version: the last word about it
	chosen := false              // some version is named without "!"
	for word := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ',' || c == ' ' }) {
		name, not := strings.CutPrefix(word, "!")
		if !slices.Contains(tlsVersions, name) {
			return "", "Unrecognized protocol '" + name + "'"
		}
		enabled[name] = !not
		chosen = chosen || !not
	}
	for _, v := range tlsVersions {
		if on, named := enabled[v]; on || !named && !chosen {
			return v, ""
		}
	}
	return "", "All protocols disabled"
}

func (r *reader23) oldSieve(key, value string) {
	if key == "sieve" {
		r.obsolete("%s has been moved into plugin {} section", key)
	} else {
		r.obsolete("sieve_storage has been moved into plugin { sieve_dir }")
	}
	r.set("plugin/"+key, key, value, conf.Plain)
}

// oldWorkarounds empties words that mean nothing any more; their blanks stay,
// as in Dovecot.
func (r *reader23) oldWorkarounds(value string) string {
	words := strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' })
	for i, w := range words {
		switch w {
		case "outlook-idle":
			r.obsolete("imap_client_workarounds=outlook-idle is no longer necessary")
			words[i] = ""
		case "netscape-eoh":
			r.obsolete("imap_client_workarounds=netscape-eoh is no longer supported")
			words[i] = ""
		}
	}
	return strings.Join(words, " ")
}

// smallCache tells whether auth_cache_size was meant in megabytes.
func smallCache(value string) bool {
	n, err := strconv.ParseUint(value, 10, 64)
	return err == nil && n > 0 && n < 1024
}
