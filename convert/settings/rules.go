package settings

import "strings"

// rule is what becomes of a setting by its name alone.
type rule struct {
	fate   Fate // Carried: the code that makes the configuration decides by the value
	why    string
	secret bool
}

// carry marks settings whose fate depends on their value: each is looked at in the file named.
var carry = rule{fate: Carried}

func needless(why string) rule { return rule{fate: NotNeeded, why: why} }

// lost is a feature that Dovecot does not have. It costs nothing while it is switched off.
func lost(why string) rule { return rule{fate: NotCarried, why: why} }

const (
	webadmin = "only for Courier's web administration"
	scripts  = "only for Courier's start scripts"
	outbox   = "only in use with OUTBOX"
	proxying = "Dovecot's proxy is set up in the account database (proxy and host fields)"
)

// serverRules are the settings of imapd, imapd-ssl, pop3d and pop3d-ssl (courier-imap 3 to 5). The servers read all
// files of their protocol, so it does not matter which of them holds a setting.
var serverRules = map[string]rule{
	// listeners.go
	"ADDRESS": carry, "PORT": carry, "SSLADDRESS": carry, "SSLPORT": carry,
	"IMAPDSTART": carry, "IMAPDSSLSTART": carry, "POP3DSTART": carry, "POP3DSSLSTART": carry,
	"MAXDAEMONS": carry, "MAXPERIP": carry, "TCPDOPTS": carry, "LOGGEROPTS": carry, "SSLLOGGEROPTS": carry,

	// tls.go
	"IMAPDSTARTTLS": carry, "IMAP_TLS_REQUIRED": carry, "POP3_STARTTLS": carry, "POP3_TLS_REQUIRED": carry,
	"TLS_CERTFILE": carry, "TLS_PRIVATE_KEYFILE": carry, "TLS_PROTOCOL": carry, "TLS_STARTTLS_PROTOCOL": carry,
	"TLS_CIPHER_LIST": carry, "TLS_PRIORITY": carry, "TLS_DHPARAMS": carry, "TLS_DHCERTFILE": carry,
	"TLS_TRUSTCERTS": carry, "TLS_VERIFYPEER": carry, "TLS_EXTERNAL": carry,
	"TLS_MIN_DH_BITS": needless("OpenSSL sets its own lower limit"),
	"TLS_TIMEOUT":     needless("Courier never implemented it"),
	"TLS_CACHEFILE":   needless("Dovecot keeps no TLS sessions between processes; clients do not notice"),
	"TLS_CACHESIZE":   needless("Dovecot keeps no TLS sessions between processes; clients do not notice"),
	"COURIERTLS":      needless("Dovecot speaks TLS itself"),

	// mail.go
	"MAILDIRPATH": carry, "DEFDOMAIN": carry, "DOMAINSEP": carry, "IMAPACCESSFILE": carry,
	"IMAP_CAPABILITY": carry, "IMAP_CAPABILITY_TLS": carry, "POP3AUTH": carry, "POP3AUTH_TLS": carry,
	"IMAP_TRASHFOLDERNAME": carry, "IMAP_EMPTYTRASH": carry, "IMAP_ACL": carry, "IMAP_KEYWORDS": carry,
	"IMAP_IDLE_TIMEOUT": carry, "IMAP_UMASK": carry, "IMAP_ULIMITD": carry, "IMAP_ID_FIELDS": carry,
	"IMAP_LOG_DELETIONS": carry, "POP3_LOG_DELETIONS": carry, "IMAP_SHAREDINDEXFILE": carry, "IMAP_ENHANCEDIDLE": carry,

	"IMAP_CAPABILITY_ORIG":      needless(webadmin),
	"IMAP_CAPABILITY_TLS_ORIG":  needless(webadmin),
	"POP3AUTH_ORIG":             needless(webadmin),
	"POP3AUTH_TLS_ORIG":         needless(webadmin),
	"PIDFILE":                   needless("Dovecot keeps its process id in base_dir"),
	"SSLPIDFILE":                needless("Dovecot keeps its process id in base_dir"),
	"prefix":                    needless(scripts),
	"exec_prefix":               needless(scripts),
	"sbindir":                   needless(scripts),
	"bindir":                    needless(scripts),
	"libexecdir":                needless(scripts),
	"sysconfdir":                needless(scripts),
	"localstatedir":             needless(scripts),
	"IMAP_MAILBOX_SANITY_CHECK": needless("Dovecot opens mail as its owner"),
	"IMAP_USELOCKS":             needless("Dovecot always locks"),
	"IMAP_CHECK_ALL_FOLDERS":    needless("Dovecot looks into a folder whenever it is asked for its status"),
	"MIME_UNICODE_MESSAGE_TYPE": needless("Dovecot sends messages as they are and wraps none"),
	"IMAPDEBUGFILE":             needless("only for finding faults; see rawlog in Dovecot's documentation"),

	"IMAP_DISABLETHREADSORT":     lost("Dovecot cannot refuse SORT and THREAD"),
	"IMAP_OBSOLETE_CLIENT":       lost("Dovecot shows \\HasNoChildren, not \\NoInferiors"),
	"IMAP_MOVE_EXPUNGE_TO_TRASH": lost("by default Dovecot deletes what is expunged; its lazy_expunge plugin keeps it in a folder"),
	"IMAP_BROKENUIDV":            lost("Dovecot keeps the UIDVALIDITY of each folder as it is"),
	"IMAP_SHAREDMUNGENAMES":      lost("names of shared folders are not converted"),
	"SMAP_CAPABILITY":            lost("only Courier speaks SMAP"),
	"SMAP1_CAPABILITY":           lost("only Courier speaks SMAP"),
	"IMAP_PROXY":                 lost(proxying),
	"IMAP_PROXY_FOREIGN":         lost(proxying),
	"PROXY_HOSTNAME":             lost(proxying),
	"POP3_PROXY":                 lost(proxying),
	"OUTBOX":                     lost("Dovecot sends no mail that is copied into a folder: clients that send mail this way must use SMTP"),
	"OUTBOX_MULTIPLE_SEND":       lost("Dovecot sends no mail that is copied into a folder"),
	"SENDMAIL":                   needless(outbox),
	"HEADERFROM":                 needless(outbox),
	"AUTH_MKHOMEDIR_SKEL":        lost("Dovecot makes a missing home and Maildir itself, without the files of a skeleton"),
}

// authRules are the settings of authdaemonrc (courier-authlib 0.50 to 0.72), all looked at in auth.go where carry.
var authRules = map[string]rule{
	"authmodulelist": carry, "DEFAULTOPTIONS": carry, "DEBUG_LOGIN": carry,
	"authmodulelistorig": needless("the list of all modules, for Courier's administration"),
	"daemons":            needless("Dovecot starts as many processes as are needed (service auth-worker)"),
	"authdaemonvar":      needless("where Courier's own socket is"),
	"subsystem":          needless("where Courier's own socket is"),
	"version":            needless("which program Courier starts"),
	"LOGGEROPTS":         needless("Dovecot's auth process logs with the rest"),
	"LDAPTLS_CACERT":     carry, "LDAPTLS_CACERTDIR": carry, "LDAPTLS_CERT": carry, "LDAPTLS_KEY": carry,
	"LDAPTLS_REQCERT": carry, "LDAPTLS_CIPHER_SUITE": carry,
	"LDAPTLS_RANDFILE": needless("OpenSSL has its own source"),
}

const (
	forDelivery = "only for Courier's own delivery"
	chpass      = "Dovecot does not change passwords"
)

// sqlRules are the settings of authmysqlrc, authpgsqlrc and authsqliterc without the first part of their names. Those
// with carry are looked at in sql.go.
var sqlRules = map[string]rule{
	"SERVER": carry, "USERNAME": carry, "PASSWORD": {fate: Carried, secret: true}, "SOCKET": carry, "PORT": carry,
	"DATABASE": carry, "CONNECTION": {fate: Carried, secret: true}, "HOST": carry,
	"SSL_KEY": carry, "SSL_CERT": carry, "SSL_CACERT": carry, "SSL_CAPATH": carry, "SSL_CIPHER": carry, "SSL_CIPHERS": carry,
	"USER_TABLE": carry, "CRYPT_PWFIELD": carry, "CLEAR_PWFIELD": carry, "UID_FIELD": carry, "GID_FIELD": carry,
	"LOGIN_FIELD": carry, "HOME_FIELD": carry, "MAILDIR_FIELD": carry, "QUOTA_FIELD": carry, "AUXOPTIONS_FIELD": carry,
	"WHERE_CLAUSE": carry, "SELECT_CLAUSE": carry, "DEFAULT_DOMAIN": carry, "CHARACTER_SET": carry, "OPT": carry,
	"NAME_FIELD":            needless("Dovecot has no use for full names"),
	"DEFAULTDELIVERY_FIELD": needless(forDelivery),
	"DEFAULTDELIVERY":       needless(forDelivery),
	"ENUMERATE_CLAUSE":      lost("write an iterate_query that gives a column \"user\" if doveadm -A is to be used"),
	"CHPASS_CLAUSE":         needless(chpass),
}

// ldapRules are the settings of authldaprc without "LDAP_"; those with carry are looked at in ldap.go.
var ldapRules = map[string]rule{
	"URI": carry, "SERVER": carry, "PORT": carry, "PROTOCOL_VERSION": carry, "BASEDN": carry, "BINDDN": carry,
	"BINDPW": {fate: Carried, secret: true}, "AUTHBIND": carry, "INITBIND": carry, "MAIL": carry, "FILTER": carry,
	"DOMAIN": carry, "GLOB_UID": carry, "GLOB_GID": carry, "HOMEDIR": carry, "MAILROOT": carry, "MAILDIR": carry,
	"MAILDIRQUOTA": carry, "CLEARPW": carry, "CRYPTPW": carry, "UID": carry, "GID": carry, "DEREF": carry, "TLS": carry,
	"ENUMERATE_FILTER":   carry,
	"TIMEOUT":            needless("Dovecot has its own time limits"),
	"FULLNAME":           needless("Dovecot has no use for full names"),
	"DEFAULTDELIVERY":    needless(forDelivery),
	"AUXOPTIONS":         lost("options of accounts (disableimap and so on) have to be made part of pass_filter by hand"),
	"EMAILMAP":           lost("Dovecot looks accounts up in one step"),
	"EMAILMAP_BASEDN":    lost("Dovecot looks accounts up in one step"),
	"EMAILMAP_ATTRIBUTE": lost("Dovecot looks accounts up in one step"),
	"EMAILMAP_MAIL":      lost("Dovecot looks accounts up in one step"),
}

// ruleOf finds the rule for a setting of a file.
func ruleOf(file, name string) (rule, bool) {
	table, key := serverRules, name
	switch file {
	case "authdaemonrc":
		table = authRules
	case "authldaprc":
		table, key = ldapRules, strings.TrimPrefix(name, "LDAP_")
	case "authmysqlrc", "authpgsqlrc", "authsqliterc":
		table = sqlRules
		for _, prefix := range []string{"MYSQL_", "PGSQL_", "SQLITE_"} {
			key = strings.TrimPrefix(key, prefix)
		}
	}
	r, ok := table[key]
	if table := name[:min(len(name), len("AUTHSERVICE"))]; !ok && table == "AUTHSERVICE" {
		return carry, true // AUTHSERVICE143 and so on, auth.go
	}
	return r, ok
}
