package convert

import (
	"bufio"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"
)

// longestLine bounds a line of a list.
const longestLine = 64 << 10

// List gives the users of a list, one a line, with up to four columns between tabs:
//
//	name
//	name	source	target
//	name	source	target	uid:gid
//
// A user without places of his own gets those of the template; "" in a column is the template's, too. Empty lines and lines
// that begin with "#" are passed over. The name of the list stands in errors. Homes are those of the system's users.
func List(r io.Reader, list string, t Template) Users {
	return func(yield func(User, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, longestLine)
		seen := map[string]int{}
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimRight(lines.Text(), "\r")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			u, err := t.line(line)
			if before := seen[u.Name]; err == nil && before != 0 {
				err = fmt.Errorf("line %d has him, too", before)
			}
			if err != nil {
				err = &UserError{u.Name, fmt.Errorf("%s line %d: %w", list, n, err)}
			} else {
				seen[u.Name] = n
			}
			if !yield(u, err) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(User{}, fmt.Errorf("%s: %w", list, err))
		}
	}
}

// line reads one user.
func (t Template) line(line string) (User, error) {
	columns := strings.Split(line, "\t")
	if len(columns) > 4 {
		return User{Name: columns[0]}, fmt.Errorf("%d columns; there are name, source, target, and uid:gid", len(columns))
	}
	columns = append(columns, "", "", "")
	name, ids := columns[0], columns[3]
	for i, place := range []*string{&t.Source, &t.Target} {
		if given := columns[i+1]; given != "" {
			*place = given
		}
		if *place == "" {
			return User{Name: name}, fmt.Errorf("no %s for %q: neither the line nor the command has one", [...]string{"source", "target"}[i], name)
		}
	}
	home := ""
	if account, err := user.Lookup(name); err == nil {
		home = account.HomeDir
	}
	u, err := t.User(name, home)
	if err == nil && ids != "" {
		u.Owner, err = parseOwner(ids)
	}
	return u, err
}

// parseOwner reads "uid:gid".
func parseOwner(s string) (*Owner, error) {
	uid, gid, _ := strings.Cut(s, ":")
	u, err := strconv.ParseUint(uid, 10, 31)
	g, err2 := strconv.ParseUint(gid, 10, 31)
	if err != nil || err2 != nil {
		return nil, fmt.Errorf("%q is not of the form uid:gid, two numbers", s)
	}
	return &Owner{int(u), int(g)}, nil
}
