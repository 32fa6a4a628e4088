package settings

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"dovetail/formats/layout"
)

// mail sets where mail lies and how its folders are shown.
func (r *run) mail() {
	r.location()
	r.top.set("first_valid_uid", "1", "Courier served every uid; vpopmail's is 89, below what Dovecot begins with")
	inbox := r.top.block("namespace inbox")
	inbox.notes = []string{"the folder names that clients have in their settings and caches"}
	inbox.set("type", "private")
	inbox.set("prefix", "INBOX.")
	inbox.set("separator", ".")
	inbox.set("inbox", "yes")
	r.plugins = []string{"quota"}
	r.quota()
	if r.imap.plainFile || r.imap.tlsFile {
		r.expiry(inbox)
		r.lists()
		r.limitsOfIMAP()
		r.identification()
	}
	r.deletions()
	r.top.set("mail_plugins", strings.Join(r.plugins, " "))
	if r.pop3.plainOn() || r.pop3.tlsOn() {
		r.top.set("pop3_uidl_format", "UID%u-%v", "as Courier named new messages; those of old ones are in the converted lists")
	}
}

func (r *run) location() {
	for _, s := range r.servers() {
		v := s.plain["MAILDIRPATH"]
		if v.Setting == nil || !s.plainOn() {
			v = s.tls["MAILDIRPATH"]
		}
		other := s.tls["MAILDIRPATH"]
		path := strings.TrimSuffix(strings.TrimPrefix(v.text, "./"), "/")
		switch {
		case path == "":
			path = "Maildir"
		case !plainText(path) || strings.ContainsAny(path, ":,"):
			v.lost("such a path cannot stand in mail_location")
			continue
		}
		root := "~/"
		if filepath.IsAbs(path) {
			root = ""
		}
		r.per(s, "mail_location", quoted("maildir:"+root+percent(path)), from(v), "an account with a mail field of its own has that instead")
		v.carried("mail_location", "")
		if other.text == v.text {
			other.carried("mail_location", "")
		} else if s.tlsOn() {
			other.lost("another Maildir than on the port without TLS")
		}
	}
}

// quota has Dovecot keep to maildirsize: its first line holds the limits where the account has none.
func (r *run) quota() {
	p := r.top.block("plugin")
	p.set("quota", "maildir:User quota", "the limits in maildirsize, as Courier kept them, or those of the account")
	p.set("quota_rule", "INBOX.Trash:ignore", "Courier does not count Trash")
	p.set("quota_rule2", "INBOX.Trash:ignore", "again, for accounts with a quota_rule of their own")
	r.top.block("protocol imap").set("mail_plugins", "$mail_plugins imap_quota")
}

// expiry sets the trash and the folders from which old mail is deleted.
func (r *run) expiry(inbox *block) {
	trash, empty := r.imap.env["IMAP_TRASHFOLDERNAME"], r.imap.env["IMAP_EMPTYTRASH"]
	name := trash.text
	if name == "" {
		name = "Trash"
	}
	if box, ok := mailboxBlock(inbox, name); ok {
		box.set("special_use", `\Trash`, from(trash))
		trash.carried("mailbox { special_use }", "")
	} else {
		trash.lost("such a folder name cannot stand in a configuration")
	}
	for _, item := range strings.Split(empty.text, ",") {
		colon := strings.LastIndexByte(item, ':')
		switch days, err := strconv.Atoi(strings.TrimSpace(item[colon+1:])); {
		case strings.TrimSpace(item) == "":
			empty.notNeeded("nothing is deleted by its age")
		case colon < 0 || err != nil || days < 1 || days > 100000:
			empty.lost(fmt.Sprintf("%q is not FOLDER:DAYS", item))
		default:
			r.expire(inbox, empty, item[:colon], days)
		}
	}
}

func (r *run) expire(inbox *block, v value, folder string, days int) {
	box, ok := mailboxBlock(inbox, folder)
	if !ok {
		v.lost(fmt.Sprintf("the folder name %q cannot stand in a configuration", folder))
		return
	}
	box.set("autoexpunge", strconv.Itoa(days)+"d", from(v))
	v.carried("mailbox { autoexpunge }", "both go by when a message came into the folder, which Maildir keeps as the ctime of its file: "+
		"copying or renaming the files begins the time anew")
}

// mailboxBlock makes the block of a folder whose name Courier's settings give as it is on disk.
func mailboxBlock(inbox *block, folder string) (*block, bool) {
	name := strings.TrimPrefix(strings.TrimSpace(folder), "INBOX.")
	if decoded, err := layout.DecodeMUTF7(name); err == nil {
		name = decoded
	}
	if name == "" || !plainText(name) || strings.ContainsAny(name, `"\#`) {
		return nil, false
	}
	if strings.ContainsFunc(name, toQuote) {
		name = `"` + name + `"`
	}
	return inbox.block("mailbox " + name), true
}

// toQuote tells whether a byte of a name may have a meaning for Dovecot's parser.
func toQuote(r rune) bool {
	return r < 0x80 && !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", r)
}

// lists sets access lists and shared folders.
func (r *run) lists() {
	acl, keywords := r.imap.env["IMAP_ACL"], r.imap.env["IMAP_KEYWORDS"]
	if acl.on() {
		r.plugins = append(r.plugins, "acl")
		r.top.block("plugin").set("acl", "vfile", from(acl))
		r.top.block("protocol imap").set("mail_plugins", "$mail_plugins imap_quota imap_acl")
		acl.carried("plugin { acl }", "the lists themselves are converted with the mail (courierimapacl to dovecot-acl)")
	} else {
		acl.notNeeded("switched off")
	}
	if keywords.Setting != nil && keywords.text == "0" {
		keywords.lost("clients cannot be kept from setting keywords")
	} else {
		keywords.notNeeded("Dovecot always has keywords")
	}
	index := r.imap.env["IMAP_SHAREDINDEXFILE"]
	if used, where := r.inUse(index.text, 2); used {
		index.lost("the shared folders of " + where + " (#shared.) have no counterpart: Dovecot names them by account, and " +
			"account names with dots do not go with the separator \".\"")
	} else {
		index.notNeeded("no such file, or nobody is in it")
	}
}

// inUse tells whether a file that a setting names has any line that counts, and where it was found: below the directory
// of the settings (its last parts are the same), or where the setting says.
func (r *run) inUse(path string, parts int) (bool, string) {
	if path == "" {
		return false, ""
	}
	near := filepath.Join(append([]string{r.Courier.dir}, lastParts(path, parts)...)...)
	for _, try := range []string{near, path} {
		text, err := readRegular(try)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				return true, printable(try)
			}
		}
		return false, ""
	}
	return false, ""
}

func lastParts(path string, n int) []string {
	parts := strings.Split(filepath.Clean(path), "/")
	return parts[max(0, len(parts)-n):]
}

// usualVSZ is what Dovecot gives a process without a word, in kilobytes.
const usualVSZ = 256 << 10

func (r *run) limitsOfIMAP() {
	idle, memory := r.imap.env["IMAP_IDLE_TIMEOUT"], r.imap.tls["IMAP_ULIMITD"]
	if n, err := strconv.Atoi(idle.text); err == nil && n > 0 && n < 1<<20 {
		r.top.set("mailbox_idle_check_interval", idle.text+" secs", from(idle), "only where the kernel does not tell of changes at once")
		idle.carried("mailbox_idle_check_interval", "")
	} else if idle.text != "" {
		idle.lost("no number of seconds")
	}
	r.imap.env["IMAP_ENHANCEDIDLE"].notNeeded("Dovecot always tells idle clients at once, by inotify")
	if n, err := strconv.Atoi(memory.text); err == nil && n >= 0 {
		kilobytes, why := n, ""
		if n < usualVSZ {
			kilobytes, why = usualVSZ, "not less than Dovecot's own limit, as Dovecot maps its index files into memory"
		}
		r.top.block("service imap").set("vsz_limit", strconv.Itoa(kilobytes)+" k", from(memory), why)
		memory.carried("service imap { vsz_limit }", why)
	} else if memory.text != "" {
		memory.lost("no number of kilobytes")
	}
	if umask := r.imap.tls["IMAP_UMASK"]; strings.TrimLeft(umask.text, "0") == "22" || umask.text == "" {
		umask.notNeeded("Courier's default; Dovecot gives new files the mode of their folder")
	} else {
		umask.lost("Dovecot gives new files the mode of their folder: set that of the folders (chmod), it is kept")
	}
}

// identification sets what the ID command answers and that the client's answer is logged.
func (r *run) identification() {
	v := r.imap.env["IMAP_ID_FIELDS"]
	if v.text == "" {
		return
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || n < 0 || n > 7 {
		v.lost("not a sum of 1, 2 and 4")
		return
	}
	send := "name *"
	for i, field := range []string{"version", "os", "os-version"} {
		if n&(1<<i) != 0 {
			send += " " + field + " *"
		}
	}
	r.top.set("imap_id_send", send, from(v))
	r.top.set("imap_id_log", "*", from(v))
	v.carried("imap_id_send", "")
	v.carried("imap_id_log", "")
}

// deletions has expunges logged where Courier did.
func (r *run) deletions() {
	for _, v := range []value{r.imap.env["IMAP_LOG_DELETIONS"], r.pop3.env["POP3_LOG_DELETIONS"]} {
		if !v.on() {
			v.notNeeded("switched off")
			continue
		}
		if plugins := strings.Join(r.plugins, " "); !strings.Contains(plugins, "mail_log") {
			r.plugins = append(r.plugins, "notify", "mail_log")
		}
		r.top.block("plugin").set("mail_log_events", "expunge", from(v))
		r.top.block("plugin").set("mail_log_fields", "uid box msgid size")
		v.carried("plugin { mail_log_events }", "for both protocols")
	}
}
