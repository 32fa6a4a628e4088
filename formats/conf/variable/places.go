package variable

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Place is the kind of setting that a template stands in. It decides what the
// variables are called.
type Place int

const (
	InAuth           Place = iota // passdb, userdb, auth_* and their external files
	InStorage                     // mail_location, mail_home, namespaces, plugin settings
	InLogin                       // login_log_format_elements
	InLoginLine                   // login_log_format
	InIMAPLogout                  // imap_logout_format
	InPOP3Logout                  // pop3_logout_format
	InUIDL                        // pop3_uidl_format
	InDelivery                    // deliver_log_format
	InSharedPrefix                // prefix of a shared namespace
	InSharedLocation              // location of a shared namespace
)

// Words of 2.3 and what they are in 2.4, as "short long expression"; a short
// name of "-" means that there is none. Sources: the tables of variables in
// 2.3.19.1 and 2.4.4 (auth-request-var-expand.c, mail-user.c, client-common.c,
// imap-client.c, pop3-client.c, pop3-commands.c, mail-deliver.c).
const (
	everywhere = `u user user
		n username user|username
		d domain user|domain
		- session session
		- auth_user auth_user
		- auth_username auth_user|username
		- auth_domain auth_user|domain
		- hostname system:hostname
		- local_name local_name
		l lip local_ip
		r rip remote_ip
		a lport local_port
		b rport remote_port
		- local_ip local_ip
		- remote_ip remote_ip
		- local_port local_port
		- remote_port remote_port`

	beforeLogin = `s service protocol
		h home home
		m mech mechanism
		- mechanism mechanism
		c secured secured
		- real_lip real_local_ip
		- real_rip real_remote_ip
		- real_lport real_local_port
		- real_rport real_remote_port
		- real_local_ip real_local_ip
		- real_remote_ip real_remote_ip
		- real_local_port real_local_port
		- real_remote_port real_remote_port
		- orig_user original_user
		- orig_username original_user|username
		- orig_domain original_user|domain
		- original_user original_user
		- original_username original_user|username
		- original_domain original_user|domain
		- uid process:uid
		- gid process:gid`

	auth = `w password password
		! - id
		k cert cert
		p pid client_pid
		- login_user login_user
		- login_username login_user|username
		- login_domain login_user|domain
		- domain_first domain_first
		- domain_last domain_last
		- master_user master_user
		- session_pid session_pid
		- client_id client_id`

	login = `k ssl_security ssl_security
		p pid process:pid
		e mail_pid mail_pid
		- listener listener`

	storage = `s service service
		h home home
		p pid process:pid
		i uid process:uid
		- gid process:gid`

	imapLogout = `i input input
		o output output
		- fetch_hdr_count fetch_hdr_count
		- fetch_hdr_bytes fetch_hdr_bytes
		- fetch_body_count fetch_body_count
		- fetch_body_bytes fetch_body_bytes
		- deleted deleted
		- expunged expunged
		- trashed trashed
		- autoexpunged autoexpunged
		- appended appended`

	pop3Logout = `p top_bytes top_bytes
		t top_count top_count
		b retr_bytes retr_bytes
		r retr_count retr_count
		d deleted_count deleted_count
		m message_count message_count
		s message_bytes message_bytes
		i input input
		o output output
		u uidl_change uidl_change
		- deleted_bytes deleted_bytes`

	uidl = `v uidvalidity uidvalidity
		u uid uid
		m md5 md5
		f filename filename
		g guid guid`

	delivery = `$ - message
		m msgid msgid
		s subject subject
		f from from
		e from_envelope from_envelope
		p size size
		w vsize vsize
		- delivery_time delivery_time
		- session_time session_time
		- to_envelope to_envelope
		- storage_id storage_id`

	loginLine = `$ - message
		s - elements`

	owner = `u user owner_user
		n username owner_user|username
		d domain owner_user|domain
		h home owner_home`
)

// tables are searched in order.
var tables = map[Place][]string{
	InAuth: {auth, beforeLogin, everywhere}, InLogin: {login, beforeLogin, everywhere}, InStorage: {storage, everywhere},
	InSharedPrefix: {storage, everywhere}, InSharedLocation: {storage, everywhere}, InLoginLine: {loginLine},
	InIMAPLogout: {imapLogout, storage, everywhere}, InPOP3Logout: {pop3Logout, storage, everywhere}, InUIDL: {uidl},
	InDelivery: {delivery, storage, everywhere},
}

// vocabulary translates names; expressions are filters in a row.
type vocabulary struct {
	to24 map[string]string // "u" and "user" to "user", "n" to "user | username"
	to23 map[string]string // "user" to "u" or, if there is no letter, to "{name}"
}

// vocabularies are those that were built, by their tables. There are as many as there are places.
var vocabularies sync.Map

// words gives the vocabulary of tables, which is not to be changed.
func words(tables []string) vocabulary {
	key := strings.Join(tables, "\x00")
	if v, ok := vocabularies.Load(key); ok {
		return v.(vocabulary)
	}
	v := newVocabulary(tables)
	vocabularies.Store(key, v)
	return v
}

// newVocabulary builds the vocabulary from tables; a name in an earlier table wins.
func newVocabulary(tables []string) vocabulary {
	v := vocabulary{map[string]string{}, map[string]string{}}
	for _, table := range tables {
		local := map[string]string{}
		for line := range strings.Lines(table) {
			f := strings.Fields(line)
			expression := strings.ReplaceAll(f[2], "|", " | ")
			for _, name := range f[:2] {
				if name != "-" && v.to24[name] == "" {
					local[name] = expression
				}
			}
		}
		maps.Copy(v.to24, local)
	}
	names := slices.SortedFunc(maps.Keys(v.to24), func(a, b string) int {
		return (len(a)-len(b))*1000 + strings.Compare(a, b)
	})
	for _, name := range names {
		spelled := name
		if len(name) > 1 {
			spelled = "{" + name + "}"
		}
		if expression := v.to24[name]; v.to23[expression] == "" {
			v.to23[expression] = spelled
		}
	}
	return v
}

// Loss is a piece of a template that the other dialect cannot express.
type Loss struct {
	What string // as written, or the part of it that is to blame
	Why  string
}

func (l Loss) String() string { return l.What + ": " + l.Why }
