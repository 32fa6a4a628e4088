package courier

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"dovetail/formats/layout"
)

// What a folder is called on disk: "." and its parts joined by "."; "" is INBOX. Courier 4 and Dovecot write the parts in
// modified UTF-7, Courier 5 in UTF-8. Courier shows whatever it finds; Dovecot 2.3.19 lists a name that is not valid and
// then does not find the folder behind it. Dovecot finds neither a name that begins with "~" nor ".INBOX", which to its
// clients is the inbox (seen with namespace prefix "INBOX.").

const inboxName = "INBOX"

// Why a folder is renamed.
const (
	whyUTF8    = "Dovecot keeps names in modified UTF-7"
	whyInvalid = "not valid modified UTF-7: Dovecot would not find the folder"
	whyBytes   = "neither modified UTF-7 nor UTF-8: read as ISO 8859-1"
	whyInbox   = "to clients of Dovecot a folder of this name is the inbox"
	whyHome    = `Dovecot refuses names that begin with "~"`
	whyCourier = "Courier 5 keeps names in UTF-8"
	whyBack    = "the name it had before it was converted"
)

// dovecotPath gives a folder's place for Dovecot and why it is another one, "" if it is the same. utf8Names tells that
// the name was written by Courier 5.
func dovecotPath(path string, utf8Names bool) (to, why string) {
	if path == "" {
		return "", ""
	}
	parts := strings.Split(path[1:], ".")
	for i, part := range parts {
		name, because := courierPart(part, utf8Names)
		if i == 0 && strings.EqualFold(name, inboxName) {
			name, because = name+"_", whyInbox
		}
		if i == 0 && strings.HasPrefix(name, "~") {
			name, because = "_"+name, whyHome
		}
		coded, err := layout.EncodeMUTF7(name)
		if err != nil || coded == part {
			continue
		}
		parts[i] = coded
		if why == "" || why == whyUTF8 {
			why = because // what clients notice comes first
		}
	}
	return "." + strings.Join(parts, "."), why
}

// noticed tells whether a folder renamed for this reason has another name to clients, too.
func noticed(why string) bool {
	switch why {
	case whyInvalid, whyBytes, whyInbox, whyHome:
		return true
	}
	return false
}

// courierPart decodes one part of a name as the clients of that Courier saw it, and says what is wrong with its spelling.
func courierPart(part string, utf8Names bool) (name, why string) {
	if utf8Names {
		if utf8.ValidString(part) {
			return part, whyUTF8
		}
		return latin1(part), whyBytes
	}
	if name, err := layout.DecodeMUTF7(part); err == nil {
		return name, ""
	}
	why = whyInvalid
	if !utf8.ValidString(part) {
		part, why = latin1(part), whyBytes
	}
	return lenient(part), why
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// looseBase64 is the alphabet of modified UTF-7 as clients read it: stray bits at the end do not matter.
var looseBase64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// lenient decodes what is valid in a part and takes any other "&" for itself: "Q&A" is what it looks like.
func lenient(part string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(part, "&")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		coded, after, closed := strings.Cut(rest, "-")
		text, ok := decodeRun(coded)
		if !closed || !ok {
			b.WriteByte('&')
			part = rest
			continue
		}
		b.WriteString(text)
		part = after
	}
}

// decodeRun reads what stands between "&" and "-". Characters that a part of a name cannot hold are no text.
func decodeRun(coded string) (string, bool) {
	if coded == "" {
		return "&", true
	}
	raw, err := looseBase64.DecodeString(coded)
	if err != nil || len(raw) < 2 || len(raw)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	text := string(utf16.Decode(units))
	if strings.ContainsAny(text, "./\x00\r\n") || strings.ContainsRune(text, utf8.RuneError) {
		return "", false
	}
	return text, true
}

// courierPath gives a folder's place for Courier: as it is for version 4, in UTF-8 for version 5. A part that is not valid
// modified UTF-7, or that Courier 5 could not list, stays.
func courierPath(path string, utf8Names bool) (to, why string) {
	if path == "" || !utf8Names {
		return path, ""
	}
	parts := strings.Split(path[1:], ".")
	for i, part := range parts {
		name, err := layout.DecodeMUTF7(part)
		if err != nil || name == part || strings.ContainsAny(name, "./\x00\r\n") || !listable(name) {
			continue
		}
		parts[i], why = name, whyCourier
	}
	return "." + strings.Join(parts, "."), why
}

// listable tells whether Courier 5 can list a name: 5.0.13 ends the session at one that is not UTF-8 or has a character
// beyond U+FFFF.
func listable(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return r > 0xffff }) < 0
}

// hidden tells whether a part of a folder's name stays in modified UTF-7 because Courier 5 could not list it.
func hidden(path string) bool {
	for part := range strings.SplitSeq(path, ".") {
		if name, err := layout.DecodeMUTF7(part); err == nil && !listable(name) {
			return true
		}
	}
	return false
}

// emptyPart tells whether a part of the name is empty: Courier does not list such a folder.
func emptyPart(path string) bool {
	return path != "" && (strings.Contains(path, "..") || strings.HasSuffix(path, "."))
}

// shown is the name that clients see, without a prefix, its parts joined by "/".
func shown(path string, utf8Names bool) string {
	if path == "" {
		return inboxName
	}
	naming := layout.Naming{Separator: '.', UTF8: utf8Names}
	return naming.Name(path[1:])
}
