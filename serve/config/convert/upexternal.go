package convert

import (
	"strings"

	"dovetail/formats/conf"
)

// extLine is a setting of an external file with the comment above it.
type extLine struct {
	key, value string
	comments   []string
}

// external reads the file that args names and gives it to the driver's own
// translation, unless it cannot be read.
func (d *database) external(name string, translate func(lines []extLine)) {
	if name == "" {
		return
	}
	data, err := readText(d.u.src, name)
	if err != nil {
		d.args = lost("open(" + name + ") failed: " + conf.Reason(err))
		return
	}
	f := conf.Parse(name, data, conf.Ext)
	last := map[string]int{}
	var all []extLine
	for _, l := range f.Lines {
		if l.Kind != conf.Assign {
			continue
		}
		e := extLine{key: l.Key, value: l.Value}
		if above := f.Above(l); above != nil {
			for text := range strings.Lines(above.Raw()) {
				e.comments = append(e.comments, strings.TrimSpace(text))
			}
		}
		if l.Comment != "" {
			e.comments = append(e.comments, l.Comment)
		}
		if i, ok := last[l.Key]; ok {
			all[i] = e
			continue
		}
		last[l.Key] = len(all)
		all = append(all, e)
	}
	translate(all)
}

// share puts the settings of a connection before the section, once for all
// sections that use the same file; another connection stands in the section.
func (d *database) share(what string, list []string) {
	all := strings.Join(list, "\n")
	switch old, ok := d.u.inlined[what]; {
	case len(list) == 0:
	case !ok && d.n.Parent.Kind == conf.Root:
		d.u.inlined[what] = all
		d.before = append(d.before, list...)
	case old != all || !ok:
		d.args.lines = append(d.args.lines, list...)
	}
}

func (d *database) sql(list []extLine) {
	var shared []string
	driver := ""
	for _, e := range list {
		if e.key == "driver" {
			driver = e.value
		}
	}
	for _, e := range list {
		key := ""
		switch e.key {
		case "driver":
			shared = append(append(shared, e.comments...), d.u.assign("sql_driver", e.value))
		case "connect":
			out, why := d.connection(driver, e.value)
			if why != "" {
				d.args.parts = append(d.args.parts, [2]string{"connect", why})
			}
			shared = append(append(shared, e.comments...), out...)
		case "default_pass_scheme":
			d.only("passdb", "default_password_scheme", e)
		case "password_query":
			key = "passdb query"
		case "update_query":
			key = "passdb update_query"
		case "user_query":
			key = "userdb query"
		case "iterate_query":
			key = "userdb iterate_query"
		default:
			d.args.parts = append(d.args.parts, [2]string{e.key, "there is no such setting"})
		}
		if kind, short, ok := strings.Cut(key, " "); ok && kind == d.kind {
			d.query(short, e)
		}
	}
	d.share("sql", shared)
}

// only adds a setting that one kind of section has.
func (d *database) only(kind, key string, e extLine) {
	if d.kind == kind {
		d.args.lines = append(append(d.args.lines, e.comments...), d.u.assign(key, e.value))
	}
}

// query writes a query. Columns that had old names cannot be changed here.
func (d *database) query(key string, e extLine) {
	value, losses := authTemplate(e.value)
	if len(losses) > 0 {
		d.args.parts = append(d.args.parts, [2]string{e.key, losses[0].Text + ": " + losses[0].Why})
		return
	}
	low := strings.ToLower(value)
	for _, field := range []string{"quota_rule", "mail"} {
		if strings.Contains(low, "as "+field+" ") || strings.Contains(low, "as "+field+",") ||
			strings.Contains(low, "as userdb_"+field) || strings.HasSuffix(low, "as "+field) {
			d.args.parts = append(d.args.parts, [2]string{"AS " + field,
				"name the column after settings of 2.4: quota_storage_size, mail_path …"})
		}
	}
	d.args.lines = append(append(d.args.lines, e.comments...), d.u.assign(d.key(key), value))
}

// connection writes connect of an SQL driver as sections.
func (d *database) connection(driver, connect string) (out []string, why string) {
	var hosts []string
	tls := false // a certificate said so
	var inner, parameters []string
	if driver == "sqlite" {
		path, _, _ := strings.Cut(strings.TrimPrefix(connect, "path="), " ")
		return []string{d.u.assign("sqlite_path", path)}, ""
	}
	for _, p := range words(connect) {
		switch p.key {
		case "host", "hostaddr":
			hosts = append(hosts, p.value)
		case "maxconns":
			inner = append(inner, d.u.assign("connection_limit", p.value))
		default:
			key := p.key
			if name, ok := mysqlTLS[key]; ok && driver == "mysql" {
				key, tls = name, true
			}
			parameters = append(parameters, d.u.assign(key, p.value))
		}
	}
	switch {
	case driver == "pgsql" && len(parameters) > 0:
		inner = append(inner, section("parameters {", parameters...)...)
	case driver == "pgsql":
	case driver == "mysql":
		if tls {
			inner = append(inner, "ssl = yes")
		}
		inner = append(inner, parameters...)
	default:
		return nil, "there is no SQL driver " + driver
	}
	if len(hosts) == 0 {
		hosts = []string{"localhost"}
	}
	for _, h := range hosts {
		out = append(out, section(d.u.writer.open(driver, h), inner...)...)
	}
	return out, why
}

// mysqlTLS are the parts of connect that are settings of every client in 2.4.
var mysqlTLS = map[string]string{
	"ssl_ca": "ssl_client_ca_file", "ssl_cert": "ssl_client_cert_file", "ssl_key": "ssl_client_key_file",
	"ssl_ca_path": "ssl_client_ca_dir", "ssl_cipher": "ssl_cipher_list",
	"ssl_verify_server_cert": "ssl_client_require_valid_cert",
}
