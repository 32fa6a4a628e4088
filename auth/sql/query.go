package sql

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"dovetail/auth"
	"dovetail/formats/conf/variable"
)

// query is a template, cut once at what SQL has quotes around.
type query struct {
	dialect   *Dialect
	variables []string
	segments  []segment
	secret    bool        // it has the password in it
	unbound   atomic.Bool // the server takes no parameters in it
}

// segment is SQL text, a string with variables in it, or a variable anywhere else.
type segment struct {
	text    string
	literal *literal
	bare    *variable.Template
}

// literal is a quoted string with variables.
type literal struct {
	quote  byte
	prefix bool // a letter that changes what the string is stands before it
	pieces []piece
}

// piece is a part of a literal: raw as in SQL, text what it stands for.
type piece struct {
	raw, text string
	value     *variable.Template
}

// statement is what is sent: SQL with a placeholder for each argument, or all of it in the text.
type statement struct {
	bound, plain string
	args         []string
}

// compile cuts a template. The error is a quote that does not end.
func compile(t *variable.Template, d *Dialect) (*query, error) {
	q := &query{dialect: d, variables: t.Variables()}
	for _, name := range q.variables {
		q.secret = q.secret || name == "w" || name == "password" || strings.HasPrefix(name, "passdb:pass")
	}
	l := lexer{q: q}
	for _, p := range t.Pieces() {
		if p.Value == nil {
			l.text(p.Text)
			continue
		}
		l.hole(p.Value)
	}
	return q, l.end()
}

// statement fills in the values of a request. An error that is a Refusal tells that no account can have this name.
func (q *query) statement(r *auth.Request) (statement, error) {
	var s statement
	var bound, plain strings.Builder
	for _, g := range q.segments {
		switch {
		case g.literal != nil:
			if err := q.literal(&s, &bound, &plain, g.literal, r); err != nil {
				return s, err
			}
			continue
		case g.bare != nil:
			v, err := r.Expand(g.bare)
			if err != nil {
				return s, err
			}
			if !word(v) {
				return s, refused("a variable outside of quotes is not a plain word")
			}
			g.text = v
		}
		bound.WriteString(g.text)
		plain.WriteString(g.text)
	}
	s.bound, s.plain = bound.String(), plain.String()
	return s, nil
}

// literal writes one string both ways.
func (q *query) literal(s *statement, bound, plain *strings.Builder, l *literal, r *auth.Request) error {
	values := make([]string, len(l.pieces))
	backslash, raw := false, false
	for i, p := range l.pieces {
		raw = raw || p.value == nil && strings.Contains(p.raw, `\`)
		if p.value == nil {
			continue
		}
		v, err := r.Expand(p.value)
		if err == nil {
			err = q.dialect.takes(v)
		}
		if err != nil {
			return err
		}
		values[i] = v
		backslash = backslash || strings.Contains(v, `\`)
	}
	if !q.dialect.Backslash && backslash && (raw || l.prefix) {
		// Whether \ hides what follows is a setting of the server, or of the letter before the string.
		return refused(`there is a \ in a value for a string that has such, or a letter before it`)
	}
	if l.prefix && !q.dialect.Backslash {
		q.quote(bound, l, values, false)
	} else {
		q.bind(s, bound, l, values, raw)
	}
	q.quote(plain, l, values, backslash && !q.dialect.Backslash && q.dialect.Escape)
	return nil
}

// bind makes a string one parameter, or, when it has escapes in it, a sum of strings.
func (q *query) bind(s *statement, b *strings.Builder, l *literal, values []string, raw bool) {
	if !raw {
		var whole strings.Builder
		for i, p := range l.pieces {
			whole.WriteString(p.text + values[i])
		}
		s.args = append(s.args, whole.String())
		b.WriteString(q.dialect.Placeholder(len(s.args)))
		return
	}
	var parts []string
	for i, p := range l.pieces {
		if p.value == nil {
			parts = append(parts, string(l.quote)+p.raw+string(l.quote))
			continue
		}
		s.args = append(s.args, values[i])
		parts = append(parts, q.dialect.Placeholder(len(s.args)))
	}
	b.WriteString(q.dialect.Concat(parts))
}

// quote writes a string as SQL text. escapes: as PostgreSQL's E'...', in which \ hides the next character whatever the
// server's settings are.
func (q *query) quote(b *strings.Builder, l *literal, values []string, escapes bool) {
	if escapes {
		b.WriteByte('E')
	}
	b.WriteByte(l.quote)
	for i, p := range l.pieces {
		b.WriteString(p.raw)
		b.WriteString(q.dialect.escape(values[i], l.quote, escapes))
	}
	b.WriteByte(l.quote)
}

// hidden stands for a password in the log.
const hidden = "<hidden>"

// shown is the query as Dovecot would log it, without passwords.
func (q *query) shown(r *auth.Request) string {
	public := *r
	if public.Password != "" {
		public.Password = hidden
	}
	public.Pass, public.Found = without(r.Pass), without(r.Found)
	s, err := q.statement(&public)
	if err != nil {
		return "not asked: " + err.Error()
	}
	return s.plain
}

func without(f auth.Fields) auth.Fields {
	for _, key := range []string{"password", "password_noscheme", "pass"} {
		if f.Has(key) {
			f = f.Set(key, hidden)
		}
	}
	return f
}

// hide takes passwords out of what the server says about a query that has them.
func (q *query) hide(r *auth.Request, text string) string {
	if !q.secret {
		return text
	}
	for _, secret := range []string{r.Password, r.Pass.Value("password"), r.Pass.Value("pass")} {
		if secret == "" {
			continue
		}
		for _, form := range []string{secret, q.dialect.escape(secret, '\'', false), q.dialect.escape(secret, '\'', true)} {
			text = strings.ReplaceAll(text, form, hidden)
		}
	}
	return text
}

// refused is for a name that no account can have.
func refused(why string) error {
	return &auth.Refusal{Err: auth.ErrUnknown, Text: fmt.Sprintf("%v (not asked for: %s)", auth.ErrUnknown, why), Level: slog.LevelInfo}
}

// word tells whether a value can stand where SQL is read.
func word(v string) bool {
	for _, c := range []byte(v) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("_.:@+-", rune(c)) {
			return false
		}
	}
	return !strings.Contains(v, "--")
}

// takes refuses what a string of the database cannot hold.
func (d *Dialect) takes(v string) error {
	switch {
	case strings.IndexByte(v, 0) >= 0:
		return refused("a value has a NUL in it")
	case d.UTF8 && !utf8.ValidString(v):
		return refused("a value is not UTF-8")
	}
	return nil
}
