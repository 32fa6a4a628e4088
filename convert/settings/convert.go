package settings

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// Options say where the new configuration will live.
type Options struct {
	// Dir is where dovecot.conf and its companions are going to be, "/etc/dovecot" when empty.
	Dir string
}

// run makes one configuration.
type run struct {
	*Courier
	dir     string
	top     block
	files   []File
	differ  []perProtocol
	plugins []string
	nets    []netip.Prefix // that IMAP may be used from
	netsOf  value
}

// perProtocol is a setting that the protocols may have different values of.
type perProtocol struct {
	key    string
	values map[string]entry
}

// Convert makes the configuration. It reads nothing more than Read did, but for certificates and networks that the
// settings name.
func (c *Courier) Convert(o Options) *Result {
	if o.Dir == "" {
		o.Dir = "/etc/dovecot"
	}
	r := &run{Courier: c, dir: o.Dir}
	r.listeners()
	r.tls()
	r.mail()
	r.nets, r.netsOf = r.allowedNets()
	r.authentication()
	r.supervised()
	r.spread()
	c.judge()
	main := File{Name: "dovecot.conf", Text: r.text()}
	return &Result{Files: append([]File{main}, r.files...), Settings: c.settings, Problems: c.problems, Hints: c.hints}
}

func (r *run) text() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Dovecot 2.3 in place of the Courier of %s.\n", printable(absolute(r.Courier.dir)))
	out.WriteString("# A comment names the file and line in which Courier had what is set below it.\n\n")
	slices.SortStableFunc(r.top.blocks, func(a, b *block) int { return place(a.head) - place(b.head) })
	r.top.write(&out, "")
	return out.Bytes()
}

// absolute gives a path for others to use, who stand elsewhere.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// place puts filters last: Dovecot warns of a global setting that follows one.
func place(head string) int {
	word, _, _ := strings.Cut(head, " ")
	return slices.Index([]string{"namespace", "plugin", "passdb", "userdb", "service", "protocol", "local_name", "local"}, word)
}

// from names the place a value comes from.
func from(values ...value) string {
	var places []string
	for _, v := range values {
		if v.Setting == nil {
			continue
		}
		if p := fmt.Sprintf("%s:%d %s", v.File, v.Line, v.Name); !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return strings.Join(places, ", ")
}

// servers gives the protocols that are started, both when none is.
func (r *run) servers() []*server {
	var on []*server
	for _, s := range []*server{r.imap, r.pop3} {
		if s.plainOn() || s.tlsOn() {
			on = append(on, s)
		}
	}
	return on
}

// per sets something for one protocol; where all agree it becomes a global setting.
func (r *run) per(s *server, key, val string, notes ...string) {
	for i := range r.differ {
		if r.differ[i].key == key {
			r.differ[i].values[s.protocol] = entry{key, val, notes}
			return
		}
	}
	r.differ = append(r.differ, perProtocol{key, map[string]entry{s.protocol: {key, val, notes}}})
}

// spread writes what was set for protocols.
func (r *run) spread() {
	servers := r.servers()
	for _, d := range r.differ {
		var notes []string
		same := true
		for _, s := range servers {
			e, set := d.values[s.protocol]
			same = same && set && e.value == d.values[servers[0].protocol].value
			for _, n := range e.notes {
				if !slices.Contains(notes, n) {
					notes = append(notes, n)
				}
			}
		}
		for _, s := range servers {
			e, set := d.values[s.protocol]
			switch {
			case same && e.value == "":
			case same:
				r.top.set(d.key, e.value, notes...)
			case set:
				r.top.block("protocol "+s.protocol).set(d.key, e.value, e.notes...)
			}
		}
	}
}

// judge gives every setting that has no fate yet the one of its name.
func (c *Courier) judge() {
	last := c.last()
	for _, s := range c.settings {
		counts := last[pair(s)]
		rule, known := ruleOf(s.File, s.Name)
		s.secret = rule.secret
		switch {
		case s.unknown != "" && rule.fate != NotNeeded:
			s.Fate, s.Why = NotCarried, "the value is not known: "+s.unknown
		case s.Fate != "":
		case counts != s:
			s.become(NotNeeded, "", fmt.Sprintf("%s:%d counts instead", counts.File, counts.Line))
		case known && rule.fate == NotCarried && !(value{s, s.Value}).inUse():
			s.become(NotNeeded, "", "switched off")
		case known && rule.fate == Carried:
			s.become(NotNeeded, "", "the same as without it, or not in use")
		case known:
			s.become(rule.fate, "", rule.why)
		case c.used[s.Name]:
			s.become(NotNeeded, "", "only other settings are made of it")
		default:
			s.become(NotCarried, "", "no setting of Courier that is known here")
			if name := similar[bare(s.Name)]; name != "" {
				s.Why += "; Courier has one called " + name
			}
		}
		if s.secret {
			s.Value = ""
		}
	}
}

// inUse tells whether a feature is switched on or has a value.
func (v value) inUse() bool {
	return v.text != "" && v.text != "0" && !strings.HasPrefix(strings.ToLower(v.text), "n")
}

// last finds, for each name and pair of files, the line that counts: the last one, but the first one in files of fields.
func (c *Courier) last() map[string]*Setting {
	last := map[string]*Setting{}
	for _, s := range c.settings {
		if key := pair(s); last[key] == nil || c.fields[s.File] == nil {
			last[key] = s
		}
	}
	return last
}

func pair(s *Setting) string { return strings.TrimSuffix(s.File, "-ssl") + " " + s.Name }

// similar finds a known setting that differs only in underscores and case.
var similar = func() map[string]string {
	names := map[string]string{}
	for _, table := range []map[string]rule{serverRules, authRules} {
		for name := range table {
			names[bare(name)] = name
		}
	}
	return names
}()

func bare(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
