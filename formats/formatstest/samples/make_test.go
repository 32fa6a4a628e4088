package samples

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dovetail/formats"
	"dovetail/formats/formatstest/dovecot"
)

var update = flag.Bool("update", false, "make the samples again with real Dovecot, or only those that -run names")

// maker makes one sample.
type maker struct {
	name, about string
	location    string   // with %r
	settings    []string // for making and reading, with %r
	unsure      []string // see Expect

	// make fills dir through j (a judge of that location) or by hand.
	make func(t *testing.T, j *dovecot.Judge, dir string)

	// broken, when not nil, says what must come out instead of Dovecot. It gets what Dovecot showed before harm was
	// done, and does the harm.
	broken func(t *testing.T, dir string, e *Expect)
}

// TestMake makes the samples when asked to.
func TestMake(t *testing.T) {
	if !*update {
		t.Skip("samples are made with scripts/make-samples (-update)")
	}
	for _, m := range slices.Concat(realStores(), brokenStores()) {
		t.Run(m.name, func(t *testing.T) { m.run(t) })
	}
}

func (m maker) run(t *testing.T) {
	dir := dovecot.TempDir(t)
	fill := func(s string) string { return strings.ReplaceAll(s, "%r", dir) }
	j := dovecot.New(t, fill(m.location), fill(strings.Join(m.settings, "\n")))
	m.make(t, j, dir)
	j.MustBeClean()
	packed := pack(t, dir)

	e := ask(t, packed, m)
	if m.broken != nil {
		m.broken(t, dir, &e)
		packed = pack(t, dir)
	}
	out := filepath.Join(Folder(), m.name)
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"mail.tar.gz": packed, "expect.json": e.lines(t)} {
		if err := os.WriteFile(filepath.Join(out, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ask unpacks the store again, because asking changes Dovecot's index files, and asks Dovecot.
func ask(t *testing.T, packed []byte, m maker) Expect {
	dir := dovecot.TempDir(t)
	if err := unpack(bytes.NewReader(packed), dir); err != nil {
		t.Fatal(err)
	}
	dovecot.Own(t, dir)
	fill := func(s string) string { return strings.ReplaceAll(s, "%r", dir) }
	j := dovecot.New(t, fill(m.location), fill(strings.Join(m.settings, "\n")))
	e := Expect{About: m.about, Location: m.location, Settings: m.settings, Subscribed: j.Lsub(), Unsure: m.unsure}
	for _, entry := range j.List() {
		box := Mailbox{Mailbox: entry.Name, NoSelect: entry.NoSelect}
		if !entry.NoSelect {
			st := j.Status(entry.Name)
			box.GUID, box.UIDValidity, box.UIDNext, box.HighestModSeq = st.GUID.String(), st.UIDValidity, st.UIDNext, st.HighestModSeq
			for _, msg := range j.Fetch(entry.Name) {
				box.Messages = append(box.Messages, shown(msg))
			}
		}
		e.Mailboxes = append(e.Mailboxes, box)
	}
	if m.broken == nil {
		j.MustBeClean()
	}
	return e
}

func shown(m dovecot.Msg) Message {
	return Message{
		UID: m.UID, GUID: m.GUID, Flags: (m.Flags & formats.SystemFlags).Names(), Keywords: m.Keywords, Date: m.InternalDate,
		ModSeq: m.ModSeq, VSize: m.Size, POP3UIDL: m.POP3UIDL, POP3Order: m.POP3Order, SHA256: digest(m.Body), Text: firstLine(m.Body),
	}
}

func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func firstLine(body string) string {
	line, _, _ := strings.Cut(body, "\r\n")
	return strings.ToValidUTF8(line[:min(len(line), 60)], "?")
}

// lines prints one message a line, so that a person can read the differences.
func (e Expect) lines(t *testing.T) []byte {
	var messages [][]byte
	head := e
	head.Mailboxes = slices.Clone(e.Mailboxes)
	for i, box := range e.Mailboxes {
		head.Mailboxes[i].Messages = nil
		for _, m := range box.Messages {
			b, err := marshal(m, "")
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, b)
			head.Mailboxes[i].Messages = append(head.Mailboxes[i].Messages, Message{})
		}
	}
	out, err := marshal(head, " ")
	if err != nil {
		t.Fatal(err)
	}
	return oneLineEach(out, messages)
}

func marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// oneLineEach puts the messages in the places of the empty ones.
func oneLineEach(indented []byte, messages [][]byte) []byte {
	var out bytes.Buffer
	skip := false
	for line := range bytes.Lines(indented) {
		text := bytes.TrimSpace(line)
		switch {
		case bytes.Equal(line[:min(len(line), 5)], []byte("    {")) && len(messages) > 0:
			skip = true
			out.WriteString("    ")
			out.Write(messages[0])
			messages = messages[1:]
		case skip && (bytes.Equal(line[:min(len(line), 5)], []byte("    }"))):
			skip = false
			out.Write(bytes.TrimPrefix(text, []byte("}")))
			out.WriteByte('\n')
		case !skip:
			out.Write(line)
		}
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// pack makes the archive: everything below dir, hard links as such, no owner.
func pack(t *testing.T, dir string) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	w := tar.NewWriter(z)
	links := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return packOne(w, links, dir, rel, d)
	})
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func packOne(w *tar.Writer, links map[uint64]string, dir, rel string, d fs.DirEntry) error {
	path := filepath.Join(dir, rel)
	info, err := d.Info()
	if err != nil {
		return err
	}
	var target string
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
		target = strings.ReplaceAll(target, dir, "%r") // dbox-alt-root
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	*h = tar.Header{Typeflag: h.Typeflag, Name: rel, Linkname: h.Linkname, Size: h.Size, Mode: h.Mode, ModTime: h.ModTime, Format: tar.FormatPAX}
	st := info.Sys().(*syscall.Stat_t)
	if first, ok := links[st.Ino]; ok && info.Mode().IsRegular() {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
	}
	links[st.Ino] = rel
	if err := w.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
