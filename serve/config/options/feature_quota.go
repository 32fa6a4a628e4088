package options

import (
	"cmp"
	"slices"
	"strconv"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// Quota is how much mail a user may have. The words of roots and rules are Dovecot 2.3's; package quota reads them.
type Quota struct {
	Roots        []QuotaRoot `set:"quota,quota_driver" by:"dialect"`
	Exceeded     string      `set:"quota_exceeded_message" by:"dialect"`                    // what clients are told
	VirtualSizes bool        `set:"quota_vsizes" by:"dialect"`                              // every line end counts as CRLF; 2.4: always
	MaxMailSize  uint64      `set:"quota_max_mail_size" v24:"quota_mail_size" by:"dialect"` // bytes of one message; 0: no limit
}

// QuotaRoot is quota, quota2, quota3 … with what belongs to it.
type QuotaRoot struct {
	Key        string   // "quota2"
	Definition string   // BACKEND:NAME:PARAMETERS
	Rules      []string `set:"quota_rule,quota_storage_size,quota_message_count" by:"dialect"` // quota2_rule, quota2_rule2 …: MAILBOXES:LIMITS
	Grace      string   `set:"quota_grace" v24:"quota_storage_grace" by:"dialect"`             // quota2_grace; default 10%, in 2.4 10 MB
}

// ReadQuota reads the settings of the plug-in, in the form of 2.3; expand puts in a user's variables, so that a percent
// sign is written twice. Without the plug-in in mail_plugins there is no quota.
func ReadQuota(v config.View, expand func(Template) (string, error)) (q Quota, err error) {
	f, err := Read[Features](v)
	switch {
	case err != nil || !f.Has("quota"):
		return q, err
	case v.Dialect == conf.V24:
		return quota24(v), nil
	}
	get := func(key string) string {
		text, failed := expand(storageTemplate(plugin(v, key)))
		err = cmp.Or(err, failed)
		return text
	}
	q.Exceeded = cmp.Or(get("quota_exceeded_message"), "Quota exceeded (mailbox for user is full)")
	q.VirtualSizes = slices.Contains([]string{"yes", "y", "1", "true"}, get("quota_vsizes"))
	if text := get("quota_max_mail_size"); text != "" {
		if q.MaxMailSize, err = conf.ParseSize(text, conf.V23); err != nil {
			return q, err
		}
	}
	for i := 1; ; i++ {
		key := nth("quota", i)
		definition := get(key)
		if definition == "" {
			return q, err
		}
		r := QuotaRoot{Key: key, Definition: definition, Grace: cmp.Or(get(key+"_grace"), "10%")}
		for k := 1; ; k++ {
			rule := get(nth(key+"_rule", k))
			if rule == "" {
				break
			}
			r.Rules = append(r.Rules, rule)
		}
		q.Roots = append(q.Roots, r)
	}
}

// quota24 says a root of 2.4, quota NAME { }, in the words of 2.3.
func quota24(v config.View) Quota {
	get := func(key string) string { value, _ := v.Get(key); return value.Text }
	q := Quota{Exceeded: get("quota_exceeded_message"), VirtualSizes: true, MaxMailSize: bounded(v, "quota_mail_size")}
	for _, s := range v.Sections("quota") {
		text := func(key string) string { value, _ := s.Get(key); return value.Text }
		size := func(key string) uint64 {
			n, _ := conf.ParseSize(text(key), conf.V24)
			if n == conf.UnlimitedSize {
				return 0
			}
			return n
		}
		r := QuotaRoot{Key: "quota " + s.Name, Definition: cmp.Or(text("quota_driver"), "count") + ":" + s.Name, Grace: strconv.FormatUint(size("quota_storage_grace"), 10)}
		rule := "*:bytes=" + strconv.FormatUint(size("quota_storage_size"), 10)
		if n, err := strconv.ParseUint(text("quota_message_count"), 10, 63); err == nil {
			rule += ":messages=" + strconv.FormatUint(n, 10)
		}
		r.Rules = []string{rule}
		q.Roots = append(q.Roots, r)
	}
	return q
}

// nth names the settings of a row: quota, quota2, quota3.
func nth(key string, n int) string {
	if n == 1 {
		return key
	}
	return key + strconv.Itoa(n)
}
