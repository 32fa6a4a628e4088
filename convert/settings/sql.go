package settings

import (
	"fmt"
	"path/filepath"
	"strings"
)

// dialect is what SQL databases differ in.
type dialect struct {
	module, file, prefix, driver string
	nothing                      string // what a SELECT of nothing is made from
	join                         func(parts ...string) string
}

func bars(parts ...string) string { return strings.Join(parts, " || ") }

func concat(parts ...string) string { return "CONCAT(" + strings.Join(parts, ", ") + ")" }

func (r *run) mysql(list value) {
	r.sql(list, dialect{"authmysql", "authmysqlrc", "MYSQL_", "mysql", " FROM DUAL WHERE 1=0", concat})
}

func (r *run) pgsql(list value) {
	r.sql(list, dialect{"authpgsql", "authpgsqlrc", "PGSQL_", "pgsql", " WHERE 1=0", bars})
}

func (r *run) sqlite(list value) {
	r.sql(list, dialect{"authsqlite", "authsqliterc", "SQLITE_", "sqlite", " WHERE 1=0", bars})
}

// sql makes the databases of one SQL module and the file that holds their connection and queries. The file is secret.
func (r *run) sql(list value, d dialect) {
	if r.fields[d.file] == nil {
		list.notNeeded(d.module + " without " + d.file + " does nothing")
		return
	}
	q := &queries{dialect: d, fields: view{}, cram: strings.Contains(r.top.get("auth_mechanisms"), "cram-md5")}
	for _, s := range r.fields[d.file] {
		if _, first := q.fields[strings.TrimPrefix(s.Name, d.prefix)]; !first {
			q.fields[strings.TrimPrefix(s.Name, d.prefix)] = value{s, s.Value}
		}
	}
	name := "dovecot-sql.conf.ext"
	if r.has(name) {
		name = "dovecot-sql-" + d.driver + ".conf.ext"
	}
	text, ok := q.text()
	if !ok {
		list.lost(d.module + ": its " + d.file + " could not be taken over, see there")
		return
	}
	r.files = append(r.files, File{Name: name, Text: []byte(text), Secret: true})
	path := quoted(filepath.Join(r.dir, name))
	r.database("sql", path, d.module+": "+from(list))
	r.lookup("sql", path)
	list.carried("passdb { driver = sql }", "")
	r.hint("%s: Dovecot's driver for it may be a package of its own (dovecot-%s)", d.module, d.driver)
}

func (r *run) has(file string) bool {
	for _, f := range r.files {
		if f.Name == file {
			return true
		}
	}
	return false
}

// get gives a setting of this block itself.
func (b *block) get(key string) string {
	for _, e := range b.entries {
		if e.key == key {
			return e.value
		}
	}
	return ""
}

// queries makes Dovecot's queries out of Courier's settings.
type queries struct {
	dialect
	fields view
	cram   bool
	bad    bool
}

// field gives a setting for use in a query, or what Courier uses without it.
func (q *queries) field(name, usual string) string {
	v := q.fields[name]
	switch {
	case v.text == "":
		v.notNeeded("empty")
		return usual
	case !plainText(strings.ReplaceAll(v.text, "\t", " ")) || strings.Contains(v.text, "#"):
		v.lost("it holds characters that cannot stand in a query of Dovecot")
		q.bad = true
		return usual
	}
	v.carried("password_query", "")
	v.carried("user_query", "")
	return percent(strings.ReplaceAll(v.text, "\t", " "))
}

// text gives the file; false when it cannot be made.
func (q *queries) text() (string, bool) {
	connect, ok := q.connect()
	if !ok {
		return "", false
	}
	from, who, list := q.source()
	password, user := q.passwordQuery(from, who), q.userQuery(from, who)
	if q.bad || from == "" {
		return "", false
	}
	text := fmt.Sprintf("# From %s. Holds a password: keep it readable for root alone.\n"+
		"driver = %s\nconnect = %s\n# Courier's crypt field: hashes of crypt(3), others have their {SCHEME} in front.\n"+
		"default_pass_scheme = CRYPT\n\npassword_query = %s\n\nuser_query = %s\n", q.file, q.driver, connect, password, user)
	if list != "" {
		text += "\niterate_query = " + list + "\n"
	}
	return text, true
}

// connect gives the connection. Values are separated by blanks and cannot hold any.
func (q *queries) connect() (string, bool) {
	if v := q.fields["CONNECTION"]; v.text != "" { // PostgreSQL's own words, which Dovecot passes on as well
		v.carried("connect", "")
		text := strings.Join(strings.Fields(v.text), " ")
		if db := q.fields["DATABASE"]; db.text != "" {
			db.carried("connect", "")
			text += " dbname=" + db.text
		}
		return text, plainText(text) && !strings.Contains(text, "#")
	}
	if q.driver == "sqlite" {
		q.fields["DATABASE"].carried("connect", "")
		return q.fields["DATABASE"].text, filePath(q.fields["DATABASE"].text)
	}
	var parts []string
	ok := true
	host := "SERVER"
	if q.fields["SERVER"].text == "" || q.fields["SOCKET"].text != "" {
		host = "SOCKET"
		q.fields["SERVER"].notNeeded("the socket is used")
	}
	for _, p := range []struct{ key, name string }{{"host", host}, {"host", "HOST"}, {"port", "PORT"}, {"dbname", "DATABASE"},
		{"user", "USERNAME"}, {"password", "PASSWORD"}, {"ssl_ca", "SSL_CACERT"}, {"ssl_ca_path", "SSL_CAPATH"},
		{"ssl_cert", "SSL_CERT"}, {"ssl_key", "SSL_KEY"}, {"ssl_cipher", "SSL_CIPHER"}, {"ssl_cipher", "SSL_CIPHERS"}} {
		v := q.fields[p.name]
		switch {
		case v.text == "" || p.name == "PORT" && v.text == "0":
			v.notNeeded("the usual one")
			continue
		case !plainText(v.text) || strings.ContainsAny(v.text, " \t#\"'\\"):
			v.lost("it holds characters that cannot stand in Dovecot's connection line: change it, or write the line by hand")
			ok = false
			continue
		}
		v.carried("connect", "")
		parts = append(parts, p.key+"="+v.text)
	}
	if v := q.fields["OPT"]; v.text == "" || v.text == "0" {
		v.notNeeded("none")
	} else {
		v.lost("options of MySQL's library by number: Dovecot has none")
	}
	if v := q.fields["CHARACTER_SET"]; v.text != "" {
		v.lost("Dovecot speaks UTF-8 with databases: names and paths must be ASCII or UTF-8")
	}
	return strings.Join(parts, " "), ok
}

// login is the name asked for: without a domain it has the default one.
func (q *queries) login(domain string) string {
	if domain == "" {
		return "%u"
	}
	return "%{if;%d;ne;;%u;%u@" + domain + "}"
}

func (q *queries) domain() string {
	v := q.fields["DEFAULT_DOMAIN"]
	if v.text == "" {
		return ""
	}
	if strings.Trim(strings.ToLower(v.text), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		v.lost("no name of a domain")
		return ""
	}
	v.carried("password_query", "")
	v.carried("user_query", "")
	return v.text
}

// Columns in the order of Courier's SELECT clause.
var columns = []string{"username", "cryptpw", "clearpw", "uid", "gid", "home", "maildir", "quota", "fullname", "options"}

// source gives what to select from, under which condition, and the query that lists all accounts. The columns have the
// names of columns either way.
func (q *queries) source() (from, who, list string) {
	domain := q.domain()
	if clause := q.fields["SELECT_CLAUSE"]; clause.text != "" {
		return q.custom(clause, domain), "", ""
	}
	if q.fields["USER_TABLE"].text == "" {
		q.fields["USER_TABLE"].lost("empty")
		return "", "", ""
	}
	table, login := q.field("USER_TABLE", ""), q.field("LOGIN_FIELD", "id")
	where := q.field("WHERE_CLAUSE", "")
	who = fmt.Sprintf(" WHERE %s = '%s'", login, q.login(domain))
	list = fmt.Sprintf("SELECT %s AS user FROM %s", login, table)
	if where != "" {
		who += " AND (" + where + ")"
		list += " WHERE " + where
	}
	return table, who, list
}

// custom makes a table of the administrator's own SELECT: its columns get their names from an empty first part.
func (q *queries) custom(clause value, domain string) string {
	text := strings.TrimRight(strings.ReplaceAll(clause.text, "\t", " "), " ;")
	n := selected(text)
	if !plainText(text) || strings.Contains(text, "#") || n < 6 || n > len(columns) {
		clause.lost("its columns could not be counted: write password_query and user_query by hand")
		return ""
	}
	clause.carried("password_query", "$(service) is imap or pop3 also where Courier said imaps or pop3s")
	clause.carried("user_query", "")
	realm := "%d"
	if domain != "" {
		realm = "%{if;%d;ne;;%d;" + domain + "}"
	}
	text = strings.NewReplacer("$(local_part)", "%n", "$(domain)", realm, "$(service)", "%s", "%", "%%").Replace(text)
	var names []string
	for i, c := range columns {
		if i < n {
			names = append(names, "NULL AS "+c)
		}
	}
	for _, name := range []string{"USER_TABLE", "CRYPT_PWFIELD", "CLEAR_PWFIELD", "UID_FIELD", "GID_FIELD", "LOGIN_FIELD",
		"HOME_FIELD", "MAILDIR_FIELD", "QUOTA_FIELD", "AUXOPTIONS_FIELD", "WHERE_CLAUSE"} {
		q.fields[name].notNeeded("SELECT_CLAUSE counts instead")
	}
	q.names(n)
	return "(SELECT " + strings.Join(names, ", ") + q.nothing + " UNION ALL " + text + ") AS courier"
}

// names lets the fields be the columns of the administrator's SELECT.
func (q *queries) names(n int) {
	have := func(i int) value {
		if i < n {
			return value{nil, columns[i]}
		}
		return value{}
	}
	for i, name := range []string{"LOGIN_FIELD", "CRYPT_PWFIELD", "CLEAR_PWFIELD", "UID_FIELD", "GID_FIELD", "HOME_FIELD",
		"MAILDIR_FIELD", "QUOTA_FIELD", "", "AUXOPTIONS_FIELD"} {
		q.fields[name] = have(i)
	}
}

// selected counts the columns of a SELECT; 0 when it is none.
func selected(clause string) int {
	words := strings.Fields(clause)
	if len(words) == 0 || !strings.EqualFold(words[0], "select") {
		return 0
	}
	count, depth, quote := 1, 0, byte(0)
	for i := 0; i < len(clause); i++ {
		c := clause[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '$' || c == ' ':
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			count++
		case depth == 0 && i > 0 && clause[i-1] == ' ' && len(clause) > i+5 && strings.EqualFold(clause[i:i+5], "from "):
			return count
		}
	}
	return 0
}

// passwordQuery gives name and password. Courier looks at the crypt field first and at the clear one where that is empty;
// CRAM-MD5 needs the clear one.
func (q *queries) passwordQuery(from, who string) string {
	crypt, clear := q.field("CRYPT_PWFIELD", ""), q.field("CLEAR_PWFIELD", "")
	hash := "REPLACE(" + crypt + ", '{MD5RAW}', '{PLAIN-MD5}')"
	open := q.join("'{PLAIN}'", clear)
	password := hash
	switch {
	case crypt == "" && clear == "":
		q.bad = true
		q.fields["USER_TABLE"].lost("no field for a password is set")
	case crypt == "":
		password = open
	case clear != "" && q.cram:
		password = fmt.Sprintf("CASE WHEN %s IS NULL OR %[1]s = '' THEN %s ELSE %s END", clear, hash, open)
	case clear != "":
		password = fmt.Sprintf("CASE WHEN %s IS NULL OR %[1]s = '' THEN %s ELSE %s END", crypt, open, hash)
	}
	query := fmt.Sprintf("SELECT %s AS user, %s AS password FROM %s%s", q.field("LOGIN_FIELD", "id"), password, from, who)
	if options := q.field("AUXOPTIONS_FIELD", ""); options != "" {
		word := " WHERE"
		if who != "" {
			word = " AND"
		}
		query += fmt.Sprintf("%s COALESCE(%s, '') NOT LIKE '%%%%,disable%%s=1,%%%%'", word, q.join("','", options, "','"))
		q.fields["AUXOPTIONS_FIELD"].carried("password_query", "disableimap=1 and disablepop3=1; groups and other options are not looked at")
	}
	return query
}

// userQuery gives where the mail of an account is. A NULL sets nothing.
func (q *queries) userQuery(from, who string) string {
	parts := []string{q.field("HOME_FIELD", "home") + " AS home", q.field("UID_FIELD", "uid") + " AS uid", q.field("GID_FIELD", "gid") + " AS gid"}
	if dir := q.field("MAILDIR_FIELD", ""); dir != "" {
		parts = append(parts, fmt.Sprintf("CASE WHEN %s IS NULL OR %[1]s = '' THEN NULL WHEN SUBSTR(%[1]s, 1, 1) = '/' THEN %s ELSE %s END AS mail",
			dir, q.join("'maildir:'", dir), q.join("'maildir:~/'", dir)))
	}
	if quota := q.field("QUOTA_FIELD", ""); quota != "" {
		parts = append(parts, fmt.Sprintf("CASE WHEN %s IS NULL OR %[1]s = '' THEN NULL ELSE %s END AS quota_rule", quota, q.join("'*:backend='", quota)))
	}
	return "SELECT " + strings.Join(parts, ", ") + " FROM " + from + who
}
