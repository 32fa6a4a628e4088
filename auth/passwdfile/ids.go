package passwdfile

import (
	"errors"
	"os/user"
	"strconv"
)

// ids turns names of users and groups into numbers, asking the system once for each.
type ids struct{ users, groups map[string]uint32 }

func newIDs() *ids { return &ids{map[string]uint32{}, map[string]uint32{}} }

var errNoID = errors.New("no such user or group")

// uid gives the number of a uid or name; 0 for an empty one. 0 itself is refused, as nobody's mail is root's.
func (i *ids) uid(text string) (uint32, error) {
	return number(text, i.users, func() (string, error) {
		u, err := user.Lookup(text)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// gid is uid for groups.
func (i *ids) gid(text string) (uint32, error) {
	return number(text, i.groups, func() (string, error) {
		g, err := user.LookupGroup(text)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func number(text string, known map[string]uint32, lookup func() (string, error)) (uint32, error) {
	if text == "" {
		return 0, nil
	}
	if text[0] >= '0' && text[0] <= '9' {
		return positive(text)
	}
	if n, ok := known[text]; ok {
		if n == 0 {
			return 0, errNoID
		}
		return n, nil
	}
	id, err := lookup()
	n := uint32(0)
	if err == nil {
		n, err = positive(id)
	}
	known[text] = n
	return n, err
}

// positive reads an id; 0 and the largest, which is C's -1, are none.
func positive(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 || n == 1<<32-1 {
		return 0, errNoID
	}
	return uint32(n), nil
}
