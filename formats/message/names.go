package message

// name is a header field whose value is kept.
type name uint8

const (
	otherField name = iota

	mimeVersion
	contentType
	contentEncoding
	contentDisposition
	contentLanguage
	contentID
	contentDescription
	contentMD5
	contentLocation

	date
	subject
	from
	sender
	replyTo
	to
	cc
	bcc
	inReplyTo
	messageID
	lastName
)

var names = [lastName]string{
	mimeVersion: "mime-version", contentType: "content-type", contentEncoding: "content-transfer-encoding",
	contentDisposition: "content-disposition", contentLanguage: "content-language", contentID: "content-id",
	contentDescription: "content-description", contentMD5: "content-md5", contentLocation: "content-location",
	date: "date", subject: "subject", from: "from", sender: "sender", replyTo: "reply-to", to: "to", cc: "cc", bcc: "bcc",
	inReplyTo: "in-reply-to", messageID: "message-id",
}

// named has the names by their length.
var named [26][]name

func init() {
	for n := mimeVersion; n < lastName; n++ {
		named[len(names[n])] = append(named[len(names[n])], n)
	}
}

// nameOf finds which field a name is.
func nameOf(b []byte) name {
	if len(b) >= len(named) {
		return otherField
	}
	for _, n := range named[len(b)] {
		if equalFold(b, names[n]) {
			return n
		}
	}
	return otherField
}

// equalFold compares with a text in lower case, ASCII only.
func equalFold[T string | []byte](b T, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(b) {
		if lowered(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

// sameFold compares without regard to case, ASCII only.
func sameFold[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lowered(a[i]) != lowered(b[i]) {
			return false
		}
	}
	return true
}

func lowered(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// hasPrefixFold is equalFold of the beginning.
func hasPrefixFold[T string | []byte](b T, lower string) bool {
	return len(b) >= len(lower) && equalFold(b[:len(lower)], lower)
}
