// Package options turns a configuration into what the parts of the program are
// told: plain structs of Go values, the same for every dialect, so that nothing
// else needs to know that files, dialects or doveconf exist.
//
//	Read[IMAP](view)       the settings of one topic: IMAP, POP3, LMTP, Delivery, ManageSieve,
//	                       Log, TLS, Login, AuthRules, Users, Master, Storage, Mbox, Mdbox, Admin,
//	                       Replication
//	ReadAuthPolicy(view)   the server that is asked about logins
//	ReadServices(view)     services with their listeners
//	ReadServerNames(c)     certificates by the name that a client asks for
//	ReadPassDBs(view, src) and ReadUserDBs: the chains of databases
//	ReadNamespaces(view)   namespaces with their mailboxes
//	ReadFeatures(view)     what plug-ins do elsewhere: quota, acl, Sieve
//	Place.Location(vars)   where a user's mail is
//
// A view is what holds for one connection (config.Config.For), so an IMAP
// session reads IMAP of the view for protocol imap, its addresses and name. It
// must come from a configuration that was loaded with Expand.
//
// Each field names its setting in the tag "set", by its name in 2.3; the name in
// 2.4 comes from the table of settings or stands in the tag "v24", where "!"
// turns yes and no about, and "-" says that 2.4 has none. The comment has what
// the setting means and its default in 2.3. Units are those of the Go type:
// time.Duration, bytes, octal file modes. Numbers that 2.4 writes "unlimited"
// are the largest of their type unless a field says otherwise.
package options

import (
	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// Read fills the options of one topic. An error is a value that its type does
// not take, which Load has complained about.
func Read[T any](v config.View) (T, error) {
	var options T
	err := fill(v.Dialect, v.Get, &options)
	if n, ok := any(&options).(interface{ normalise(conf.Dialect) }); ok {
		n.normalise(v.Dialect)
	}
	return options, err
}

// Template is a text with variables, in the words of 2.4 wherever those can say
// the same: so both dialects give the same template.
type Template struct {
	Text string
	Old  bool // the words are those of 2.3, because 2.4 has none for them
}

// newTemplate reads the value of a setting of that kind.
func newTemplate(text string, d conf.Dialect, place variable.Place) Template {
	if d == conf.V24 {
		return Template{Text: text}
	}
	return translated.of(oldTemplate{text, place}, len(text), oldTemplate.translate)
}

// oldTemplate is the value of a setting of 2.3.
type oldTemplate struct {
	text  string
	place variable.Place
}

func (t oldTemplate) translate() Template {
	text24, losses := variable.To24(t.text, t.place)
	if len(losses) > 0 {
		return Template{Text: t.text, Old: true}
	}
	return Template{Text: text24}
}

// Parse makes the template ready for many expansions.
func (t Template) Parse() (*variable.Template, error) {
	p := parsed.of(t, len(t.Text), Template.parse)
	return p.template, p.err
}

func (t Template) parse() (p parsing) {
	if t.Old {
		p.template, p.err = variable.Parse23(t.Text)
	} else {
		p.template, p.err = variable.Parse24(t.Text)
	}
	return p
}

// parsing is what came of a template.
type parsing struct {
	template *variable.Template
	err      error
}

// Expand puts in the values of variables. The lookup is asked in the words of
// the template: "user" and, if it is Old, "u".
func (t Template) Expand(l variable.Lookup) (string, error) {
	parsed, err := t.Parse()
	if err != nil {
		return "", err
	}
	return parsed.Expand(l)
}
