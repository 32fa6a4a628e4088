package maildir

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats"
)

const courierUIDDBName = "courierimapuiddb"

// courierUIDDB is Courier-IMAP's list of UIDs:
//
//	1 142307211 48          version (always 1), UIDVALIDITY, next UID
//	1 1085682923.2112.host  UID, base name (everything behind the first space)
//
// Verified with Courier-IMAP 4.18.2 and 5.0.13. A UIDVALIDITY above 32 bits can exist; such a list is refused here.
type courierUIDDB struct {
	UIDValidity formats.UIDValidity
	UIDNext     formats.UID
	Records     []courierUID
}

// courierUID is a line of the list.
type courierUID struct {
	UID  formats.UID
	Base string
}

// parseCourierUIDDB reads a list. Only a header that Courier itself would throw away is an error; records that are not
// understood, and a last line without its line end, are left out as Courier leaves them out, and counted.
func parseCourierUIDDB(b []byte) (db courierUIDDB, skipped int, err error) {
	first, rest, ok := bytes.Cut(b, []byte{'\n'})
	fields := bytes.Fields(first)
	if !ok || len(fields) < 3 || string(fields[0]) != "1" {
		return db, 0, formats.Corrupt("%s header %q is not of version 1", courierUIDDBName, clip(first))
	}
	validity, ok1 := number32(fields[1])
	next, ok2 := number32(fields[2])
	if !ok1 || !ok2 || validity == 0 || next == 0 {
		return db, 0, formats.Corrupt("%s header %q: UIDVALIDITY or next UID cannot be", courierUIDDBName, clip(first))
	}
	db.UIDValidity, db.UIDNext = formats.UIDValidity(validity), formats.UID(next)
	for line := range bytes.Lines(rest) {
		r, ok := parseCourierUID(line)
		if !ok {
			skipped++
			continue
		}
		db.Records = append(db.Records, r)
	}
	return db, skipped, nil
}

func parseCourierUID(line []byte) (courierUID, bool) {
	line, whole := bytes.CutSuffix(line, []byte{'\n'})
	number, name, ok := bytes.Cut(line, []byte{' '})
	uid, isNumber := number32(number)
	if i := bytes.LastIndexByte(name, infoSep); i >= 0 {
		name = name[:i] // Courier cuts at the last colon here
	}
	if !whole || !ok || !isNumber || uid == 0 || uid+1 == 0 || len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
		return courierUID{}, false
	}
	return courierUID{UID: formats.UID(uid), Base: string(name)}, true
}

// undisputed gives the pairs of one UID and one name, ascending: of two lines for a name the first, of two lines for a
// UID the first. The others are numbered anew; nobody else is because of them.
func (db *courierUIDDB) undisputed() []courierUID {
	uids := make(map[formats.UID]bool, len(db.Records))
	names := make(map[string]bool, len(db.Records))
	var out []courierUID
	for _, r := range db.Records {
		if uids[r.UID] || names[r.Base] {
			continue
		}
		uids[r.UID], names[r.Base] = true, true
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b courierUID) int { return int(int64(a.UID) - int64(b.UID)) })
	return out
}

// append writes the list as Courier does.
func (db *courierUIDDB) append(b []byte) []byte {
	b = strconv.AppendUint(append(b, "1 "...), uint64(db.UIDValidity), 10)
	b = strconv.AppendUint(append(b, ' '), uint64(db.UIDNext), 10)
	b = append(b, '\n')
	for _, r := range db.Records {
		b = strconv.AppendUint(b, uint64(r.UID), 10)
		b = append(append(b, ' '), r.Base...)
		if strings.IndexByte(r.Base, infoSep) >= 0 {
			b = append(b, infoSep) // else a reader would cut the name at its own colon
		}
		b = append(b, '\n')
	}
	return b
}
