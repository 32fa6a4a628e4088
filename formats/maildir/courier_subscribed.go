package maildir

import "strings"

const courierSubscribedName = "courierimapsubscribed"

// ParseCourierSubscribed reads Courier's subscriptions: one full IMAP name per line ("INBOX", "INBOX.Sent"), encoded as
// on the wire by 4.x and as UTF-8 by 5.x. A carriage return belongs to the name; Courier shows it so.
func ParseCourierSubscribed(b []byte) []string {
	var names []string
	for line := range strings.Lines(string(b)) {
		if name := strings.TrimSuffix(line, "\n"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// AppendCourierSubscribed writes them; b may be nil.
func AppendCourierSubscribed(b []byte, names []string) []byte {
	for _, name := range names {
		b = append(append(b, name...), '\n')
	}
	return b
}

// courierFolder turns a subscribed name into the name of a folder on disk without its leading dot, "" for INBOX; ok is
// false for names of other namespaces (shared., #shared.).
func courierFolder(name string) (folder string, ok bool) {
	if strings.EqualFold(name, "INBOX") {
		return "", true
	}
	if len(name) > 6 && strings.EqualFold(name[:6], "INBOX.") {
		return name[6:], true
	}
	return "", false
}
