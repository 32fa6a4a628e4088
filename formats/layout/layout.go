// Package layout knows how mailboxes are named and found on disk, and the small files that stand beside them.
//
// Two layouts exist for folders whose names are their paths:
//
//	Maildir++  A/B is <root>/.A.B/, INBOX is <root>/ itself     separator "."
//	fs         A/B is <root>/A/B (Maildir, mbox) or <root>/mailboxes/A/B (dbox)     separator "/"
//
// The client-visible name (package formats: UTF-8, parts joined by "/") becomes the storage name by encoding each part:
// modified UTF-7 (RFC 3501 section 5.1.3) unless the site keeps raw UTF-8; with an escape character (the plugin listescape
// of Dovecot 2.3, mailbox_list_storage_escape_char in 2.4) whatever a part cannot hold is written as that character and
// two lower-case hexadecimal digits. Names keep their code points: Dovecot 2.3 shows them as they are, and Dovecot 2.4, which
// brings them into Unicode NFC when it lists them, does so without our help. A storage name that is not valid is shown as
// the bytes found, as Dovecot 2.3.19 and 2.4.4 do; it is read, and never produced.
//
// Beside the mailboxes stand subscriptions (Subscriptions) and the allocator of UIDVALIDITY values (UIDValidity).
package layout

import (
	"fmt"
	"hash/crc32"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"dovetail/formats"
)

// Naming translates between client-visible and storage names of one store.
type Naming struct {
	// Separator between the parts of a storage name: '.' for Maildir++, '/' for fs.
	Separator byte

	// UTF8 keeps raw UTF-8 on disk instead of modified UTF-7.
	UTF8 bool

	// Escape is the character of listescape, 0 for none.
	Escape byte

	// Reserved are parts that mean something else on disk: "cur", "new", "tmp" (Maildir, fs), "dbox-Mails" (dbox).
	Reserved []string

	// Beside tells that a mailbox's children stand among its control files (Maildir, fs): names of such files are refused.
	Beside bool

	// Behind is the room in bytes that names of files beside a mailbox need behind its own: 5 for an mbox and its ".lock".
	Behind int

	// Format names the store in messages: "Maildir++".
	Format string
}

// MaxPart is the longest part of a storage name, in bytes: a file name's limit. In Maildir++ it is the limit of the whole
// name with its leading dot.
const MaxPart = 255

// maxName is the longest storage name of layout fs: paths of 4096 bytes less room for the root and what is in a mailbox.
const maxName = 3072

// Storage gives the name on disk. The error says why there is none and wraps formats.ErrBadName.
func (n Naming) Storage(name string) (string, error) {
	if problem := n.Problem(name); problem != "" {
		return "", fmt.Errorf("%w: %q: %s", formats.ErrBadName, name, problem)
	}
	return n.storage(name), nil
}

func (n Naming) storage(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = n.encode(part)
	}
	return strings.Join(parts, string(n.Separator))
}

// encode writes one part.
func (n Naming) encode(part string) string {
	escaped := n.escape(part)
	if n.UTF8 {
		return escaped
	}
	coded, err := EncodeMUTF7(escaped)
	if err != nil {
		return escaped
	}
	return coded
}

// escape writes "~" at the beginning of each part as Dovecot 2.3.19.1 does, which finds no other spelling. Versions after
// 2.4.4 want it in the first part only, and rename others when they list them.
func (n Naming) escape(part string) string {
	if n.Escape == 0 {
		return part
	}
	whole := part == "." || part == ".." || n.escapable(part)
	var b strings.Builder
	for i := range len(part) {
		c := part[i]
		if c == n.Escape || c == n.Separator || c == '/' || i == 0 && (whole || c == '~') {
			fmt.Fprintf(&b, "%c%02x", n.Escape, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// dboxMails is the one reserved part that listescape escapes (Dovecot 2.3.19.1 refuses "cur" in Maildir all the same).
const dboxMails = "dbox-Mails"

func (n Naming) escapable(part string) bool {
	return part == dboxMails && slices.Contains(n.Reserved, part)
}

// Name gives the client-visible name of a storage name. A part that is not valid stays as it is.
func (n Naming) Name(storage string) string {
	parts := strings.Split(storage, string(n.Separator))
	for i, part := range parts {
		parts[i] = n.decode(part)
	}
	return strings.Join(parts, "/")
}

func (n Naming) decode(part string) string {
	if !n.UTF8 {
		plain, err := DecodeMUTF7(part)
		if err != nil {
			return part
		}
		part = plain
	}
	if n.Escape == 0 {
		return part
	}
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] == n.Escape && i+2 < len(part) {
			hi, lo := unhex(part[i+1]), unhex(part[i+2])
			// An escaped "/" stays escaped: the parts of a client-visible name cannot hold one.
			if c := hi<<4 | lo; hi >= 0 && lo >= 0 && c != '/' {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(part[i])
	}
	return b.String()
}

// unhex gives -1 for what is no hexadecimal digit.
func unhex(c byte) int {
	if 'A' <= c && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}

// Problem says in words why the store cannot hold a name, or "" if it can. The rules are those by which Dovecot 2.3.19
// refuses CREATE.
func (n Naming) Problem(name string) string {
	if name == "" {
		return "empty name"
	}
	if !utf8.ValidString(name) {
		return "not UTF-8"
	}
	if n.Escape == 0 && strings.HasPrefix(name, "~") {
		return `a leading "~" means a home directory`
	}
	if first, _, _ := strings.Cut(name, "/"); first != inbox && strings.EqualFold(first, inbox) {
		return "INBOX in another case is the inbox"
	}
	for part := range strings.SplitSeq(name, "/") {
		if problem := n.partProblem(part); problem != "" {
			return problem
		}
	}
	if limit := n.limit(); len(n.storage(name)) > limit {
		return fmt.Sprintf("longer than %d bytes on disk", limit)
	}
	return ""
}

const inbox = "INBOX"

// limit of a whole storage name in bytes.
func (n Naming) limit() int {
	if n.Separator == '/' {
		return maxName
	}
	return MaxPart - 1
}

func (n Naming) partProblem(part string) string {
	switch {
	case part == "":
		return "empty part"
	case strings.ContainsFunc(part, isControl):
		return "control character"
	case len(n.encode(part)) > MaxPart-n.Behind:
		return fmt.Sprintf("a part is longer than %d bytes on disk", MaxPart-n.Behind)
	case n.taken(part):
		return fmt.Sprintf("%q is a file or folder of %s itself", part, n.Format)
	case n.Escape != 0:
		return ""
	case part == "." || part == "..":
		return fmt.Sprintf("%q is a folder of the file system", part)
	case n.Separator != '/' && strings.IndexByte(part, n.Separator) >= 0:
		return fmt.Sprintf("%q separates the parts of a name in %s", string(n.Separator), n.Format)
	}
	return ""
}

// taken tells whether a part means something else on disk and cannot be escaped.
func (n Naming) taken(part string) bool {
	if slices.Contains(n.Reserved, part) {
		return n.Escape == 0 || !n.escapable(part)
	}
	return n.Beside && isControlFile(part)
}

// controlFiles of Dovecot 2.3 and Courier in a Maildir folder; others are these with something behind a dot.
var controlFiles = []string{"dovecot-uidlist", "dovecot-keywords", "dovecot-uidvalidity", "dovecot.index", "dovecot.list.index", "dovecot.mailbox.log",
	"dovecot-acl", "dovecot-acl-list", "dovecot-attributes", "dovecot-quota", "dovecot-pop3-session", "dovecot-vsize", "subscriptions", "maildirsize",
	"courierimapuiddb", "courierimapkeywords", "courierimapsubscribed", "courierpop3dsizelist"}

func isControlFile(part string) bool {
	return strings.HasPrefix(part, "dovetail-") || slices.ContainsFunc(controlFiles, func(file string) bool {
		return part == file || strings.HasPrefix(part, file+".")
	})
}

func isControl(r rune) bool { return r < 0x20 }

// Safe gives the nearest name that the store can hold; always the same for the same name. What is too long is cut, and
// ends in a number made of all of it. Two names may still become one: that is for the caller to see.
func (n Naming) Safe(name string) string {
	parts := strings.Split(strings.ToValidUTF8(name, "_"), "/")
	kept := parts[:0]
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	for i, part := range kept {
		kept[i] = n.safePart(part, i == 0)
	}
	safe := strings.Join(kept, "/")
	switch {
	case safe == "":
		return "_"
	case strings.EqualFold(kept[0], inbox) && len(kept) > 1:
		safe = inbox + safe[len(inbox):]
	case safe != inbox && strings.EqualFold(safe, inbox):
		return safe + "_"
	}
	return cut(safe, n.limit(), n.storage)
}

func (n Naming) safePart(part string, first bool) string {
	part = strings.Map(func(r rune) rune {
		if isControl(r) || n.Escape == 0 && n.Separator != '/' && r == rune(n.Separator) {
			return '_'
		}
		return r
	}, part)
	if n.taken(part) || n.Escape == 0 && (part == "." || part == ".." || first && strings.HasPrefix(part, "~")) {
		part = "_" + part
	}
	return cut(part, MaxPart-n.Behind, n.encode)
}

// cut shortens a name until what encode makes of it fits in limit bytes.
func cut(name string, limit int, encode func(string) string) string {
	if len(encode(name)) <= limit {
		return name
	}
	mark := fmt.Sprintf("-%08x", crc32.ChecksumIEEE([]byte(name)))
	runes := []rune(name)
	runes = runes[:min(len(runes), limit)] // no character takes less than one byte
	tooMany := sort.Search(len(runes), func(n int) bool { return len(encode(string(runes[:n+1])+mark)) > limit })
	return strings.TrimRight(string(runes[:tooMany]), "/") + mark
}
