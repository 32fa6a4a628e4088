package authconf

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"dovetail/auth"
	"dovetail/auth/static"
	"dovetail/formats/conf"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// passdbs makes the chain of passdbs, with the checks of Dovecot 2.3.19 (src/auth/auth.c).
func (b *build) passdbs(ctx context.Context) (chain []auth.PassEntry, err error) {
	sections := b.view.Sections("passdb")
	read, err := options.ReadPassDBs(b.view, b.src)
	if err != nil {
		return nil, b.blame(sections, "passdb", err)
	}
	for i, o := range read {
		s := b.section("passdb", sections[i], o.Driver, o.Driven, o.Fields)
		db, err := s.pass(ctx)
		if err != nil {
			return nil, err
		}
		e := auth.PassEntry{Driver: o.Driver, Name: o.Name, DB: db, Scheme: s.Scheme, Skip: auth.Skip(o.Skip),
			Success: auth.Rule(o.ResultSuccess), Failure: auth.Rule(o.ResultFailure), InternalFailure: auth.Rule(o.ResultInternalFail),
			Deny: o.Deny, Master: o.Master, Mechanisms: o.Mechanisms, UsernameFilter: o.UsernameFilter,
			FieldsFirst: b.view.Dialect == conf.V24, ImportAll: o.ImportAll || s.importAll}
		if e.Defaults, err = templates(o.Defaults); err != nil {
			return nil, s.wrap(err)
		}
		if e.Fields, err = templates(s.fields); err != nil {
			return nil, s.wrap(err)
		}
		if e.Master && e.Deny {
			return nil, s.wrap(errors.New("Master passdb can't have deny=yes"))
		}
		chain = append(chain, e)
	}
	return chain, b.lastPass(sections)
}

// lastPass refuses what can never succeed: the last passdb hands on to another one.
func (b *build) lastPass(sections []config.SectionView) error {
	for i := len(sections) - 1; i >= 0; i-- {
		master, _ := sections[i].Get("master")
		pass, _ := sections[i].Get("pass")
		if master.Text == "yes" {
			continue
		}
		if pass.Text == "yes" && b.view.Dialect != conf.V24 {
			return fmt.Errorf("%s: Last passdb can't have pass=yes", sections[i].Pos)
		}
		return nil
	}
	return nil
}

// userdbs makes the chain of userdbs. Without any, users have what the configuration says, if the passdbs know them.
func (b *build) userdbs(ctx context.Context) (chain []auth.UserEntry, err error) {
	sections := b.view.Sections("userdb")
	read, err := options.ReadUserDBs(b.view, b.src)
	if err != nil {
		return nil, b.blame(sections, "userdb", err)
	}
	for i, o := range read {
		s := b.section("userdb", sections[i], o.Driver, o.Driven, o.Fields)
		s.alone = len(read) == 1
		db, err := s.user(ctx)
		if err != nil {
			return nil, err
		}
		e := auth.UserEntry{Driver: o.Driver, Name: o.Name, DB: db, Skip: auth.Skip(o.Skip), AskPass: o.Driver == "static" && !s.Static.AllowAll,
			Success: auth.Rule(o.ResultSuccess), Failure: auth.Rule(o.ResultFailure), InternalFailure: auth.Rule(o.ResultInternalFail),
			FieldsFirst: b.view.Dialect == conf.V24, ImportAll: o.ImportAll || s.importAll}
		for _, list := range [][]options.Field{o.Defaults, s.fields} {
			if err := resolveIDs(list, o.Driver); err != nil {
				return nil, fmt.Errorf("%s: %w", s.pos, err)
			}
		}
		if e.Defaults, err = templates(o.Defaults); err != nil {
			return nil, s.wrap(err)
		}
		if e.Fields, err = templates(s.fields); err != nil {
			return nil, s.wrap(err)
		}
		chain = append(chain, e)
	}
	if chain == nil {
		chain = []auth.UserEntry{{Driver: "static", DB: static.UserDB{}, AskPass: true}}
	}
	return chain, nil
}

func (b *build) section(kind string, at config.SectionView, driver string, d options.Driven, fields []options.Field) *section {
	return &section{build: b, Driven: d, kind: kind, driver: driver, pos: at.Pos, at: at, fields: fields}
}

// blame names the section whose options cannot be read: the first one that is given a file that cannot.
func (b *build) blame(sections []config.SectionView, kind string, err error) error {
	for _, at := range sections {
		args, _ := at.Get("args")
		f, openErr := b.src.Open(args.Text)
		if openErr == nil {
			f.Close()
			continue
		}
		if openErr.Error() == err.Error() {
			return fmt.Errorf("%s: %s: %w", args.Pos, kind, hint(err))
		}
	}
	return fmt.Errorf("%s: %w", kind, hint(err))
}

func templates(list []options.Field) (out []auth.FieldTemplate, err error) {
	for _, f := range list {
		if f.Name == "" {
			return nil, fmt.Errorf("a field without a name, =%s", f.Value.Text)
		}
		t, err := f.Value.Parse()
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		out = append(out, auth.FieldTemplate{Key: f.Name, Value: t})
	}
	return out, nil
}

// resolveIDs puts numbers in the place of names of users and groups, so that a name that does not exist is found at
// the start.
func resolveIDs(list []options.Field, driver string) error {
	for i, f := range list {
		t, err := f.Value.Parse()
		if err != nil || !t.Literal() {
			continue
		}
		id := ""
		switch f.Name {
		case "uid":
			if u, err := user.Lookup(f.Value.Text); err == nil {
				id = u.Uid
			}
		case "gid":
			if g, err := user.LookupGroup(f.Value.Text); err == nil {
				id = g.Gid
			}
		default:
			continue
		}
		if _, err := strconv.ParseUint(f.Value.Text, 10, 32); err == nil {
			continue
		}
		if id == "" {
			return fmt.Errorf("%s userdb: Invalid %s: %s", driver, f.Name, f.Value.Text)
		}
		list[i].Value.Text = id
	}
	return nil
}
