package maildir

import (
	"fmt"
	"strconv"
	"strings"

	"dovetail/formats"
)

// uidlFormat is Dovecot's setting pop3_uidl_format, which makes the UIDLs of messages that have no P in dovecot-uidlist
// (Dovecot 2.3, pop3/pop3-client.c). What Courier can hold is made of:
//
//	%u %{uid}             UID
//	%v %{uidvalidity}     UIDVALIDITY
//	%f %{filename}        base name
//	%%                    a percent sign
//
// Others, as %g and %m, and numbers in another form, as %08Xu, never make a UIDL that Courier can hold.
type uidlFormat string

// uidlWords are the long names, which are all that Dovecot 2.4 knows.
var uidlWords = strings.NewReplacer("%%", "%%", "%{uid}", "%u", "%{uidvalidity}", "%v", "%{filename}", "%f")

// simple gives the format in short names; ok is false for one that Courier cannot hold or that names no message.
func (f uidlFormat) simple() (short uidlFormat, ok bool) {
	short = uidlFormat(uidlWords.Replace(string(f)))
	for rest := string(short); ; rest = rest[2:] {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return short, ok
		}
		if rest = rest[i:]; len(rest) < 2 || strings.IndexByte("uvf%", rest[1]) < 0 {
			return "", false
		}
		ok = ok || rest[1] == 'u' || rest[1] == 'f'
	}
}

// append writes what Dovecot shows for a message. The format must be simple.
func (f uidlFormat) append(dst []byte, validity formats.UIDValidity, uid formats.UID, base []byte) []byte {
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			dst = append(dst, f[i])
			continue
		}
		i++
		switch f[i] {
		case 'u':
			dst = strconv.AppendUint(dst, uint64(uid), 10)
		case 'v':
			dst = strconv.AppendUint(dst, uint64(validity), 10)
		case 'f':
			dst = append(dst, base...)
		default:
			dst = append(dst, f[i])
		}
	}
	return dst
}

// holds tells whether Courier can hold the UIDLs of this format at all.
func (f uidlFormat) holds() bool {
	short, ok := f.simple()
	base := []byte("1.host")
	_, _, held := parseCourierUIDL(short.append(nil, 1, 1, base), base)
	return ok && held
}

// madeUIDLs are those of messages without a P.
type madeUIDLs struct {
	format, short uidlFormat
	held          bool // Courier can hold what the format makes
	seen          bool // Dovecot was here, so that clients may have seen them
	lost          int
	buf           []byte
}

func (m *madeUIDLs) begin(from *Mailbox) {
	if m.format = uidlFormat(from.store.opts.POP3UIDLFormat); m.format == "" {
		return
	}
	m.short, _ = m.format.simple()
	m.held, m.seen = m.format.holds(), from.dovecotWasHere()
}

// uidl gives what Dovecot made for a message, until the next call. What Courier cannot hold is counted.
func (m *madeUIDLs) uidl(validity formats.UIDValidity, uid formats.UID, base []byte) ([]byte, bool) {
	if m.format == "" {
		return nil, false
	}
	if m.held {
		m.buf = m.short.append(m.buf[:0], validity, uid, base)
		if _, _, ok := parseCourierUIDL(m.buf, base); ok {
			return m.buf, true
		}
	}
	m.lost++
	return nil, false
}

func (m *madeUIDLs) why() string {
	return fmt.Sprintf("Dovecot made them by pop3_uidl_format = %s; Courier knows UIDn, UIDn-v and the name of the file only, and gives new ones", m.format)
}

// dovecotWasHere tells whether Dovecot has opened the folder since a Take wrote its lists: Take removes the index, or
// makes one just before the list when keywords need it, and Dovecot makes its own at once.
func (b *Mailbox) dovecotWasHere() bool {
	if b.indexDir == nil {
		return false
	}
	_, cacheErr := b.indexDir.Stat("dovecot.index.cache")
	log, logErr := b.indexDir.Stat("dovecot.index.log")
	_, indexErr := b.indexDir.Stat("dovecot.index")
	list, listErr := b.control.Stat(uidlistName)
	switch {
	case cacheErr == nil:
		return true
	case logErr != nil:
		return false
	case indexErr != nil || listErr != nil:
		return true
	}
	return log.MTime.Sec > list.MTime.Sec || log.MTime.Sec == list.MTime.Sec && log.MTime.Nsec > list.MTime.Nsec
}
