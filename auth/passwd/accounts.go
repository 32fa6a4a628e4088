package passwd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dovetail/auth"
)

// Accounts are the ids of users and groups: an auth.Accounts, for many goroutines.
type Accounts struct{ system *system }

// NewAccounts reads nothing yet.
func NewAccounts(o Options) *Accounts { return &Accounts{newSystem(o)} }

// UID gives that of a user.
func (a *Accounts) UID(ctx context.Context, name string) (uint32, error) {
	found, err := a.system.account(ctx, name)
	return found.uid, err
}

// GID gives that of a group.
func (a *Accounts) GID(ctx context.Context, group string) (uint32, error) {
	s := a.system
	file, other, err := s.sources("group")
	if err != nil {
		return 0, err
	}
	if file {
		all, err := s.groupFile.read()
		if err != nil {
			return 0, err
		}
		if gid, ok := all.byName[group]; ok {
			return gid, nil
		}
	}
	// getent would take a name of digits for the id itself.
	if !other || odd(group) || looksLikeID(group) {
		return 0, auth.ErrUnknown
	}
	line, err := s.getent(ctx, "group", group)
	if err != nil {
		return 0, err
	}
	_, gid, _, ok := parseGroup(line)
	if !ok {
		return 0, fmt.Errorf("getent group: cannot read what it gives for %q", group)
	}
	return gid, nil
}

// Groups gives the groups of a user as initgroups sets them: that of the account first, then those that list the user as a
// member, each once.
func (a *Accounts) Groups(ctx context.Context, name string) ([]uint32, error) {
	found, err := a.system.account(ctx, name)
	if err != nil {
		return nil, err
	}
	ids, err := a.system.memberships(ctx, found.name)
	if err != nil {
		return nil, err
	}
	all := []uint32{found.gid}
	seen := map[uint32]bool{found.gid: true}
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	return all, nil
}

// memberships gives the groups that list a user.
func (s *system) memberships(ctx context.Context, user string) ([]uint32, error) {
	_, other, err := s.sources("group")
	if err != nil {
		return nil, err
	}
	if !other {
		all, err := s.groupFile.read()
		if err != nil {
			return nil, err
		}
		return all.byMember[user], nil
	}
	line, err := s.getent(ctx, "initgroups", user)
	if errors.Is(err, auth.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// "name    4 24 27"
	var ids []uint32
	for word := range strings.FieldsSeq(strings.TrimPrefix(line, user)) {
		id, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("getent initgroups: cannot read what it gives for %q", user)
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}

// groups are those of a file.
type groups struct {
	byName   map[string]uint32
	byMember map[string][]uint32
}

// parseGroup reads a line without its end.
func parseGroup(line string) (name string, gid uint32, members []string, ok bool) {
	parts := strings.SplitN(line, ":", 4)
	if len(parts) < 3 || ignored(parts[0]) {
		return "", 0, nil, false
	}
	id, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil {
		return "", 0, nil, false
	}
	if len(parts) == 4 && parts[3] != "" {
		members = strings.Split(parts[3], ",")
	}
	return parts[0], uint32(id), members, true
}

func parseGroups(text []byte) *groups {
	all := &groups{map[string]uint32{}, map[string][]uint32{}}
	for line := range entries(text) {
		name, gid, members, ok := parseGroup(line)
		if !ok {
			continue
		}
		if _, there := all.byName[name]; !there {
			all.byName[name] = gid
		}
		for _, m := range members {
			all.byMember[m] = append(all.byMember[m], gid)
		}
	}
	return all
}
