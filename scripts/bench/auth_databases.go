package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dovetail/auth/authtest"
	"dovetail/auth/cdb"
	"dovetail/auth/vpopmail"
)

// place is where a service of one row gets its accounts: a folder, and what is started once for all rows.
type place struct {
	*stage
	dir     string
	hash    func(user string) string // stored passwords, with {SCHEME}
	servers *servers
}

// servers run from the first row that wants them until the end.
type servers struct {
	ldap     *authtest.Slapd
	mariadb  *authtest.MariaDB
	postgres *authtest.Postgres
	machine  *authtest.Machine
}

// database writes accounts where the programs find them and gives the passdb of dovecot.conf.
type database struct {
	make func(p *place) (passdb string)
	// machine: the accounts are in /etc of a system that is not this one.
	machine bool
	// ours: Dovecot 2.3.19 has no such driver.
	ours bool
}

var databases = map[string]database{
	"static":               {make: staticDB},
	"passwd-file":          {make: passwdFileDB},
	"passwd":               {make: passwdDB, machine: true},
	"pam":                  {make: pamDB, machine: true},
	"ldap, compare":        {make: ldapDB("auth_bind = no\n")},
	"ldap, search + bind":  {make: ldapDB("auth_bind = yes\n")},
	"ldap, bind":           {make: ldapDB("auth_bind = yes\nauth_bind_userdn = cn=%u,ou=People,dc=example,dc=com\n")},
	"mariadb":              {make: mariaDB},
	"postgresql":           {make: postgresDB},
	"sqlite":               {make: sqliteDB},
	"vpopmail vpasswd.cdb": {make: vpopmailDB, ours: true},
}

// write puts a file into the row's folder.
func (p *place) write(name, text string) (path string) {
	path = filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
	return path
}

// each makes a text of all users.
func each(line func(user string) string) string {
	var b strings.Builder
	for i := range authUsers {
		b.WriteString(line(authUser(i)))
	}
	return b.String()
}

func staticDB(p *place) string { return "driver = static\nargs = password=" + p.hash("") + "\n" }

func passwdFileDB(p *place) string {
	return "driver = passwd-file\nargs = " + p.write("users", each(func(user string) string {
		return user + ":" + p.hash(user) + ":1000:1000::/home/" + user + "::\n"
	})) + "\n"
}

// The system knows the schemes of crypt(3) alone; the row has one of them.
func passwdDB(p *place) string {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		p.Fatal(err)
	}
	p.servers.machine.Etc("passwd", string(text)+each(func(user string) string {
		_, hash, _ := strings.Cut(p.hash(user), "}")
		return user + ":" + hash + ":1000:1000::/home/" + user + ":/bin/sh\n"
	}))
	return "driver = passwd\n"
}

// A service that lets everybody in: what is measured is the way to PAM and back.
func pamDB(p *place) string {
	p.servers.machine.Etc("pam.d/bench", "auth required pam_permit.so\naccount required pam_permit.so\n")
	return "driver = pam\nargs = cache_key=%u bench\n"
}

func ldapDB(more string) func(p *place) string {
	return func(p *place) string {
		if p.servers.ldap == nil {
			p.servers.ldap = authtest.StartSlapd(p.stage, authtest.SlapdOptions{LDIF: "dn: cn=reader,dc=example,dc=com\n" +
				"objectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: read\n\n" +
				"dn: ou=People,dc=example,dc=com\nobjectClass: organizationalUnit\n\n" + each(func(user string) string {
				return "dn: cn=" + user + ",ou=People,dc=example,dc=com\nobjectClass: inetOrgPerson\nsn: x\nuid: " + user +
					"\nuserPassword: " + authPassword + "\n\n"
			})})
		}
		return "driver = ldap\nargs = " + p.write("ldap.conf.ext", "uris = "+p.servers.ldap.URI+"\ndn = cn=reader,dc=example,dc=com\n"+
			"dnpass = read\nbase = ou=People,dc=example,dc=com\npass_filter = (uid=%u)\npass_attrs = uid=user,userPassword=password\n"+
			"default_pass_scheme = PLAIN\n"+more) + "\n"
	}
}

// table is what the SQL servers hold; the queries are those of the documentation.
func (p *place) table(create string) string {
	return create + each(func(user string) string {
		return "insert into users values ('" + user + "', '" + p.hash(user) + "');\n"
	}) + "commit;\n"
}

func (p *place) sql(driver, connect string) string {
	return "driver = sql\nargs = " + p.write("sql.conf.ext", "driver = "+driver+"\nconnect = "+connect+"\ndefault_pass_scheme = PLAIN\n"+
		"password_query = SELECT name AS user, password FROM users WHERE name = '%u'\n") + "\n"
}

func mariaDB(p *place) string {
	if p.servers.mariadb == nil {
		p.servers.mariadb = authtest.StartMariaDB(p.stage)
		p.servers.mariadb.Load("mail", p.table("create table users (name varchar(80) primary key, password varchar(200)); begin;\n"))
	}
	return p.sql("mysql", "host="+p.servers.mariadb.Socket+" user=root dbname=mail")
}

func postgresDB(p *place) string {
	if p.servers.postgres == nil {
		p.servers.postgres = authtest.StartPostgres(p.stage)
		p.servers.postgres.Query(p.table("create table users (name text primary key, password text); begin;\n"))
	}
	return p.sql("pgsql", fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", p.servers.postgres.Socket, p.servers.postgres.Port))
}

func sqliteDB(p *place) string {
	path := filepath.Join(p.dir, "users.sqlite")
	authtest.SQLite(p.stage, path)(p.table("create table users (name text primary key, password text); begin;\n"))
	return p.sql("sqlite", path)
}

func vpopmailDB(p *place) string {
	domain := filepath.Join(p.dir, "domains", "example.com")
	var records []cdb.Record
	each(func(user string) string {
		r, err := vpopmail.Account{Name: user, Domain: "example.com", Hash: p.hash(user), PwUID: 1, Dir: domain + "/" + user, Quota: "NOQUOTA"}.Record()
		if err != nil {
			p.Fatal(err)
		}
		records = append(records, r)
		return ""
	})
	text, err := cdb.Append(nil, records)
	if err != nil {
		p.Fatal(err)
	}
	p.write("domains/example.com/vpasswd.cdb", string(text))
	p.write("etc/defaultdomain", "example.com\n")
	assign := p.write("assign", "+example.com-:example.com:89:89:"+domain+":-::\n.\n")
	return "driver = vpopmail\nargs = cache_key=%u home=" + p.dir + " assign=" + assign + "\n"
}
