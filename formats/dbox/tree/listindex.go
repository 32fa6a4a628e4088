package tree

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"

	"dovetail/formats"
	"dovetail/formats/index"
	"dovetail/formats/layout"
)

// extList of dovecot.list.index (Dovecot 2.3, mailbox-list-index.h). Header: u8 refresh flag, then {u32
// id, name NUL}… without padding, ended by id 0. Record: u32 name id, u32 UID of the parent's record, 16 bytes mailbox
// GUID, u32 UIDVALIDITY. Record flags reuse the bits of message flags; Dovecot lists a parent that is gone as \NoSelect.
const (
	extList      = "list"
	listRecord   = 4 + 4 + 16 + 4
	listNoSelect = 0x10
	listGone     = 0x04
)

// readListIndex lists the folders of LAYOUT=index: the only place where their names are.
func (t *Tree) readListIndex() ([]layout.Found, error) {
	st, err := index.Read(t.Index, index.ListPrefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := st.Ext(extList)
	if e == nil || e.Size < listRecord {
		return nil, formats.Corrupt("%s: no folder names in it", index.ListPrefix)
	}
	names, err := parseListNames(e.Header)
	if err != nil {
		return nil, err
	}
	l := listIndex{st: st, ext: e, names: names}
	var found []layout.Found
	for i := range st.Len() {
		name, err := l.name(i, 0)
		if err != nil {
			return nil, err
		}
		f := layout.Found{Path: hex.EncodeToString(st.Data(i, e)[8:24])}
		f.Name = t.Naming.Name(name)
		f.NoSelect = st.Flags(i)&(listGone|listNoSelect) != 0 || strings.Trim(f.Path, "0") == ""
		found = append(found, f)
	}
	return layout.Sort(found), nil
}

type listIndex struct {
	st    *index.State
	ext   *index.Extension
	names map[uint32]string
}

func (l listIndex) parent(i int) formats.UID {
	return formats.UID(binary.LittleEndian.Uint32(l.st.Data(i, l.ext)[4:]))
}

// name joins the parts up to the top; a chain that never ends is damage.
func (l listIndex) name(i, depth int) (string, error) {
	rec := l.st.Data(i, l.ext)
	name, ok := l.names[binary.LittleEndian.Uint32(rec)]
	if !ok {
		return "", formats.Corrupt("%s: record %d has no name", index.ListPrefix, l.st.UID(i))
	}
	if l.parent(i) == 0 {
		return name, nil
	}
	p, ok := l.st.Find(l.parent(i))
	if !ok || depth > 1000 {
		return "", formats.Corrupt("%s: record %d has no parent", index.ListPrefix, l.st.UID(i))
	}
	above, err := l.name(p, depth+1)
	return above + "/" + name, err
}

func parseListNames(b []byte) (map[uint32]string, error) {
	names := map[uint32]string{}
	if len(b) < 1 {
		return names, nil
	}
	for b = b[1:]; len(b) >= 4; {
		id := binary.LittleEndian.Uint32(b)
		if id == 0 {
			break
		}
		name, rest, ok := bytes.Cut(b[4:], []byte{0})
		if !ok {
			return nil, formats.Corrupt("%s: name %d has no end", index.ListPrefix, id)
		}
		names[id] = string(name)
		b = rest
	}
	return names, nil
}
