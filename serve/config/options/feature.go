package options

import (
	"cmp"
	"slices"
	"strconv"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// Features are what Dovecot has in plug-ins.
type Features struct {
	Plugins []string `set:"mail_plugins"` // the words that switch them on: quota, acl, sieve, imap_sieve
	Sieve   Sieve    `set:"plugin/*" by:"dialect"`
	Partner string   `set:"mail_replica" v24:"-" by:"dialect"` // of replication: tcp:HOST, ssh:HOST
}

// Sieve says where scripts are and what they may do. Paths may begin with "~/"
// and hold variables.
type Sieve struct {
	Directory     Template `set:"sieve,sieve_dir" by:"dialect"`          // of the user's scripts
	Active        Template `set:"sieve" by:"dialect"`                    // link to the one that is run
	Default       Template `set:"sieve_default" by:"dialect"`            // for users without one
	Before, After []Script `set:"sieve_before,sieve_after" by:"dialect"` // run around it, in this order
	Extensions    []string `set:"sieve_extensions" by:"dialect"`         // all that are allowed, or those added with + and taken away with -
	MaxScriptSize uint64   `set:"sieve_max_script_size" by:"dialect"`    // bytes, 0: no limit
	MaxScripts    uint64   `set:"sieve_quota_max_scripts" by:"dialect"`  // of a user, 0: no limit
	MaxStorage    uint64   `set:"sieve_quota_max_storage" by:"dialect"`  // bytes of all scripts of a user, 0: no limit
}

// Script is a script, or a directory of them.
type Script struct{ Path Template }

// Has tells whether a plug-in is switched on.
func (f Features) Has(word string) bool { return slices.Contains(f.Plugins, word) }

// ReadFeatures reads what is switched on for a connection.
func ReadFeatures(v config.View) (Features, error) {
	f, err := Read[Features](v)
	if v.Dialect == conf.V24 {
		f.Sieve = sieve24(v)
	} else {
		f.Sieve = sieve23(v)
		f.Partner = plugin(v, "mail_replica")
	}
	return f, err
}

func plugin(v config.View, key string) string {
	value, _ := v.Get("plugin/" + key)
	return value.Text
}

// sieve23 reads the settings of plugin { }. Its locations are DRIVER:PATH with
// options: file:~/sieve;active=~/.dovecot.sieve.
func sieve23(v config.View) Sieve {
	get := func(key string) string { return plugin(v, key) }
	var s Sieve
	dir, active := sieveLocation(cmp.Or(get("sieve"), "file:~/sieve;active=~/.dovecot.sieve"))
	if active == "" { // sieve = ~/.dovecot.sieve, as of before 0.3.1
		dir, active = cmp.Or(get("sieve_dir"), "~/sieve"), dir
	}
	s.Directory, s.Active, s.Default = storageTemplate(dir), storageTemplate(active), sieveTemplate(get("sieve_default"))
	s.Before, s.After = numbered(get, "sieve_before"), numbered(get, "sieve_after")
	s.Extensions = words(get("sieve_extensions"))
	s.MaxScriptSize, _ = conf.ParseSize(cmp.Or(get("sieve_max_script_size"), "1M"), conf.V23)
	s.MaxScripts, _ = strconv.ParseUint(get("sieve_quota_max_scripts"), 10, 64)
	s.MaxStorage, _ = conf.ParseSize(cmp.Or(get("sieve_quota_max_storage"), "0"), conf.V23)
	return s
}

// numbered gives the scripts of KEY, KEY2, KEY3 up to the first one missing.
func numbered(get func(string) string, key string) []Script {
	var list []Script
	for i := 1; ; i++ {
		name := key
		if i > 1 {
			name += strconv.Itoa(i)
		}
		text := get(name)
		if text == "" && i > 1 {
			return list
		}
		if text != "" {
			list = append(list, Script{sieveTemplate(text)})
		}
	}
}
