package message_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dovetail/formats/formatstest/dovecot"
	"dovetail/formats/message"
)

// mail is one message of the corpus.
type mail struct {
	name string
	text []byte
}

// corpus is the messages in samples/messages and those of DOVETAIL_MAIL, a folder with one message a file.
func corpus(t testing.TB) (all []mail) {
	t.Helper()
	roots := []string{"../../samples/messages"}
	if dir := os.Getenv("DOVETAIL_MAIL"); dir != "" {
		roots = append(roots, dir)
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "README.md" {
				return err
			}
			text, err := os.ReadFile(path)
			all = append(all, mail{strings.TrimPrefix(path, root+"/"), text})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return append(all, nasty()...)
}

// mailbox gives a session of the judge in which the corpus is selected.
func mailbox(t testing.TB, all []mail) *dovecot.Session {
	t.Helper()
	dovecot.Need(t)
	root := filepath.Join(dovecot.TempDir(t), "mail")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var list strings.Builder
	fmt.Fprintf(&list, "3 V1 N%d G%032x\n", len(all)+1, 1)
	for i, m := range all {
		name := fmt.Sprintf("%d.M%dP1.host", 1500000000+i, i)
		fmt.Fprintf(&list, "%d :%s\n", i+1, name)
		if err := os.WriteFile(filepath.Join(root, "cur", name+":2,S"), m.text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "dovecot-uidlist"), []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, root)
	s := dovecot.New(t, dovecot.Location("maildir", root)).IMAP()
	s.Cmd("SELECT INBOX")
	return s
}

// fetched gives the values of one item for all messages.
func fetched(t testing.TB, s *dovecot.Session, count int, item string) []string {
	t.Helper()
	values := make([]string, count)
	name, _, _ := strings.Cut(item, " ")
	for _, line := range s.Cmd("FETCH 1:* (" + item + ")") {
		n, value, ok := strings.Cut(strings.TrimPrefix(line, "* "), " FETCH ("+name+" ")
		i, err := strconv.Atoi(n)
		if !ok || err != nil {
			continue
		}
		values[i-1] = strings.TrimSuffix(value, ")")
	}
	return values
}

type tally struct {
	t          *testing.T
	same, more int
}

func (c *tally) compare(m mail, item, got, want string) {
	c.t.Helper()
	if got == want {
		c.same++
		return
	}
	if c.more++; c.more <= 20 {
		c.t.Errorf("%s: %s\n got %q\nwant %q", m.name, item, cut(got, want), cut(want, got))
	}
}

// cut leaves out where two long texts are equal.
func cut(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from, to := max(i-60, 0), min(i+200, len(a))
	return fmt.Sprintf("[%d bytes] …%s…", len(a), a[from:max(to, from)])
}

func parsed(t testing.TB, m mail) *message.Message {
	t.Helper()
	p, err := message.Parse(bytes.NewReader(m.text), int64(len(m.text)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What describes a message is the same as with Dovecot, byte for byte.
func TestStructureAsDovecot(t *testing.T) {
	all := corpus(t)
	for item, ours := range map[string]func(*message.Message) []byte{
		"ENVELOPE":      func(p *message.Message) []byte { return p.AppendEnvelope(nil) },
		"BODY":          func(p *message.Message) []byte { return p.AppendBody(nil) },
		"BODYSTRUCTURE": func(p *message.Message) []byte { return p.AppendBodyStructure(nil) },
		"RFC822.SIZE":   func(p *message.Message) []byte { return strconv.AppendInt(nil, p.Tree.Size().Virtual, 10) },
	} {
		t.Run(item, func(t *testing.T) {
			// A mailbox for each, because of what Dovecot caches it shows a message of plain text in other words.
			c := tally{t: t}
			for i, want := range fetched(t, mailbox(t, all), len(all), item) {
				c.compare(all[i], item, string(ours(parsed(t, all[i]))), want)
			}
			t.Logf("%d equal, %d not", c.same, c.more)
		})
	}
}

// paths gives the numbers of every part, and some that are not there.
func paths(tree message.Tree) [][]uint32 {
	all := [][]uint32{{1}, {2}, {1, 1}, {9, 9}}
	var walk func(part int32, path []uint32)
	walk = func(part int32, path []uint32) {
		if len(all) > 40 || len(path) > 10 {
			return
		}
		n := uint32(1)
		for c := tree[part].Child; c != 0; c = tree[c].Next {
			at := path
			if tree[part].Flags&message.RFC822 == 0 || tree[c].Flags&message.Multipart == 0 {
				at = append(path[:len(path):len(path)], n)
				all = append(all, at)
			}
			walk(c, at)
			n++
		}
	}
	walk(0, nil)
	return all
}

type item struct {
	name string
	make func(*message.Source) (*message.Text, error)
}

func section(name string, s message.Section, r message.Range) item {
	return item{name, func(src *message.Source) (*message.Text, error) { return src.Section(s, r) }}
}

// sections gives items for every text of a message.
func sections(m *message.Message) []item {
	fields := []string{"Subject", "FROM", "Content-Type", "x-none"}
	list := "(SUBJECT FROM CONTENT-TYPE X-NONE)"
	all := []item{
		section("BODY[]", message.Section{}, message.All),
		section("BODY[]<7>", message.Section{}, message.Range{Offset: 7, Length: 100}),
		section("BODY[HEADER]", message.Section{Which: message.Header}, message.All),
		section("BODY[TEXT]", message.Section{Which: message.BodyText}, message.All),
		section("BODY[TEXT]<50>", message.Section{Which: message.BodyText}, message.Range{Offset: 50, Length: 33}),
		section("BODY[HEADER.FIELDS "+list+"]", message.Section{Which: message.HeaderFields, Fields: fields}, message.All),
		section("BODY[HEADER.FIELDS.NOT "+list+"]", message.Section{Which: message.HeaderFieldsNot, Fields: fields}, message.All),
	}
	for _, path := range paths(m.Tree) {
		p := strings.ReplaceAll(strings.Trim(fmt.Sprint(path), "[]"), " ", ".")
		all = append(all,
			section("BODY["+p+"]", message.Section{Part: path}, message.All),
			section("BODY["+p+"]<3>", message.Section{Part: path}, message.Range{Offset: 3, Length: 90}),
			section("BODY["+p+".MIME]", message.Section{Part: path, Which: message.MIMEHeader}, message.All),
			section("BODY["+p+".HEADER]", message.Section{Part: path, Which: message.Header}, message.All),
			section("BODY["+p+".TEXT]", message.Section{Part: path, Which: message.BodyText}, message.All),
			section("BODY["+p+".HEADER.FIELDS "+list+"]", message.Section{Part: path, Which: message.HeaderFields, Fields: fields}, message.All),
			section("BODY["+p+".HEADER.FIELDS.NOT "+list+"]", message.Section{Part: path, Which: message.HeaderFieldsNot, Fields: fields}, message.All),
		)
	}
	return all
}

// asked is an item as it is asked for: without setting \Seen, with the length of a range.
func asked(name string) string {
	for offset, length := range map[string]string{"7": "100", "50": "33", "3": "90"} {
		name = strings.Replace(name, "<"+offset+">", "<"+offset+"."+length+">", 1)
	}
	return strings.Replace(strings.Replace(name, "BODY[", "BODY.PEEK[", 1), "BINARY[", "BINARY.PEEK[", 1)
}

func written(t testing.TB, m mail, it item, s *message.Source) string {
	t.Helper()
	text, err := it.make(s)
	if err != nil {
		return err.Error()
	}
	var b bytes.Buffer
	if text.Binary {
		b.WriteByte('~')
	}
	fmt.Fprintf(&b, "{%d}\r\n", text.Size())
	if n, err := text.WriteTo(&b); err != nil || n != text.Size() {
		t.Errorf("%s: %s of %d bytes: %d written, %v", m.name, it.name, text.Size(), n, err)
	}
	return b.String()
}

// Every section has the same bytes as with Dovecot.
func TestSectionsAsDovecot(t *testing.T) {
	all := corpus(t)
	s := mailbox(t, all)
	c := tally{t: t}
	for i, m := range all {
		p := parsed(t, m)
		src := message.NewSource(bytes.NewReader(m.text), p.Tree)
		items := sections(p)
		var ask []string
		for _, it := range items {
			ask = append(ask, asked(it.name))
		}
		for _, line := range s.Cmd(fmt.Sprintf("FETCH %d (%s)", i+1, strings.Join(ask, " "))) {
			_, rest, ok := strings.Cut(line, " FETCH (")
			if !ok {
				continue
			}
			for k, it := range items {
				want := ""
				want, rest = oneItem(it.name, rest)
				if strings.HasSuffix(it.name, ">") && loneCR(m.text) {
					continue // Dovecot loses a byte of a range that begins behind a CR without LF
				}
				c.compare(m, it.name, written(t, m, items[k], src), want)
			}
		}
	}
	t.Logf("%d equal, %d not", c.same, c.more)
}

// cutHeader tells whether a boundary stands where the empty line behind a header should be.
func cutHeader(text []byte, tree message.Tree) bool {
	for _, p := range tree {
		header := text[p.Offset : p.Offset+p.Header.Stored]
		if !bytes.HasSuffix(header, []byte("\n\n")) && !bytes.HasSuffix(header, []byte("\n\r\n")) && len(header) > 2 {
			return true
		}
	}
	return false
}

// loneCR tells whether there is a CR without LF.
func loneCR(text []byte) bool {
	return bytes.Count(text, []byte("\r")) != bytes.Count(text, []byte("\r\n"))
}

// oneItem takes "NAME {5}\r\nhello" off a line.
func oneItem(name, rest string) (value, after string) {
	after, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), name+" ")
	if !ok {
		return "no " + name + " in " + cut(rest, ""), rest
	}
	open := strings.IndexByte(after, '{')
	end := strings.Index(after, "}\r\n")
	if open < 0 || open > 1 || end < 0 {
		return "no literal", after
	}
	n, err := strconv.Atoi(after[open+1 : end])
	if err != nil || end+3+n > len(after) {
		return "no literal", after
	}
	return after[:end+3+n], after[end+3+n:]
}

// A part without its transfer encoding is the same, and cannot be had where Dovecot cannot give it.
func TestBinaryAsDovecot(t *testing.T) {
	all := corpus(t)
	s := mailbox(t, all)
	c := tally{t: t}
	for i, m := range all {
		p := parsed(t, m)
		src := message.NewSource(bytes.NewReader(m.text), p.Tree)
		if cutHeader(m.text, p.Tree) || strings.HasPrefix(m.name, "random") {
			// Where a boundary cuts a header, Dovecot reads on behind it and disconnects. NULs in text around parts it
			// makes 0x80, but it does so for every byte of parts that have none.
			continue
		}
		for _, path := range append(paths(p.Tree), nil) {
			name := strings.ReplaceAll(strings.Trim(fmt.Sprint(path), "[]"), " ", ".")
			name = "BINARY[" + name + "]"
			got := written(t, m, item{name, func(s *message.Source) (*message.Text, error) { return s.Binary(path, message.All) }}, src)
			if strings.Contains(got, "ends early") || strings.Contains(got, "quoted-printable") {
				// Dovecot takes it for an error of its own that a text ends in the middle of its encoding, or that a
				// multipart has a header with an encoding but no part has one, and disconnects.
				continue
			}
			want := ""
			lines, status := s.Try(fmt.Sprintf("FETCH %d (%s)", i+1, asked(name)))
			for _, line := range lines {
				if _, rest, ok := strings.Cut(line, " FETCH ("+name+" "); ok {
					want = strings.TrimSuffix(rest, ")")
				}
			}
			switch {
			case strings.Contains(status, "UNKNOWN-CTE") && strings.Contains(got, "unknown content"):
				want = got
			case strings.Contains(status, "[PARSE]") && strings.Contains(got, "invalid data"):
				want = got
			case !strings.HasPrefix(status, "OK"):
				want = status
			}
			c.compare(m, name, got, want)
		}
	}
	t.Logf("%d equal, %d not", c.same, c.more)
}

// The preview of a message is the same.
func TestPreviewAsDovecot(t *testing.T) {
	all := corpus(t)
	c := tally{t: t}
	for i, want := range fetched(t, mailbox(t, all), len(all), "PREVIEW") {
		got, err := parsed(t, all[i]).Preview(bytes.NewReader(all[i].text))
		if err != nil {
			t.Fatal(err)
		}
		if after, ok := strings.CutPrefix(want, "{"); ok {
			_, want, _ = strings.Cut(after, "}\r\n")
		} else {
			want = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.TrimPrefix(strings.TrimSuffix(want, `"`), `"`))
		}
		if strings.Contains(want, "\ufffd") {
			continue // we know more charsets, and need not replace invalid text at the same byte
		}
		c.compare(all[i], "PREVIEW", got, want)
	}
	t.Logf("%d equal, %d not", c.same, c.more)
}
