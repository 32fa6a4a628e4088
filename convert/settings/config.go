package settings

import (
	"bytes"
	"fmt"
	"strings"
)

// block is a part of a Dovecot configuration in braces, or all of it.
type block struct {
	head    string // "service imap"
	notes   []string
	entries []entry
	blocks  []*block
}

type entry struct {
	key, value string
	notes      []string
}

// set adds a setting, or replaces it. Each note becomes a comment above it.
func (b *block) set(key, value string, notes ...string) {
	e := entry{key, value, notes}
	for i := range b.entries {
		if b.entries[i].key == key {
			b.entries[i] = e
			return
		}
	}
	b.entries = append(b.entries, e)
}

// block finds or makes a block inside. passdb and userdb are always new.
func (b *block) block(head string) *block {
	for _, have := range b.blocks {
		if have.head == head && head != "passdb" && head != "userdb" {
			return have
		}
	}
	inner := &block{head: head}
	b.blocks = append(b.blocks, inner)
	return inner
}

func (b *block) write(out *bytes.Buffer, indent string) {
	for _, e := range b.entries {
		comment(out, indent, e.notes)
		fmt.Fprintf(out, "%s%s = %s\n", indent, e.key, e.value)
	}
	for _, inner := range b.blocks {
		if indent == "" {
			out.WriteByte('\n')
		}
		comment(out, indent, inner.notes)
		fmt.Fprintf(out, "%s%s {\n", indent, inner.head)
		inner.write(out, indent+"  ")
		fmt.Fprintf(out, "%s}\n", indent)
	}
}

func comment(out *bytes.Buffer, indent string, notes []string) {
	for _, note := range notes {
		if note == "" {
			continue
		}
		fmt.Fprintf(out, "%s# %s\n", indent, printable(note))
	}
}

// printable makes text from somebody's file harmless in a comment or on a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfffd {
			return '?'
		}
		return r
	}, text)
}

// plainText tells whether a value can stand in a configuration at all.
func plainText(v string) bool {
	return printable(v) == v
}

// quoted gives a value as Dovecot 2.3 reads it back: in quotes where "#", "$" and the like would have a meaning.
func quoted(v string) string {
	if v == "" || !strings.ContainsAny(v, "#$\"'\\<{}") && strings.TrimSpace(v) == v {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// percent protects "%" where Dovecot fills in variables.
func percent(v string) string { return strings.ReplaceAll(v, "%", "%%") }

// filePath tells whether "<path" can name this file: nothing can be quoted there.
func filePath(path string) bool {
	return strings.HasPrefix(path, "/") && plainText(path) && !strings.ContainsAny(path, "#$\"'\\ \t")
}
