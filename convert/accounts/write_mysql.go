package accounts

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"dovetail/auth/sql/mysql"
	"dovetail/auth/vpopmail"
)

// mysql plans to change vpopmail's database: rows that differ, and tables that are missing.
func (p *Plan) mysql(ctx context.Context, l *List, dst Place, o Options) error {
	_, server, err := vpopmail.ReadServers(dst.at(dst.Path))
	if err != nil {
		return err
	}
	db, err := connect(ctx, server)
	if err != nil {
		return err
	}
	defer db.Close()
	tables, err := openTables(ctx, db, dst)
	if err != nil {
		return err
	}
	wanted, err := p.fitting(ctx, l, tables)
	if err != nil {
		return err
	}
	there, err := rowsThere(ctx, l, tables)
	if err != nil {
		return err
	}
	if err := vanishing(server.String(), slices.Sorted(maps.Keys(there)), l, o); err != nil {
		return err
	}
	changes := p.changes(tables, server, wanted, there)
	aliases, err := p.newAliases(ctx, l, tables)
	if err != nil {
		return err
	}
	p.limitRemarks(l, func(domain string) (vpopmail.Limits, error) { return tables.Limits(ctx, domain) })
	p.Report.Totals.Carried = len(wanted)
	if len(changes)+len(aliases) > 0 {
		p.apply = append(p.apply, func(ctx context.Context) error { return update(ctx, server, dst, changes, aliases) })
	}
	return nil
}

// fitting are the accounts that the tables can hold.
func (p *Plan) fitting(ctx context.Context, l *List, t *vpopmail.Tables) (list []vpopmail.Account, err error) {
	for _, u := range l.Users {
		a, ok := p.account(u)
		if !ok {
			continue
		}
		if a.Clear != "" && !t.HasClear(a.Domain) {
			p.Report.add(Loss, u.Name, "the table keeps no password in clear text")
			a.Clear = ""
		}
		field, err := t.Fits(ctx, a)
		if err != nil {
			return nil, err
		}
		if field == "pw_clear_passwd" && a.Hash != "" {
			p.Report.add(Loss, u.Name, "the column for passwords in clear text cannot hold this one: only the hash goes over")
			a.Clear = ""
			if field, err = t.Fits(ctx, a); err != nil {
				return nil, err
			}
		}
		if field != "" {
			p.Report.add(SetAside, u.Name, "column %s cannot hold its value: too long, or no UTF-8", field)
			continue
		}
		list = append(list, a)
	}
	return list, nil
}

// rowsThere are the accounts of the database by address.
func rowsThere(ctx context.Context, l *List, t *vpopmail.Tables) (map[string]vpopmail.Account, error) {
	var known []vpopmail.Domain // so that tables of our domains are known as theirs
	for _, u := range l.Users {
		known = append(known, vpopmail.Domain{Real: u.Domain()})
	}
	names, _, err := t.Domains(ctx, known)
	if err != nil {
		return nil, err
	}
	there := map[string]vpopmail.Account{}
	for _, name := range names {
		for a, err := range t.Accounts(ctx, name) {
			if err != nil {
				return nil, err
			}
			there[a.Address()] = a
		}
	}
	return there, nil
}

// changes compares, and reports each table.
func (p *Plan) changes(t *vpopmail.Tables, server mysql.Server, wanted []vpopmail.Account, there map[string]vpopmail.Account) (list []vpopmail.Change) {
	states := map[string]string{}
	note := func(a vpopmail.Account, state string) {
		table := "vpopmail"
		if !t.OneTable {
			table = vpopmail.TableName(a.Domain)
		}
		if name := server.String() + " table " + table; states[name] != stateChanged {
			states[name] = state
		}
	}
	for _, a := range wanted {
		old, known := there[a.Address()]
		delete(there, a.Address())
		switch {
		case known && old == a:
			note(a, stateSame)
			continue
		case t.Has(a.Domain):
			note(a, stateChanged)
		default:
			note(a, stateNew)
		}
		list = append(list, vpopmail.Change{Account: a})
	}
	for _, address := range slices.Sorted(maps.Keys(there)) {
		note(there[address], stateChanged)
		list = append(list, vpopmail.Change{Account: there[address], Delete: true})
	}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		p.Report.Files = append(p.Report.Files, FileReport{Path: name, State: states[name]})
	}
	return list
}

func (p *Plan) newAliases(ctx context.Context, l *List, t *vpopmail.Tables) (list [][2]string, err error) {
	there, err := t.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range l.Aliases {
		if pair := [2]string{a.Name, a.Real}; !slices.Contains(there, pair) {
			list = append(list, pair)
		}
	}
	return list, nil
}

// limitRemarks tells of limits of whole domains that the target does not have.
func (p *Plan) limitRemarks(l *List, of func(domain string) (vpopmail.Limits, error)) {
	seen := map[string]bool{}
	for _, u := range l.Users {
		if u.Limits == 0 || seen[u.Domain()] {
			continue
		}
		seen[u.Domain()] = true
		if there, err := of(u.Domain()); err != nil || there.Flags != u.Limits {
			p.Report.add(Loss, "", "domain %s: limits for all its accounts (flags %#x) are not set there: set them with vmoddomlimits", u.Domain(), uint32(u.Limits))
		}
	}
}

// update makes the changes and reads them back: a server may cut off or change what it is given.
func update(ctx context.Context, server mysql.Server, dst Place, changes []vpopmail.Change, aliases [][2]string) error {
	db, err := connect(ctx, server)
	if err != nil {
		return err
	}
	defer db.Close()
	tables, err := openTables(ctx, db, dst)
	if err != nil {
		return err
	}
	if err := tables.Update(ctx, changes, aliases); err != nil {
		return fmt.Errorf("%s: %w", server, err)
	}
	want := map[string]vpopmail.Account{}
	domains := map[string]bool{}
	for _, c := range changes {
		domains[c.Account.Domain] = true
		if !c.Delete {
			want[c.Account.Address()] = c.Account
		}
	}
	for domain := range domains {
		for a, err := range tables.Accounts(ctx, domain) {
			if err != nil {
				return err
			}
			if want[a.Address()] == a {
				delete(want, a.Address())
			}
		}
	}
	for address := range want {
		return fmt.Errorf("%s: %s reads otherwise than it was written, and %d more", server, address, len(want)-1)
	}
	return nil
}
