package ldap

import (
	"errors"
	"math"

	"github.com/go-ldap/ldap/v3"
)

// Tags of what a search is made of (X.690 section 8.1.2; RFC 4511 sections 4.5.1, 4.5.2 and 4.1.9). Each is one byte,
// behind which the length stands, of the short or the long form.
const (
	tagBoolean    = 0x01
	tagInteger    = 0x02
	tagString     = 0x04
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagSet        = 0x31

	tagSearch    = 0x63 // [APPLICATION 3]
	tagEntry     = 0x64
	tagDone      = 0x65
	tagReference = 0x73 // [APPLICATION 19]
)

var errMalformed = errors.New("unable to read LDAP response packet: malformed")

// appendSearch adds a SearchRequest without controls; the filter is encoded already.
func appendSearch(dst []byte, id int32, r *ldap.SearchRequest, filter []byte) []byte {
	b := appendElement(make([]byte, 0, 256), tagString, r.BaseDN)
	b = appendNumber(b, tagEnumerated, r.Scope)
	b = appendNumber(b, tagEnumerated, r.DerefAliases)
	b = appendNumber(b, tagInteger, r.SizeLimit)
	b = appendNumber(b, tagInteger, r.TimeLimit)
	typesOnly := "\x00"
	if r.TypesOnly {
		typesOnly = "\xff"
	}
	b = appendElement(b, tagBoolean, typesOnly)
	b = append(b, filter...)
	var list []byte
	for _, a := range r.Attributes {
		list = appendElement(list, tagString, a)
	}
	b = appendElement(b, tagSequence, list)
	message := appendNumber(make([]byte, 0, len(b)+16), tagInteger, int(id))
	return appendElement(dst, tagSequence, appendElement(message, tagSearch, b))
}

func appendElement[T string | []byte](dst []byte, tag byte, value T) []byte {
	dst = append(dst, tag)
	switch n := len(value); {
	case n < 0x80:
		dst = append(dst, byte(n))
	case n <= math.MaxUint16:
		dst = append(dst, 0x82, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, value...)
}

// appendNumber adds one that is not negative.
func appendNumber(dst []byte, tag byte, n int) []byte {
	return append(dst, tag, 4, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// lengthOf reads a length of the short or the long form, which is all that b holds.
func lengthOf(b []byte) (n int, ok bool) {
	if len(b) == 1 {
		return int(b[0]), b[0] < 0x80 // not the indefinite form
	}
	n = integer(b[1:])
	return n, len(b) <= 5 && n >= 0
}

// integer reads an unsigned one of at most 4 bytes.
func integer(b []byte) (n int) {
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return n
}

// element reads one from the front of b.
func element(b []byte) (tag byte, value, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	size := 2
	if b[1] > 0x80 {
		size += int(b[1] & 0x7f)
	}
	if size > len(b) {
		return 0, nil, nil, false
	}
	n, ok := lengthOf(b[1:size])
	if !ok || n > len(b)-size {
		return 0, nil, nil, false
	}
	return b[0], b[size : size+n], b[size+n:], true
}

// readAnswer reads what stands behind the id of a message: an entry, which is added to the result, or the end, with the
// server's code as an *ldap.Error unless it is success. References to other servers are not followed.
func readAnswer(b []byte, to *ldap.SearchResult) (over bool, err error) {
	tag, value, _, ok := element(b)
	switch {
	case !ok:
	case tag == tagEntry:
		if e := readEntry(value); e != nil {
			to.Entries = append(to.Entries, e)
			return false, nil
		}
	case tag == tagReference:
		return false, nil
	case tag == tagDone:
		return true, readResult(value)
	}
	return true, errMalformed
}

// readEntry gives nil for what is none.
func readEntry(b []byte) *ldap.Entry {
	tag, dn, b, ok := element(b)
	listTag, list, _, listOK := element(b)
	if !ok || !listOK || tag != tagString || listTag != tagSequence {
		return nil
	}
	e := &ldap.Entry{DN: string(dn)}
	for len(list) > 0 {
		var one []byte
		if tag, one, list, ok = element(list); !ok || tag != tagSequence {
			return nil
		}
		tag, name, one, ok := element(one)
		setTag, set, _, setOK := element(one)
		if !ok || !setOK || tag != tagString || setTag != tagSet {
			return nil
		}
		a := &ldap.EntryAttribute{Name: string(name)}
		for len(set) > 0 {
			var value []byte
			if tag, value, set, ok = element(set); !ok || tag != tagString {
				return nil
			}
			a.Values = append(a.Values, string(value))
		}
		e.Attributes = append(e.Attributes, a)
	}
	return e
}

// readResult reads the code, the name that was found and the server's words.
func readResult(b []byte) error {
	codeTag, code, b, ok1 := element(b)
	dnTag, dn, b, ok2 := element(b)
	wordsTag, words, _, ok3 := element(b)
	if !ok1 || !ok2 || !ok3 || codeTag != tagEnumerated || dnTag != tagString || wordsTag != tagString || len(code) == 0 || len(code) > 2 {
		return errMalformed
	}
	if n := integer(code); n != ldap.LDAPResultSuccess {
		return &ldap.Error{ResultCode: uint16(n), MatchedDN: string(dn), Err: errors.New(string(words))}
	}
	return nil
}
