package conf

import (
	"slices"
	"strings"
)

// Sign is a line that tells which program a file was written for.
type Sign struct {
	Line    *Line
	Dialect Dialect
	Why     string
}

// Signs gives the lines of a file that belong to one generation only, in
// reading order: V1 for what only 1.x knew, V23 for what 1.x did not know, V24
// for what came with 2.4. It reads no includes.
func Signs(f *File) []Sign {
	var signs []Sign
	var sections []*Line
	first := true
	for _, l := range f.Lines {
		switch l.Kind {
		case Blank, Comment, Lost:
			continue
		case Close:
			sections = sections[:max(0, len(sections)-1)]
			continue
		}
		var within *Line
		if len(sections) > 0 {
			within = sections[len(sections)-1]
		}
		if d, why := sign(l, within, first); d != Unknown {
			signs = append(signs, Sign{l, d, why})
		}
		if l.Kind == Open {
			sections = append(sections, l)
		}
		first = first && l.Kind == Include
	}
	return signs
}

// oldSettings are names of 1.x that stand for what 2.0 made a service of, and
// the certificates, which 2.x reads with "<".
var oldSettings = strings.Fields(`ssl_cert_file ssl_key_file ssl_ca_file ssl_disable
	login_dir login_chroot login_user login_executable login_process_size login_process_per_connection
	login_processes_count login_max_processes_count login_max_connections max_mail_processes
	mail_executable mail_process_size mail_drop_priv_before_exec default_mail_env mail_extra_groups
	auth_executable auth_process_size auth_user`)

// sign judges one line inside a section, or at top level.
func sign(l, within *Line, first bool) (Dialect, string) {
	switch l.Kind {
	case Assign:
		return signOfSetting(l, within, first)
	case Include:
		return V23, "1.x has no includes"
	case Open:
		return signOfSection(l, within)
	}
	return Unknown, ""
}

func signOfSetting(l, within *Line, first bool) (Dialect, string) {
	switch {
	case first && l.Key == "dovecot_config_version":
		return V24, "the first setting is " + l.Key
	case l.Key == "protocols" && containsWord(l.Value, "imaps", "pop3s", "managesieve"):
		return V1, "protocols names " + l.Value
	case within != nil && within.Key == "protocol" && (l.Key == "listen" || l.Key == "ssl_listen"):
		return V1, l.Key + " in protocol " + within.Name
	case within == nil && slices.Contains(oldSettings, l.Key):
		return V1, l.Key + " is a setting of 1.x"
	case l.Form == FromFile && strings.HasPrefix(l.Key, "ssl_"):
		return V23, "1.x reads no values from files"
	}
	return Unknown, ""
}

func signOfSection(l, within *Line) (Dialect, string) {
	switch {
	case l.Group:
		return V24, "2.x has no groups"
	case within != nil && within.Key == "auth" && (l.Key == "passdb" || l.Key == "userdb" || l.Key == "socket"):
		return V1, l.Key + " in auth " + within.Name
	case within != nil:
		return Unknown, ""
	case l.Key == "auth" && l.NameSet:
		return V1, "section auth " + l.Name
	case l.Key == "service":
		return V23, "1.x has no services"
	case l.Key == "passdb" || l.Key == "userdb":
		return V23, "in 1.x " + l.Key + " stands in section auth"
	}
	return Unknown, ""
}

func containsWord(s string, words ...string) bool {
	return slices.ContainsFunc(strings.Fields(s), func(w string) bool { return slices.Contains(words, w) })
}

// Detect tells the dialect of a main file from its lines alone. V24 needs the
// version as its first setting. V1 needs at least one sign of 1.x and none of
// 2.x: a file of 2.x may still carry old names, which 2.x converts.
func Detect(f *File) Dialect {
	old, newer := false, false
	for _, s := range Signs(f) {
		switch {
		case s.Dialect == V24 && s.Line.Kind == Assign:
			return V24
		case s.Dialect == V1:
			old = true
		default:
			newer = true
		}
	}
	if old && !newer {
		return V1
	}
	return V23
}

// detect is Detect, but the first setting may stand in an included file.
func (ld *loader) detect(name, data string) Dialect {
	f := Parse(name, data, V23)
	if first := ld.first(f, 0); first != nil && first.Kind == Assign && first.Key == "dovecot_config_version" {
		return V24
	}
	return Detect(f)
}

// first finds the first setting or section, through includes, or nil. Files
// that cannot be read are reported later, when they are read for good.
func (ld *loader) first(f *File, depth int) *Line {
	for _, l := range f.Lines {
		switch l.Kind {
		case Assign, Open, Bad:
			return l
		case Include:
			if depth == ld.limits.Depth || ld.files > ld.limits.Files {
				return nil
			}
			names, _ := glob(ld.src, beside(f.Name, l.Value), ld.limits.Files)
			for _, name := range names {
				ld.files++
				data, err := ld.slurp(name, false)
				if err != nil {
					continue
				}
				if found := ld.first(Parse(name, data, V23), depth+1); found != nil {
					return found
				}
			}
		}
	}
	return nil
}
