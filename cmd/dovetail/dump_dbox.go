package main

import (
	"fmt"
	"io"
	"time"

	"dovetail/formats/dbox"
)

// dumpDbox prints the messages of u.N or m.N with the places of their parts.
func dumpDbox(w io.Writer, r io.ReaderAt, size int64) error {
	h, err := dbox.ReadFileHeader(r)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%10d  file header: version %d, message headers of %d bytes, created %s\n",
		0, h.Version, h.MessageHeader, unixTime(int64(h.Created)))
	for off := int64(h.Size); off < size; {
		m, err := h.ReadMessage(r, off, size)
		if m.Body > 0 {
			fmt.Fprintf(w, "%10d  message header: %d bytes as stored\n", m.Offset, m.StoredSize)
			fmt.Fprintf(w, "%10d  message\n", m.Body)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%10d  metadata\n", m.Body+m.StoredSize)
		printMetadata(w, &m.Metadata)
		off = m.End
	}
	fmt.Fprintf(w, "%10d  end\n", size)
	return nil
}

func printMetadata(w io.Writer, m *dbox.Metadata) {
	line := func(set bool, key, about string, value any) {
		if set {
			fmt.Fprintf(w, "            %s %s: %v\n", key, about, value)
		}
	}
	line(m.Plain != dbox.Absent, "Z", "plain size", m.Plain)
	line(m.Received != dbox.Absent, "R", "received", unixTime(m.Received))
	line(m.VirtualSize != dbox.Absent, "V", "virtual size", m.VirtualSize)
	line(m.POP3UIDL != "", "P", "POP3 UIDL", m.POP3UIDL)
	line(m.POP3Order != 0, "O", "POP3 order", m.POP3Order)
	line(m.GUID != "", "G", "GUID", m.GUID)
	line(m.Mailbox != "", "B", "mailbox", m.Mailbox)
	line(m.Attachments != "", "X", "attachments", m.Attachments)
	for _, other := range m.Other {
		line(true, other[:1], "not understood", fmt.Sprintf("%q", other[1:]))
	}
}

func unixTime(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
