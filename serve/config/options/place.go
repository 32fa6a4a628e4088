package options

import (
	"slices"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/formats/location"
	"dovetail/serve/config"
)

// Place says where and in which format the mail of any user is: mail_location
// of 2.3 taken apart, or what 2.4 has separate settings for.
type Place struct {
	Driver      string   `set:"mail_location" v24:"mail_driver" by:"dialect"`                      // maildir, mbox, sdbox, mdbox; "" is found by looking
	Root        Template `set:"mail_location" v24:"mail_path" by:"dialect"`                        // "" with Driver "": the usual places are tried
	Inbox       Template `set:"mail_location" v24:"mail_inbox_path" by:"dialect"`                  // INBOX=
	Index       Template `set:"mail_location" v24:"mail_index_path" by:"dialect"`                  // INDEX=; MEMORY: none
	Control     Template `set:"mail_location" v24:"mail_control_path" by:"dialect"`                // CONTROL=
	Alt         Template `set:"mail_location" v24:"mail_alt_path" by:"dialect"`                    // ALT=
	Volatile    Template `set:"mail_location" v24:"mail_volatile_path" by:"dialect"`               // VOLATILEDIR=
	Layout      string   `set:"mail_location" v24:"mailbox_list_layout" by:"dialect"`              // LAYOUT=; "" is that of the format
	Directory   string   `set:"mail_location" v24:"mailbox_directory_name" by:"dialect"`           // DIRNAME=
	Subscribed  string   `set:"mail_location" v24:"mailbox_subscriptions_filename" by:"dialect"`   // SUBSCRIPTIONS=
	UTF8        bool     `set:"mail_location" v24:"mailbox_list_utf8" by:"dialect"`                // UTF-8
	Escape      string   `set:"mail_location" v24:"mailbox_list_storage_escape_char" by:"dialect"` //
	Attachments Template `set:"mail_attachment_dir" v24:"mail_ext_attachment_path" by:"dialect"`   //
	Other       []string `set:"mail_location" v24:"-" by:"dialect"`                                // keys and flags that say nothing about where mail is
}

// drivers are what a location may begin with.
var drivers = []string{"maildir", "mbox", "sdbox", "mdbox", "dbox", "imapc", "pop3c"}

// ParsePlace reads a location in 2.3's spelling, as a setting has it, or the
// field "mail" of a user database.
func ParsePlace(text string) Place {
	var p Place
	parts := splitLocation(text)
	if len(parts) > 1 && slices.Contains(drivers, parts[0]) {
		p.Driver, parts = parts[0], parts[1:]
	}
	if p.Driver == "dbox" {
		p.Driver = "sdbox" // an alias
	}
	p.Root = storageTemplate(trimSlash(parts[0]))
	for _, part := range parts[1:] {
		p.add(part)
	}
	return p
}

// add adds one KEY=VALUE or flag.
func (p *Place) add(part string) {
	key, value, _ := strings.Cut(part, "=")
	paths := map[string]*Template{"INBOX": &p.Inbox, "INDEX": &p.Index, "CONTROL": &p.Control, "ALT": &p.Alt,
		"VOLATILEDIR": &p.Volatile, "ATTACHMENTS": &p.Attachments}
	texts := map[string]*string{"LAYOUT": &p.Layout, "DIRNAME": &p.Directory, "SUBSCRIPTIONS": &p.Subscribed, "ESCAPE": &p.Escape}
	switch {
	case part == "":
	case paths[key] != nil:
		*paths[key] = storageTemplate(trimSlash(value))
	case texts[key] != nil:
		*texts[key] = value
	case part == "UTF-8":
		p.UTF8 = true
	default:
		p.Other = append(p.Other, part)
	}
}

func storageTemplate(text string) Template { return newTemplate(text, conf.V23, variable.InStorage) }

func trimSlash(path string) string {
	if t := strings.TrimRight(path, "/"); t != "" {
		return t
	}
	return path
}

// splitLocation cuts at single colons that are not inside %{}; "::" is a colon.
func splitLocation(s string) []string {
	var parts []string
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '{' && (depth > 0 || i > 0 && s[i-1] == '%'):
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == ':' && depth == 0 && i+1 < len(s) && s[i+1] == ':':
			i++
		case c == ':' && depth == 0:
			parts = append(parts, b.String())
			b.Reset()
			continue
		}
		b.WriteByte(s[i])
	}
	return append(parts, b.String())
}

// readPlace reads where mail is, of all users or of a namespace. In 2.3 that is
// one setting.
func readPlace(d conf.Dialect, get getter, name23 string) Place {
	if d != conf.V24 {
		v, _ := get(name23)
		return ParsePlace(v.Text)
	}
	text := func(name string) string {
		if v, _ := get(name); v.Pos.File != "" {
			return v.Text
		}
		return "" // a default depends on the format, which knows it
	}
	path := func(name string) Template { return Template{Text: trimSlash(text(name))} }
	p := Place{Driver: text("mail_driver"), Root: path("mail_path"), Inbox: path("mail_inbox_path"), Index: path("mail_index_path"),
		Control: path("mail_control_path"), Alt: path("mail_alt_path"), Volatile: path("mail_volatile_path"),
		Attachments: path("mail_ext_attachment_path"), Layout: text("mailbox_list_layout"), Directory: text("mailbox_directory_name"),
		Subscribed: text("mailbox_subscriptions_filename"), UTF8: text("mailbox_list_utf8") == "yes",
		Escape: text("mailbox_list_storage_escape_char")}
	switch p.Driver {
	case "auto":
		p.Driver = ""
	case "dbox":
		p.Driver = "sdbox"
	}
	return p
}

// ReadPlace gives where the mail of users is whose user database says nothing
// else.
func ReadPlace(v config.View) Place {
	p := readPlace(v.Dialect, v.Get, "mail_location")
	if v.Dialect != conf.V24 {
		dir, _ := v.Get("mail_attachment_dir")
		p.Attachments = storageTemplate(dir.Text)
	}
	return p
}

// Location is the place of one user, whose variables the lookup gives; home is
// what "~" stands for. An error of type *location.Error says what cannot be
// opened.
func (p Place) Location(l variable.Lookup, home string) (location.Location, error) {
	out := location.Location{Driver: p.Driver, Layout: p.Layout, UTF8: p.UTF8, Escape: p.Escape, Kept: slices.Clone(p.Other)}
	for _, t := range []struct {
		from Template
		to   *string
	}{{p.Root, &out.Root}, {p.Inbox, &out.Inbox}, {p.Index, &out.Index}, {p.Control, &out.Control}, {p.Alt, &out.Alt}, {p.Attachments, &out.Attachments}} {
		text, err := t.from.Expand(l)
		if err != nil {
			return location.Location{}, err
		}
		*t.to = text
	}
	if p.Directory != "" {
		out.Kept = append(out.Kept, "DIRNAME="+p.Directory)
	}
	if p.Subscribed != "" {
		out.Kept = append(out.Kept, "SUBSCRIPTIONS="+p.Subscribed)
	}
	return location.Parse(out.String(), location.Vars{Home: home})
}
