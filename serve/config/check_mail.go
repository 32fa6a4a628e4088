package config

import (
	"strings"
	"unicode/utf8"
)

func (k *checker) storage() {
	if k.text("mailbox_idle_check_interval") == "0" {
		k.fail(k.pos("mailbox_idle_check_interval"), "mailbox_idle_check_interval must not be 0")
	}
	if k.on("mail_nfs_index") && !k.on("mmap_disable") {
		k.fail(k.pos("mail_nfs_index"), "mail_nfs_index=yes requires mmap_disable=yes")
	}
	if k.on("mail_nfs_index") && k.text("mail_fsync") != "always" {
		k.fail(k.pos("mail_nfs_index"), "mail_nfs_index=yes requires mail_fsync=always")
	}
	if k.number("mail_cache_max_size") > 1<<30 {
		k.fail(k.pos("mail_cache_max_size"), "mail_cache_max_size can't be over 1 GB")
	}
	if k.number("mail_cache_purge_delete_percentage") > 100 {
		k.fail(k.pos("mail_cache_purge_delete_percentage"), "mail_cache_purge_delete_percentage can't be over 100")
	}
	k.uidlFormat()
	for _, bad := range []string{"/", "-"} {
		if strings.Contains(k.text("mail_attachment_hash"), bad) {
			k.fail(k.pos("mail_attachment_hash"), "mail_attachment_hash setting must not contain '"+bad+"' characters")
		}
	}
	k.detection()
}

// uidlFormat wants at least one of the variables that make a UIDL unique.
func (k *checker) uidlFormat() {
	const key = "pop3_uidl_format"
	format, ok := k.text(key), false
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		for i+1 < len(format) && strings.IndexByte("0123456789.-LURTEXMDHN", format[i]) >= 0 {
			i++
		}
		switch c := format[i]; c {
		case 'v', 'u', 'm', 'f', 'g':
			ok = true
		case '%':
		default:
			k.fail(k.pos(key), "Unknown pop3_uidl_format variable: %"+string(c))
			return
		}
	}
	if !ok {
		k.fail(k.pos(key), "pop3_uidl_format setting doesn't contain any %% variables.")
	}
}

func (k *checker) detection() {
	const key = "mail_attachment_detection_options"
	for w := range strings.FieldsSeq(k.text(key)) {
		switch {
		case w == "add-flags", w == "add-flags-on-save", w == "no-flags-on-fetch", w == "exclude-inlined":
		case strings.HasPrefix(w, "content-type="):
		default:
			k.fail(k.pos(key), key+": Unknown option: "+w)
		}
	}
}

func (k *checker) namespaces() {
	list := k.t.root.inner["namespace"]
	for _, b := range list {
		prefix := b.text("prefix")
		if sep := b.text("separator"); len(sep) > 1 {
			k.fail(b.posOf("separator"), "Namespace '"+prefix+"': Hierarchy separator must be only one character long")
		}
		if !utf8.ValidString(prefix) {
			k.fail(b.posOf("prefix"), "Namespace prefix not valid UTF8: "+prefix)
		}
		if v := b.set["alias_for"]; v != nil && b.text("disabled") != "yes" {
			k.alias(list, b, v)
		}
		for _, m := range b.inner["mailbox"] {
			k.mailbox(m)
		}
	}
}

func (k *checker) alias(list []*block, b *block, v *Value) {
	at := "Namespace '" + b.text("prefix") + "': "
	for _, other := range list {
		if other.text("prefix") != v.Text {
			continue
		}
		if next := other.set["alias_for"]; next != nil {
			k.fail(v.Pos, at+"alias_for chaining isn't allowed: "+v.Text+" -> "+next.Text)
		}
		return
	}
	k.fail(v.Pos, at+"alias_for points to unknown namespace: "+v.Text)
}

// specialUses are the attributes of RFC 6154 and RFC 8457.
const specialUses = `\All \Archive \Drafts \Flagged \Important \Junk \Sent \Trash`

func (k *checker) mailbox(b *block) {
	if !utf8.ValidString(b.name) {
		k.fail(b.pos, "mailbox "+b.name+": name isn't valid UTF-8")
	}
	for use := range strings.FieldsSeq(b.text("special_use")) {
		known := false
		for name := range strings.FieldsSeq(specialUses) {
			known = known || strings.EqualFold(name, use)
		}
		if !known {
			k.fail(b.posOf("special_use"), "mailbox "+b.name+": unknown special_use: "+use)
			k.found.Instead = "one of: " + specialUses
		}
	}
}
