package accounts

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"dovetail/auth/scheme"
	"dovetail/auth/vpopmail"
)

// A note is what of vpopmail's account has no other place in a passwd-file. It stands in the shell column:
//
//	pw_uid=1 pw_gid=8 pw_shell=20MB pw_passwd=$1$… pw_check=1f2e3d4c pw_limits=2
//
// the names being those of vpopmail's tables. pw_shell is the quota as it was spelled; pw_passwd the hash, only where
// the password column does not hold it as it is, behind {CRYPT}; pw_check says which clear text it belongs to, so that a
// password that is changed later does not bring the old hash back; pw_limits are the flags of the domain at that time. Bytes that the
// column cannot hold, and "%", are written as "%" with two hexadecimal digits.
type note struct {
	account vpopmail.Account // PwUID, Flags, Quota, Hash
	check   string
	limits  vpopmail.Flags
}

// newNote is the note for a user from vpopmail whose password is written as stored.
func newNote(u User, stored string) string {
	if u.Vpopmail == nil {
		return ""
	}
	a := u.Vpopmail
	words := []string{fmt.Sprintf("pw_uid=%d pw_gid=%d pw_shell=%s", a.PwUID, a.Flags, escape(a.Quota))}
	if a.Hash != "" && stored != "{CRYPT}"+a.Hash {
		clear, _ := scheme.Clear(stored)
		words = append(words, "pw_passwd="+escape(a.Hash), "pw_check="+checkSum(a.Hash, clear))
	}
	if u.Limits != 0 {
		words = append(words, fmt.Sprintf("pw_limits=%d", u.Limits))
	}
	return strings.Join(words, " ")
}

// readNote gives nil for a shell column that is no note.
func readNote(shell string) *note {
	if !strings.HasPrefix(shell, "pw_uid=") {
		return nil
	}
	n := &note{}
	for word := range strings.SplitSeq(shell, " ") {
		key, value, _ := strings.Cut(word, "=")
		value = unescape(value)
		number, err := strconv.ParseInt(value, 10, 64)
		switch {
		case key == "pw_shell":
			n.account.Quota = value
		case key == "pw_passwd":
			n.account.Hash = value
		case key == "pw_check":
			n.check = value
		case err != nil:
			return nil
		case key == "pw_uid":
			n.account.PwUID = int(number)
		case key == "pw_gid":
			n.account.Flags = vpopmail.Flags(number)
		case key == "pw_limits":
			n.limits = vpopmail.Flags(number)
		}
	}
	return n
}

// checkSum is short on purpose: it tells a changed password, and nobody who reads it learns what the line does not say.
func checkSum(hash, clear string) string {
	sum := sha256.Sum256([]byte(hash + "\x00" + clear))
	return fmt.Sprintf("%x", sum[:4])
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == ':' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
