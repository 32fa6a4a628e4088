package config

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// movedToAuth are the settings of auth { } that became some of service auth.
var movedToAuth = map[string]string{
	"auth_executable": "executable", "auth_process_size": "vsz_limit", "auth_user": "user", "auth_chroot": "chroot",
}

// authKey is the name outside of auth { } of a setting inside.
func authKey(key string) string {
	if strings.HasPrefix(key, "auth_") {
		return key
	}
	return "auth_" + key
}

func (r *reader23) assignOldAuth(key, value string) bool {
	written := key
	if r.old.auth == 1 {
		key = authKey(key)
	}
	if to, ok := movedToAuth[key]; ok {
		if key == "auth_process_size" {
			value = megabytes(value)
		}
		r.obsolete("%s has been replaced by service auth { %s }", key, to)
		r.setGlobal("service/auth/"+to, value, false)
		return true
	}
	switch {
	case key == "auth_cache_size" && smallCache(value):
		r.obsolete("auth_cache_size value no longer defaults to megabytes. Use %sM", value)
		r.setGlobal(key, value+"M", false)
	case key == "auth_count" && value == "count":
		r.obsolete("auth_count has been removed")
	case key == "auth_count":
		r.obsolete("auth_count has been removed, and its value must be 1")
	case r.old.listen == 2 && slices.Contains([]string{"path", "mode", "user", "group"}, written):
		r.old.socket[written] = value
	default:
		return false
	}
	return true
}

// openOld converts the opening of a section of 1.x. It tells what is opened
// instead, or that nothing is.
func (r *reader23) openOld(kind, name string) (newKind, newName string, nothing bool) {
	switch {
	case r.at.skip:
	case r.old.auth > 0:
		return kind, name, r.openInAuth(kind, name)
	case r.at.path != "":
	case kind == "auth":
		r.obsolete("add auth_ prefix to all settings inside auth {} and remove the auth {} section completely")
		r.old.auth, r.old.seenAuth = 1, true
		return kind, name, true
	case kind == "protocol" && name == "managesieve":
		r.obsolete("protocol managesieve {} has been replaced by protocol sieve { }")
		return kind, "sieve", false
	case kind == "service" && name == "dns_client":
		r.obsolete("service dns_client {} has been replaced by service dns-client { }")
		return kind, "dns-client", false
	}
	return kind, name, false
}

func (r *reader23) openInAuth(kind, name string) bool {
	r.old.auth++
	switch {
	case r.old.auth == 2 && (kind == "passdb" || kind == "userdb"):
		r.obsolete("%s %s {} has been replaced by %s { driver=%s }", kind, name, kind, name)
		r.open(kind, "")
		r.apply("driver", name, conf.Plain)
		return true
	case r.old.auth == 2 && kind == "socket" && name == "connect":
		r.obsolete("socket connect {} is no longer supported, configure external auth server separately")
		return false
	case r.old.auth == 2 && kind == "socket" && name == "listen":
		r.old.listen++
		return true
	}
	if r.old.listen > 0 {
		r.old.listen++
	}
	if r.old.listen == 2 && (kind == "master" || kind == "client") {
		r.old.master, r.old.socket = kind == "master", map[string]string{}
		return true
	}
	return false
}

// closeOld goes back to the state before a section. A socket is made when its
// section ends.
func (r *reader23) closeOld(before old) {
	if r.old.listen == 2 && before.listen == 1 {
		r.makeSocket()
	}
	r.old.auth, r.old.listen = before.auth, before.listen
}

// makeSocket makes a listener of service auth of a section of socket listen.
func (r *reader23) makeSocket() {
	path, ok := r.old.socket["path"]
	if !ok {
		r.fail("socket listen {} is missing path")
		return
	}
	path = strings.TrimPrefix(path, r.old.baseDir+"/")
	master := strings.HasSuffix(path, "-master") || strings.HasSuffix(path, "-userdb")
	switch {
	case r.old.master && !master:
		r.fail("socket listen { master { path=.. } } must end with -master (or -userdb) suffix")
		return
	case !r.old.master && master:
		r.fail("socket listen { client { path=.. } } must end not with -master or -userdb suffix")
		return
	}
	at := "service/auth/unix_listener"
	b, err := r.at.tree.open(at, escapeName(path), r.pos)
	if err != nil {
		r.fail(err.Error())
		return
	}
	b.title(path, r.pos)
	for _, key := range []string{"mode", "user", "group"} {
		if v, ok := r.old.socket[key]; ok {
			r.set(at+"/"+escapeName(path)+"/"+key, key, v, conf.Plain)
		}
	}
}
