package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"dovetail/formats/conf"
)

// What stands here is true of files of Dovecot 1.0 to 1.2 only, as measured
// with 1.1.rc8: what its defaults were, what it knew as sections, and which of
// its settings 2.x refuses. All else is converted as 2.3 does it.

// defaults1 are the defaults of 1.1 that are others today. They are set as if
// the file did, so that what is printed means the same to 2.3.
var defaults1 = [][2]string{
	{"protocols", "imap"},
	{"listen", "*"},
	{"auth_username_format", ""}, // names keep their case
	{"imap_logout_format", "bytes=%i/%o"},
	{"login_log_format_elements", "user=<%u> method=%m rip=%r lip=%l %c"},
	{"service/imap/process_limit", "512"},
	{"service/pop3/process_limit", "512"},
	{"service/imap-login/process_limit", "128"},
	{"service/pop3-login/process_limit", "128"},
}

func (r *reader23) setDefaults1() {
	for _, d := range defaults1 {
		_, _ = r.at.tree.assign(d[0], d[1], conf.Pos{}, conf.Plain)
	}
}

// gone1 are the settings of 1.x that nothing replaces, and why.
var gone1 = map[string]string{
	"nfs_check":                     "the file system is not asked",
	"umask":                         "files get the modes of their folders",
	"login_greeting_capability":     "the greeting always names the capabilities",
	"mailbox_list_index_disable":    "the list index is kept where it helps",
	"auth_worker_max_request_count": "there are no worker processes",
}

// assign1 converts a setting of 1.x that the conversions of 2.3 do not know.
func (r *reader23) assign1(key, value string) bool {
	if r.old.auth == 1 {
		key = authKey(key)
	}
	if r.at.path != "" {
		return false
	}
	why, gone := gone1[key]
	switch {
	case gone:
		r.problems.add(&Problem{Severity: Advice, Pos: r.pos, Text: key + " is not needed", Meaning: why})
	case key == "mail_extra_groups":
		r.warn("mail_extra_groups setting was often used insecurely so it is now deprecated, " +
			"use mail_access_groups or mail_privileged_group instead")
		r.apply("mail_access_groups", value, conf.Plain)
	case key == "default_mail_env":
		r.rename(key, "mail_location", value)
	case key == "auth_ntlm_use_winbind":
		r.apply("auth_use_winbind", value, conf.Plain)
	case key == "dbox_rotate_size", key == "mbox_min_index_size":
		return r.assignOld(key, kilobytes(value))
	default:
		return false
	}
	return true
}

func kilobytes(v string) string {
	if isNumber(v) {
		return v + "k"
	}
	return v
}

func isNumber(v string) bool { return v != "" && strings.Trim(v, "0123456789") == "" }

// sections1 are the kinds of section of 1.x, by the kind around them.
var sections1 = map[string][]string{
	"":       {"auth", "namespace", "protocol", "plugin", "dict", "server"},
	"server": {"auth", "namespace", "protocol", "plugin"}, "protocol": {"plugin"},
	"auth": {"passdb", "userdb", "socket"}, "socket": {"master", "client"},
}

// open1 checks a section of 1.x against what may stand there. The texts are
// those of 1.1.rc8 master-settings.c.
func (r *reader23) open1(n *conf.Node) error {
	around := ""
	if n.Parent.Kind == conf.Open {
		around = n.Parent.Key
	}
	known := false
	for _, kinds := range sections1 {
		known = known || slices.Contains(kinds, n.Key)
	}
	switch {
	case !known:
		return errors.New("Unknown section type")
	case !slices.Contains(sections1[around], n.Key):
		kind := strings.ToUpper(n.Key[:1]) + n.Key[1:]
		return fmt.Errorf("%s section not allowed here (section changed at line %d)", kind, n.Parent.Pos.Line)
	case n.Key == "protocol" && !slices.Contains([]string{"imap", "pop3", "managesieve", "lda"}, n.Name):
		return errors.New("Unknown protocol name")
	case n.Key == "namespace" && !slices.Contains([]string{"", "private", "public", "shared"}, n.Name):
		return errors.New("Unknown namespace type")
	case n.Key == "server":
		return errors.New("server sections are not supported: give each address a configuration of its own")
	}
	return nil
}

// namespace1 opens a namespace, of which 1.x gives the type where 2.x has a
// name.
func (r *reader23) namespace1(kind string) {
	r.open("namespace", "")
	if kind != "" {
		r.apply("type", kind, conf.Plain)
	}
}

// end1 adds what 1.1 checked when all was read.
func (r *reader23) end1() {
	if !r.old.seenAuth {
		p := r.whole("Missing auth section for server default")
		p.Instead = "auth default {"
	}
	if v, _ := r.c.filters[0].get("protocols"); v.Text == "" {
		r.whole("No protocols given in configuration file")
	}
}

// place is where 1.x listens: an address with its own port, or with the default
// one.
type place struct{ addresses, port string }

// places1 splits a list of addresses by their ports. The conversion of 2.3 takes
// the last port for all of them.
func places1(list string) []place {
	var all []place
	for a := range strings.FieldsFuncSeq(list, func(c rune) bool { return c == ',' || c == ' ' }) {
		port := ""
		if _, p, err := net.SplitHostPort(a); err == nil && isNumber(p) {
			a, port = strings.TrimSuffix(a, ":"+p), p
		}
		i := slices.IndexFunc(all, func(p place) bool { return p.port == port })
		if i < 0 {
			all = append(all, place{a, port})
			continue
		}
		all[i].addresses += ", " + a
	}
	return all
}

// listen1 makes a listener for each port that 1.x listened on. It tells false
// when there is only one, which needs no more than 2.3 does.
func (r *reader23) listen1(key, value string) bool {
	places := places1(value)
	if r.c.Dialect != conf.V1 || len(places) < 2 {
		return false
	}
	tls := key == "ssl_listen"
	r.obsolete("%s=..:port has been replaced by service { inet_listener { port } }", key)
	r.forServices(func(service string, optional bool) {
		if optional {
			return
		}
		name := service
		if tls {
			name += "s"
		}
		for i, p := range places {
			at := "service/" + service + "-login/inet_listener/" + name
			if i > 0 {
				at += "-" + p.port
				r.global(func() { r.openListener(at, name+"-"+p.port) })
			}
			r.setGlobal(at+"/address", p.addresses, false)
			if p.port != "" {
				r.setGlobal(at+"/port", p.port, false)
			}
			if i > 0 && tls {
				r.setGlobal(at+"/ssl", "yes", false)
			}
		}
	})
	return true
}

func (r *reader23) openListener(path, name string) {
	up, _ := cutLast(path)
	b, err := r.at.tree.open(up, escapeName(name), r.pos)
	if err != nil {
		r.fail(err.Error())
		return
	}
	b.title(name, r.pos)
}
