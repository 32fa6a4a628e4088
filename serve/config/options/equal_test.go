package options

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// everything is what two configurations that mean the same must agree in.
type everything struct {
	Master     Master
	Login      Login
	Auth       AuthRules
	TLS        TLS
	Users      Users
	Log        Log
	Features   Features
	Services   []Service
	Namespaces []Namespace
	PassDBs    []PassDB
	UserDBs    []UserDB
}

// versions are the defaults that 2.4 has changed, so that a file that does not
// set them means another thing in it, and what 2.3 alone has in one piece.
var versions = []string{".Master.ImportEnvironment", ".Login.Greeting.Text", ".Auth.AllowWeakSchemes", ".Users.AccessGroups",
	".PassDBs[].Driven.SQL.Connect", ".UserDBs[].Driven.SQL.Connect"}

func readEverything(t *testing.T, v config.View, src conf.Source) (all everything) {
	t.Helper()
	var errs [11]error
	all.Master, errs[0] = Read[Master](v)
	all.Login, errs[1] = Read[Login](v)
	all.Auth, errs[2] = Read[AuthRules](v)
	all.TLS, errs[3] = Read[TLS](v)
	all.Users, errs[4] = Read[Users](v)
	all.Log, errs[5] = Read[Log](v)
	all.Features, errs[6] = ReadFeatures(v)
	all.Services, errs[7] = ReadServices(v)
	all.Namespaces, errs[8] = ReadNamespaces(v)
	all.PassDBs, errs[9] = ReadPassDBs(v, src)
	all.UserDBs, errs[10] = ReadUserDBs(v, src)
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	// Helpers differ from version to version; those of mail protocols are known to both, in another order.
	all.Services = slices.DeleteFunc(all.Services, func(s Service) bool { return s.Protocol == "" })
	for i, s := range all.Services { // sockets between processes of one version
		all.Services[i].Unix = slices.DeleteFunc(s.Unix, func(s Socket) bool { return strings.HasPrefix(s.Path, "/run/") })
	}
	slices.SortFunc(all.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func TestConfigurationsOfBothDialectsThatMeanTheSameGiveEqualOptions(t *testing.T) {
	for _, pair := range [][2]string{{"rootless-23.conf", "rootless-24.conf"}, {"basics-static.conf", "basics-24.conf"}} {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			var got [2]everything
			for i, name := range pair {
				c, src := seed(t, name)
				got[i] = readEverything(t, c.For(config.Filter{}), src)
			}
			differ(t, "", reflect.ValueOf(got[0]), reflect.ValueOf(got[1]))
		})
	}
	const first = "dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\n"
	for _, pair := range pairs {
		t.Run(pair.name, func(t *testing.T) {
			var got [2]everything
			src := conf.In{FS: external}
			for i, text := range []string{"protocols = imap\n" + pair.old, first + "protocols = imap\n" + pair.new} {
				got[i] = readEverything(t, load(t, text, external).For(config.Filter{Protocol: "imap"}), src)
			}
			differ(t, "", reflect.ValueOf(got[0]), reflect.ValueOf(got[1]))
		})
	}
}

// differ says where two values differ.
func differ(t *testing.T, path string, a, b reflect.Value) {
	switch {
	case slices.Contains(versions, path), reflect.DeepEqual(a.Interface(), b.Interface()):
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			differ(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		differ(t, path, a.Elem(), b.Elem())
	case a.Kind() == reflect.Slice && a.Len() == b.Len():
		for i := range a.Len() {
			differ(t, path+"[]", a.Index(i), b.Index(i))
		}
	default:
		t.Errorf("%s: 2.3 gives\n%+v\n2.4 gives\n%+v", path, a, b)
	}
}

var external = fstest.MapFS{
	"c.pem": {Data: []byte("certificate")}, "k.pem": {Data: []byte("key")},
	"sql.conf.ext": {Data: []byte(`driver = mysql
connect = host=db1 host=db2 port=3307 dbname=mail user=reader password=secret
default_pass_scheme = BLF-CRYPT
password_query = SELECT password FROM u WHERE email = '%u' AND d = '%d'
user_query = SELECT home FROM u WHERE email = '%u'
iterate_query = SELECT email AS user FROM u
`)},
	"ldap.conf.ext": {Data: []byte(`uris = ldaps://one ldaps://two
dn = cn=reader,dc=example
dnpass = secret
base = ou=People,dc=example
scope = onelevel
auth_bind = yes
auth_bind_userdn = uid=%n,ou=People,dc=example
pass_filter = (uid=%n)
pass_attrs = uid=user
user_filter = (uid=%n)
user_attrs = homeDirectory=home,=uid=vmail
iterate_filter = (objectClass=person)
`)},
}

var pairs = []struct{ name, old, new string }{
	{"a place with everything in it", `
mail_location = mdbox:~/mail:INBOX=/in/%n:INDEX=/ix/%d/%n:CONTROL=/ct/%u:ALT=/alt/%n:LAYOUT=index:UTF-8:VOLATILEDIR=/tmp/%u:SUBSCRIPTIONS=subs
mail_plugins = quota acl
protocol imap {
  mail_plugins = $mail_plugins imap_sieve
}`, `
mail_driver = mdbox
mail_path = ~/mail
mail_inbox_path = /in/%{user | username}
mail_index_path = /ix/%{user | domain}/%{user | username}
mail_control_path = /ct/%{user}
mail_alt_path = /alt/%{user | username}
mailbox_list_layout = index
mailbox_list_utf8 = yes
mail_volatile_path = /tmp/%{user}
mailbox_subscriptions_filename = subs
mail_plugins = quota acl
protocol imap {
  mail_plugins {
    imap_sieve = yes
  }
}`},
	{"namespaces with mailboxes", `
mail_location = maildir:~/Maildir
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    auto = subscribe
    special_use = \Trash
    autoexpunge = 30 days
  }
}
namespace old {
  prefix = INBOX/
  separator = /
  alias_for =
  hidden = yes
  list = no
}
namespace shared {
  type = public
  prefix = Public/
  separator = /
  location = mbox:/srv/public
  subscriptions = no
}`, `
mail_driver = maildir
mail_path = ~/Maildir
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    auto = subscribe
    special_use = \Trash
    autoexpunge = 30 days
  }
}
namespace old {
  prefix = INBOX/
  separator = /
  alias_for =
  hidden = yes
  list = no
}
namespace shared {
  type = public
  prefix = Public/
  separator = /
  mail_driver = mbox
  mail_path = /srv/public
  subscriptions = no
}`},
	{"services and listeners", `
protocols = imap lmtp
listen = 10.0.0.1, ::1
service imap-login {
  service_count = 0
  process_limit = 4
  client_limit = 200
  vsz_limit = 512 M
  idle_kill = 30 s
  inet_listener imap {
    address = 127.0.0.1
  }
  inet_listener proxied {
    port = 10143
    haproxy = yes
  }
}
service lmtp {
  user = vmail
  service_count = 5
  unix_listener /var/spool/lmtp {
    mode = 0660
    user = postfix
    group = postfix
  }
  unix_listener lmtp {
    mode = 0
  }
}`, `
protocols = imap lmtp
listen = 10.0.0.1 ::1
service imap-login {
  restart_request_count = unlimited
  process_limit = 4
  client_limit = 200
  vsz_limit = 512 M
  idle_kill_interval = 30 s
  inet_listener imap {
    listen = 127.0.0.1
  }
  inet_listener proxied {
    port = 10143
    haproxy = yes
  }
}
service lmtp {
  user = vmail
  restart_request_count = 5
  unix_listener /var/spool/lmtp {
    mode = 0660
    user = postfix
    group = postfix
  }
  unix_listener lmtp {
    mode = 0
  }
}`},
	{"databases in files of their own", `
ssl_cert = </c.pem
ssl_key = </k.pem
ssl_prefer_server_ciphers = yes
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %n
passdb {
  driver = sql
  args = /sql.conf.ext
  result_failure = continue-fail
}
passdb {
  driver = ldap
  args = /ldap.conf.ext
  default_fields = nopassword=y
}
passdb {
  driver = passwd-file
  args = scheme=plain username_format=%n /etc/users of %d
  deny = yes
}
userdb {
  driver = sql
  args = /sql.conf.ext
  override_fields = gid=8 mail=maildir:~/%d
}
userdb {
  driver = ldap
  args = /ldap.conf.ext
}
userdb {
  driver = static
  args = uid=5000 home=/srv/%d/%n allow_all_users=yes
}`, `
ssl_server_cert_file = /c.pem
ssl_server_key_file = /k.pem
ssl_server_prefer_ciphers = server
auth_allow_cleartext = yes
auth_mechanisms = plain login
auth_username_format = %{user | username}
sql_driver = mysql
mysql db1 {
  port = 3307
  dbname = mail
  user = reader
  password = secret
}
mysql db2 {
  port = 3307
  dbname = mail
  user = reader
  password = secret
}
ldap_uris = ldaps://one ldaps://two
ldap_auth_dn = cn=reader,dc=example
ldap_auth_dn_password = secret
ldap_base = ou=People,dc=example
ldap_scope = onelevel
passdb sql {
  default_password_scheme = BLF-CRYPT
  query = SELECT password FROM u WHERE email = '%{user}' AND d = '%{user | domain}'
  result_failure = continue-fail
}
passdb ldap {
  bind = yes
  bind_userdn = uid=%{user | username},ou=People,dc=example
  filter = (uid=%{user | username})
  fields {
    nopassword:default = y
    user = %{ldap:uid}
  }
}
passdb passwd-file {
  default_password_scheme = PLAIN
  auth_username_format = %{user | username}
  passwd_file_path = /etc/users of %{user | domain}
  deny = yes
}
userdb sql {
  query = SELECT home FROM u WHERE email = '%{user}'
  iterate_query = SELECT email AS user FROM u
  fields {
    gid = 8
    mail = maildir:~/%{user | domain}
  }
}
userdb ldap {
  filter = (uid=%{user | username})
  iterate_filter = (objectClass=person)
  iterate_fields {
    user = %{ldap:uid}
  }
  fields {
    home = %{ldap:homeDirectory}
    uid = vmail
  }
}
userdb static {
  allow_all_users = yes
  fields {
    uid = 5000
    home = /srv/%{user | domain}/%{user | username}
  }
}`},
	{"Sieve scripts", `
plugin {
  sieve = file:~/scripts;active=~/.active.sieve
  sieve_before = /etc/before
  sieve_before2 = /etc/before2
  sieve_after = /etc/%d.after
  sieve_default = /etc/default
  sieve_extensions = +vacation-seconds
  sieve_quota_max_scripts = 5
  sieve_quota_max_storage = 1 M
}`, `
sieve_script mine {
  type = personal
  path = ~/scripts
  active_path = ~/.active.sieve
}
sieve_script b {
  type = before
  path = /etc/before
}
sieve_script b2 {
  type = before
  path = /etc/before2
}
sieve_script a {
  type = after
  path = /etc/%{user | domain}.after
}
sieve_script d {
  type = default
  path = /etc/default
}
sieve_extensions {
  vacation-seconds = yes
}
sieve_quota_script_count = 5
sieve_quota_storage_size = 1 M
`},
}
