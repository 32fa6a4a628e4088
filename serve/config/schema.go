package config

import (
	"slices"
	"strings"
	"sync"
)

// section is one kind of section of 2.3, with what may stand in it. The root
// of the configuration is one too.
type section struct {
	path     string              // service/unix_listener; "" is the root
	name     string              // setting that holds the name of the section
	unique   bool                // sections of one name are one section
	order    int                 // where doveconf -S prints it
	like     string              // setting that is printed for the same modules
	settings map[string]*Setting // by key
	sections map[string]*section // by type
	maps     map[string]*section // plugin, dict: any key, no sections
	list     []*Setting          // in the order of doveconf -S
	inner    []*section          // sections and maps in that order
	aliases  map[string]string   // other names of settings
}

// sections are the kinds of section that 2.3.19.1 knows. The order numbers go
// with those of the table.
var sections = []section{
	{path: "passdb", name: "name", order: 114, like: "auth_mechanisms"},
	{path: "userdb", name: "name", order: 130, like: "auth_mechanisms"},
	{path: "dict", order: 146, like: "dict_db_config"},
	{path: "plugin", order: 178, like: "mail_log_prefix"},
	{path: "namespace", name: "name", unique: true, order: 286, like: "mail_log_prefix",
		aliases: map[string]string{"mail": "location", "mail_location": "location"}},
	{path: "namespace/mailbox", name: "name", unique: true, order: 300},
	{path: "service", name: "name", unique: true, order: 320, like: "protocols"},
	{path: "service/unix_listener", name: "path", unique: true, order: 17},
	{path: "service/fifo_listener", name: "path", unique: true, order: 18},
	{path: "service/inet_listener", name: "name", unique: true, order: 19},
	{path: "metric", name: "metric_name", unique: true, order: 1119, like: "stats_http_rawlog_dir"},
	{path: "event_exporter", name: "name", unique: true, order: 1120, like: "stats_http_rawlog_dir"},
}

// statistics are the settings of sections that the table does not count,
// because they only choose what Dovecot's own statistics service collects.
var statistics = []*Setting{
	{Name23: "metric/metric_name", Type: String},
	{Name23: "metric/fields", Type: String},
	{Name23: "metric/group_by", Type: String},
	{Name23: "metric/filter", Type: String},
	{Name23: "metric/exporter", Type: String},
	{Name23: "metric/exporter_include", Type: String, Default23: "name hostname timestamps categories fields"},
	{Name23: "metric/description", Type: String},
	{Name23: "event_exporter/name", Type: String},
	{Name23: "event_exporter/transport", Type: String},
	{Name23: "event_exporter/transport_args", Type: String},
	{Name23: "event_exporter/transport_timeout", Type: TimeMs, Default23: "250 ms"},
	{Name23: "event_exporter/format", Type: String},
	{Name23: "event_exporter/format_args", Type: String},
}

// schema23 is the root section of 2.3.
var schema23 = sync.OnceValue(func() *section {
	root := &section{}
	byPath := map[string]*section{"": root}
	for _, row := range sections {
		s := row
		byPath[s.path] = &s
		parent, kind := cutLast(s.path)
		byPath[parent].addSection(kind, &s)
	}
	for _, s := range Settings() {
		if s.Place == "core" {
			root.addSetting(s.Name23, s)
		}
		if s.Place == "section" && s.Type != Map {
			parent, key := cutLast(s.Name23)
			byPath[parent].addSetting(key, s)
		}
	}
	for _, s := range statistics {
		s.Place, s.Fate, s.Text = "section", NotNeeded, "events go to the log, in JSON if wanted"
		parent, key := cutLast(s.Name23)
		s.key = key
		byPath[parent].addSetting(key, s)
	}
	root.sort()
	return root
})

func cutLast(path string) (parent, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

func (s *section) addSection(kind string, inner *section) {
	to := &s.sections
	if inner.name == "" {
		to = &s.maps
	}
	if *to == nil {
		*to = map[string]*section{}
	}
	(*to)[kind] = inner
	s.inner = append(s.inner, inner)
}

func (s *section) addSetting(key string, row *Setting) {
	if s.settings == nil {
		s.settings = map[string]*Setting{}
	}
	s.settings[key] = row
	s.list = append(s.list, row)
}

// kind is the word that opens the section.
func (s *section) kind() string {
	_, kind := cutLast(s.path)
	return kind
}

// isMap tells whether the section takes any key.
func (s *section) isMap() bool { return s.path != "" && s.name == "" }

// setting finds a setting by its key or an alias of it.
func (s *section) setting(key string) *Setting {
	if other, ok := s.aliases[key]; ok {
		key = other
	}
	return s.settings[key]
}

// sort puts everything in the order of doveconf -S.
func (s *section) sort() {
	slices.SortStableFunc(s.list, func(a, b *Setting) int { return a.order - b.order })
	slices.SortStableFunc(s.inner, func(a, b *section) int { return a.order - b.order })
	for _, inner := range s.inner {
		inner.sort()
	}
}
