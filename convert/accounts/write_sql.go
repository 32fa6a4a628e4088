package accounts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"dovetail/auth/scheme"
	"dovetail/auth/vpopmail"
)

// sql plans a script for MySQL or MariaDB, the configuration for Dovecot and the file with its queries. Nothing is
// connected to: the script replaces rows of the same name and leaves others alone.
func (p *Plan) sql(l *List, dst Place, o Options) error {
	path, err := filepath.Abs(dst.Path)
	if err != nil {
		return err
	}
	script := []byte("-- Written by dovetail accounts, for MySQL and MariaDB.\nSET NAMES utf8mb4;\nSET SESSION sql_mode = 'STRICT_ALL_TABLES';\n")
	var queries string
	switch schema := cmp.Or(dst.Keys["schema"], "dovecot"); schema {
	case "dovecot":
		script, queries = p.dovecotTables(script, l, o), dovecotQueries
	case "vpopmail":
		script, err = p.vpopmailTables(script, l, true)
		queries = vpopmailQueries(l)
	case "vpopmail-tables":
		// A query cannot name a table after the domain, so there are no queries for Dovecot.
		script, err = p.vpopmailTables(script, l, false)
	default:
		err = fmt.Errorf("%s: %w: schema=dovecot, vpopmail or vpopmail-tables", dst, ErrPlace)
	}
	if err != nil {
		return err
	}
	if err := p.add(file{path: path, mode: 0o600, content: script, fs: o.FS, keep: filepath.Base(path) + ".old"}); err != nil {
		return err
	}
	if queries == "" {
		p.Report.add(Note, "", "Dovecot cannot look into a table for each domain: take schema=dovecot or schema=vpopmail for it")
		return nil
	}
	ext := file{path: path + ".conf.ext", mode: 0o600, fs: o.config()}
	if ext.content, err = queryFile(ext, queries); err != nil {
		return err
	}
	if err := p.add(ext); err != nil {
		return err
	}
	conf := sqlConfig(path+".conf.ext", l.Users)
	return p.add(file{path: cmp.Or(o.Config, path+".conf"), mode: 0o644, content: conf, fs: o.config()})
}

var connectLine = regexp.MustCompile(`(?m)^[ \t]*connect[ \t]*=.*$`)

// queryFile keeps what an existing file says of the connection: that is filled in by hand.
func queryFile(f file, queries string) ([]byte, error) {
	text := []byte(queryHead + queries)
	old, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return text, nil
	}
	if line := connectLine.Find(old); line != nil {
		text = connectLine.ReplaceAllLiteral(text, line)
	}
	return text, err
}

// sqlConfig is the part of dovecot.conf that uses the queries.
func sqlConfig(path string, users []User) []byte {
	text := "# Written by dovetail accounts, for Dovecot 2.3 with its MySQL driver: include it in place of other passdb and userdb sections.\n"
	if needsAnyName(users) {
		text += anyName
	}
	text += `
passdb {
  driver = sql
  args = PATH
}
userdb {
  driver = sql
  args = PATH
}
`
	if slices.ContainsFunc(users, func(u User) bool { return quotaRule(u.Quota) != "" }) {
		text += quota
	}
	return []byte(strings.ReplaceAll(text, "PATH", strings.ReplaceAll(path, "%", "%%")))
}

const queryHead = `# Written by dovetail accounts, for Dovecot 2.3. Say in connect where the database is; see doc.dovecot.org, "SQL".
driver = mysql
connect = host=localhost dbname=vpopmail user=dovecot password=
default_pass_scheme = CRYPT
`

const dovecotTable = `CREATE TABLE IF NOT EXISTS users (
  username varchar(128) NOT NULL, domain varchar(128) NOT NULL, password varchar(255) NOT NULL, uid varchar(32), gid varchar(32),
  home varchar(255), mail varchar(255), quota_rule varchar(100), deny varchar(64) NOT NULL, gecos varchar(255), note varchar(512),
  PRIMARY KEY (username, domain)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS domain_aliases (
  alias varchar(128) NOT NULL PRIMARY KEY, domain varchar(128) NOT NULL) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
`

// dovecotQueries: deny is a list of services. An alias domain is replaced in the query, and the name that goes on is the
// real one.
const dovecotQueries = `
password_query = SELECT IF(domain = '', username, CONCAT(username, '@', domain)) AS user, password \
  FROM users WHERE username = '%n' AND FIND_IN_SET('%s', deny) = 0 \
  AND domain = COALESCE((SELECT a.domain FROM domain_aliases a WHERE a.alias = '%d'), '%d')
user_query = SELECT IF(domain = '', username, CONCAT(username, '@', domain)) AS user, uid, gid, home, mail, quota_rule \
  FROM users WHERE username = '%n' AND NOT ('%s' = 'lmtp' AND FIND_IN_SET('lmtp', deny)) \
  AND domain = COALESCE((SELECT a.domain FROM domain_aliases a WHERE a.alias = '%d'), '%d')
iterate_query = SELECT IF(domain = '', username, CONCAT(username, '@', domain)) AS user FROM users
`

// dovecotTables is a table as Dovecot's documentation has it, with the note of a passwd-file and a list of services.
func (p *Plan) dovecotTables(script []byte, l *List, o Options) []byte {
	script = append(script, dovecotTable...)
	var schemes []scheme.Scheme
	for _, u := range l.Users {
		s := u.password(o.PreferHash)
		shell := newNote(u, s.Stored)
		var denied []string
		for _, x := range services {
			if u.Deny&x.service != 0 {
				denied = append(denied, x.name)
			}
		}
		script = fmt.Appendf(script, "REPLACE INTO users VALUES (%s);\n", literals(u.Local(), u.Domain(), s.Stored, nullable(u.UID), nullable(u.GID),
			nullable(u.Home), nullable(u.Mail), nullable(quotaRule(u.Quota)), strings.Join(denied, ","), u.Gecos, shell))
		schemes = append(schemes, s)
		p.remarks(u, s)
		for _, f := range u.Extra {
			p.Report.add(Loss, u.Name, "field %s of the passwd-file", f.Key)
		}
	}
	for _, a := range l.Aliases {
		script = fmt.Appendf(script, "REPLACE INTO domain_aliases VALUES (%s);\n", literals(a.Name, a.Real))
	}
	p.written(schemes)
	return script
}

func (p *Plan) vpopmailTables(script []byte, l *List, one bool) ([]byte, error) {
	made := map[string]bool{}
	for _, u := range l.Users {
		a, ok := p.account(u)
		if !ok {
			continue
		}
		table, key, columns := a.Domain, []any{a.Name}, "(pw_name, "
		if one {
			table, key, columns = "", append(key, a.Domain), "(pw_name, pw_domain, "
		}
		if !made[table] {
			statement, err := vpopmail.CreateTable(table)
			if err != nil {
				p.Report.add(SetAside, u.Name, "%v", err)
				continue
			}
			made[table] = true
			script = append(append(script, statement...), ";\n"...)
		}
		values := append(key, a.Hash, fmt.Sprint(a.PwUID), fmt.Sprint(uint32(a.Flags)), a.Gecos, a.Dir, a.Quota, a.Clear)
		script = fmt.Appendf(script, "REPLACE INTO `%s` %spw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir, pw_shell, pw_clear_passwd) VALUES (%s);\n",
			cmp.Or(vpopmail.TableName(table), "vpopmail"), columns, literals(values...))
		p.Report.Totals.Carried++
	}
	script = append(append(script, vpopmail.AliasTable...), ";\n"...)
	for _, a := range l.Aliases {
		script = fmt.Appendf(script, "REPLACE INTO aliasdomains VALUES (%s);\n", literals(a.Name, a.Real))
	}
	p.limitRemarks(l, func(string) (vpopmail.Limits, error) { return vpopmail.Limits{}, nil })
	return script, nil
}

// vpopmailQueries look into vpopmail's own tables. Who owns the mail is not in them.
func vpopmailQueries(l *List) string {
	uid, gid := owners(l)
	const domain = "COALESCE((SELECT a.domain FROM aliasdomains a WHERE a.alias = '%d'), '%d')"
	const number = "CAST(REGEXP_SUBSTR(pw_shell, '^[0-9]+') AS UNSIGNED)"
	return `
password_query = SELECT CONCAT(pw_name, '@', pw_domain) AS user, \
  CASE WHEN pw_clear_passwd <> '' THEN CONCAT('{PLAIN}', pw_clear_passwd) WHEN pw_passwd = '' THEN NULL \
  WHEN LEFT(pw_passwd, 1) = '{' THEN pw_passwd ELSE CONCAT('{CRYPT}', pw_passwd) END AS password \
  FROM vpopmail WHERE pw_name = '%n' AND pw_domain = ` + domain + ` AND pw_gid & \
  CASE '%s' WHEN 'imap' THEN 8 WHEN 'pop3' THEN 2 WHEN 'smtp' THEN 2048 WHEN 'submission' THEN 2048 ELSE 0 END = 0
user_query = SELECT CONCAT(pw_name, '@', pw_domain) AS user, ` + uid + ` AS uid, ` + gid + ` AS gid, pw_dir AS home, \
  NULLIF(CONCAT('*', \
  IF(pw_shell REGEXP '^[0-9]+([SBKM]|,|$)' AND ` + number + ` > 0, CONCAT(':bytes=', ` + number + ` * \
  CASE WHEN pw_shell REGEXP '^[0-9]+M' THEN 1048576 WHEN pw_shell REGEXP '^[0-9]+K' THEN 1024 ELSE 1 END), ''), \
  IF(pw_shell REGEXP '(^|,)[1-9][0-9]*C$', CONCAT(':messages=', REPLACE(SUBSTRING_INDEX(pw_shell, ',', -1), 'C', '')), '')), '*') AS quota_rule \
  FROM vpopmail WHERE pw_name = '%n' AND pw_domain = ` + domain + ` AND NOT ('%s' = 'lmtp' AND pw_gid & 16)
iterate_query = SELECT pw_name AS username, pw_domain AS domain FROM vpopmail
`
}

// owners are expressions for the ids of a domain's mail.
func owners(l *List) (uid, gid string) {
	ids := map[string][2]string{}
	same := true
	first := [2]string{"89", "89"}
	for i, u := range l.Users {
		id := [2]string{cmp.Or(u.UID, "89"), cmp.Or(u.GID, "89")}
		if i == 0 {
			first = id
		}
		ids[u.Domain()] = id
		same = same && id == first
	}
	if same {
		return literals(first[0]), literals(first[1])
	}
	uid, gid = "CASE pw_domain", "CASE pw_domain"
	for _, u := range l.Users {
		id, ok := ids[u.Domain()]
		if !ok {
			continue
		}
		delete(ids, u.Domain())
		uid += fmt.Sprintf(" WHEN %s", literals(u.Domain())) + " THEN " + literals(id[0])
		gid += fmt.Sprintf(" WHEN %s", literals(u.Domain())) + " THEN " + literals(id[1])
	}
	return uid + " END", gid + " END"
}

// null is a value that is not there.
type null struct{}

func nullable(s string) any {
	if s == "" {
		return null{}
	}
	return s
}

// literals writes values into a script. What is not plain text goes as hexadecimal digits, which no setting of the server
// reads in another way.
func literals(values ...any) string {
	var list []string
	for _, v := range values {
		s, isText := v.(string)
		switch {
		case !isText:
			list = append(list, "NULL")
		case s != "" && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\'' || r == '\\' || r == '%' || r == 0xfffd || r == 0x7f }):
			list = append(list, fmt.Sprintf("X'%x'", s))
		default:
			list = append(list, "'"+s+"'")
		}
	}
	return strings.Join(list, ", ")
}
