package options

import (
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

// PassDB is one database of passwords in the chain.
type PassDB struct {
	Name               string   `set:"passdb/name"`                                // "" if it has none, or the driver's
	Driver             string   `set:"passdb/driver"`                              // passwd-file, sql, ldap, pam, static, …
	Skip               string   `set:"passdb/skip"`                                // never, authenticated, unauthenticated
	ResultSuccess      string   `set:"passdb/result_success,passdb/pass" by:"old"` // return-ok, continue, …
	ResultFailure      string   `set:"passdb/result_failure"`
	ResultInternalFail string   `set:"passdb/result_internalfail"`
	Deny               bool     `set:"passdb/deny"`                                // who is in it is refused
	Master             bool     `set:"passdb/master"`                              // of users who may log in as others
	Mechanisms         []string `set:"passdb/mechanisms"`                          // asked for these only; "none": lookups; nil: all
	UsernameFilter     []string `set:"passdb/username_filter"`                     // asked for names with these wildcards only; "!" before one refuses
	Defaults           []Field  `set:"passdb/default_fields,passdb" by:"dialect"`  // before the lookup
	Fields             []Field  `set:"passdb/override_fields" by:"dialect"`        // after it, or made of what it gave
	ImportAll          bool     `set:"passdb_fields_import_all" by:"dialect"`      // what the database gives are fields, too; not of ldap, whose Fields name all
	Driven             Driven   `set:"passdb/args,passdb_use_worker" by:"dialect"` //
}

// UserDB is one database of users in the chain.
type UserDB struct {
	Name               string  `set:"userdb/name"`
	Driver             string  `set:"userdb/driver"`         // passwd, passwd-file, sql, ldap, static, prefetch, …
	Skip               string  `set:"userdb/skip"`           // never, found, notfound
	ResultSuccess      string  `set:"userdb/result_success"` // return-ok, continue, …
	ResultFailure      string  `set:"userdb/result_failure"`
	ResultInternalFail string  `set:"userdb/result_internalfail"`
	Defaults           []Field `set:"userdb/default_fields,userdb" by:"dialect"`
	Fields             []Field `set:"userdb/override_fields" by:"dialect"`
	ImportAll          bool    `set:"userdb_fields_import_all" by:"dialect"`
	Driven             Driven  `set:"userdb/args,userdb_use_worker" by:"dialect"`
}

// Field is a field that a lookup has: uid, home, nopassword. Value may hold
// variables, with what the database gave as %{ldap:ATTRIBUTE}.
type Field struct {
	Name  string
	Value Template
}

// ReadPassDBs gives the chain in its order. The source has the external files
// of 2.3 that drivers are told of.
func ReadPassDBs(v config.View, src conf.Source) ([]PassDB, error) {
	var chain []PassDB
	for _, s := range v.Sections("passdb") {
		var db PassDB
		if err := fill(v.Dialect, s.Get, &db); err != nil {
			return nil, err
		}
		success, _ := s.Get(keyOf(v.Dialect, "passdb", "result_success"))
		db.ResultSuccess = success.Text
		if pass, _ := s.Get("pass"); pass.Text == "yes" && success.Pos.File == "" && v.Dialect != conf.V24 {
			db.ResultSuccess = "continue"
		}
		c := chainReader{View: v, src: src, at: s, kind: "passdb", driver: db.Driver}
		if err := c.read(); err != nil {
			return nil, err
		}
		db.Name, db.Driver, db.Defaults, db.Fields, db.ImportAll, db.Driven = c.name(), c.driver, c.defaults, c.fields, c.importAll, c.driven
		chain = append(chain, db)
	}
	return chain, nil
}

// ReadUserDBs is ReadPassDBs for users.
func ReadUserDBs(v config.View, src conf.Source) ([]UserDB, error) {
	var chain []UserDB
	for _, s := range v.Sections("userdb") {
		var db UserDB
		if err := fill(v.Dialect, s.Get, &db); err != nil {
			return nil, err
		}
		c := chainReader{View: v, src: src, at: s, kind: "userdb", driver: db.Driver}
		if err := c.read(); err != nil {
			return nil, err
		}
		db.Name, db.Driver, db.Defaults, db.Fields, db.ImportAll, db.Driven = c.name(), c.driver, c.defaults, c.fields, c.importAll, c.driven
		chain = append(chain, db)
	}
	return chain, nil
}

// keyOf gives the full name that a setting of a section has in a dialect.
func keyOf(d conf.Dialect, kind, key string) string {
	if d == conf.V24 {
		return kind + "_" + key
	}
	return key
}

// chainReader reads what the dialects write in different ways.
type chainReader struct {
	config.View
	src              conf.Source
	at               config.SectionView
	kind             string // passdb, userdb
	driver           string
	defaults, fields []Field
	importAll        bool
	driven           Driven
}

func (c *chainReader) read() error {
	c.importAll = true
	if c.kind == "passdb" {
		c.driven.Scheme = "CRYPT"
	}
	if c.Dialect == conf.V24 {
		c.read24()
		return nil
	}
	c.defaults = fields23(c.text("default_fields"))
	if err := c.args(c.text("args")); err != nil {
		return err
	}
	c.fields = append(c.fields, fields23(c.text("override_fields"))...)
	return nil
}

// name gives a section its name, unless that only is the driver's.
func (c *chainReader) name() string {
	if c.at.Name == c.driver {
		return ""
	}
	return c.at.Name
}

func (c *chainReader) text(key string) string {
	v, _ := c.at.Get(key)
	return v.Text
}

func authTemplate(text string) Template { return newTemplate(text, conf.V23, variable.InAuth) }

// fields23 reads "key=value key=value key"; a key alone is yes.
func fields23(text string) []Field { return Fields23(splitFields(text)) }

// Fields23 is the words of 2.3's args as fields; a key alone is yes.
func Fields23(words []string) []Field {
	var list []Field
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			value = "yes"
		}
		list = append(list, Field{key, authTemplate(value)})
	}
	return list
}

// splitFields cuts at blanks that are not inside %{}.
func splitFields(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch {
		case r == '{':
			depth++
		case r == '}' && depth > 0:
			depth--
		}
		return depth == 0 && (r == ' ' || r == '\t')
	})
}
