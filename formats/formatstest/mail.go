package formatstest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"dovetail/formats"
)

// Mail is a message with its bytes.
type Mail struct {
	formats.Message
	Content []byte
}

// Sample gives a small message with every value set to something of its own; the same for the same n, which is its UID.
// Its keywords are the n-th and next of Keywords.
func Sample(n int) Mail {
	m := Mail{Content: fmt.Appendf(nil, "From: sender%d@example.org\nTo: ann@example.org\nSubject: message %d\n"+
		"Message-ID: <%d@example.org>\nDate: Mon, 2 Jan 2006 15:04:05 +0100\n\nText of message %d,\nwith %s.\n",
		n, n, n, n, strings.Repeat("many words ", n%7))}
	m.UID = formats.UID(n)
	m.Flags = formats.Flags(n) & formats.SystemFlags
	if n%3 > 0 {
		m.Keywords = Keywords(n%5 + 3)[n%5 : n%5+n%3]
	}
	m.ModSeq = formats.ModSeq(100 + 3*n)
	m.GUID = fmt.Sprintf("%032x", 0xabcdef00+n)
	zone := time.FixedZone("", []int{0, 3600, -12600, 20700}[n%4])
	m.InternalDate = time.Date(2019, 3, 1+n%28, n%24, n%60, 7, 0, time.UTC).In(zone)
	m.SaveDate = time.Date(2020, 4, 1+n%28, n%24, n%60, 9, 0, time.UTC)
	if n%2 == 0 {
		m.POP3UIDL = fmt.Sprintf("uidl-%d.%d", n, n*n)
		m.POP3Order = uint32(1000 - n)
	}
	return m
}

// Samples gives one message for each UID.
func Samples(uids ...int) []Mail {
	mails := make([]Mail, len(uids))
	for i, uid := range uids {
		mails[i] = Sample(uid)
	}
	return mails
}

// Keywords gives n different keywords of the kinds that clients use.
func Keywords(n int) []string {
	words := []string{"$Forwarded", "NonJunk", "$label1", "Tag_2/x", "$MDNSent", "a.b-c+d"}
	for i := len(words); i < n; i++ {
		words = append(words, fmt.Sprintf("keyword%02d", i))
	}
	return words[:n]
}

// oddBodies are contents that converters get wrong.
func oddBodies() map[string][]byte {
	line := strings.Repeat("0123456789abcdef", 1<<16)
	big := bytes.Repeat([]byte(strings.Repeat("x", 75)+"\n"), 5<<20/76)
	text := map[string]string{
		"no final newline":           "Subject: a\n\nlast line",
		"CRLF":                       "Subject: a\r\nX: y\r\n\r\none\r\ntwo\r\n",
		"CRLF without a final one":   "Subject: a\r\n\r\none\r\ntwo",
		"mixed line ends":            "Subject: a\r\nX: y\n\none\ntwo\r\nthree\n",
		"bare CR":                    "Subject: a\n\none\rtwo\r\rthree\r\n\rfour\n",
		"ends in CR":                 "Subject: a\n\none\ntwo\r",
		"NUL":                        "Subject: a\x00b\n\n\x00\x00text\x00\n",
		"8-bit":                      "Subject: Gr\xf6\xdfe\nX: \xff\xfe\x80\n\n\x80\x81\xff caf\xc3\xa9\n",
		"a line of 1 MiB":            "Subject: a\n\n" + line + "\nend\n",
		"a header line of 1 MiB":     "Subject: " + line + "\n\nend\n",
		"From_ lines":                "Subject: a\n\nFrom ann@example.org Mon Jan  2 15:04:05 2006\n>From x\n\nFrom bob Mon Jan  2 15:04:05 2006 +0000\n>>From y\nFrom here on\n",
		"blank lines at the end":     "Subject: a\n\ntext\n\n\n\n",
		"blank lines at the start":   "Subject: a\n\n\n\ntext\n",
		"header only":                "Subject: a\nX: b\n",
		"header and blank line only": "Subject: a\nX: b\n\n",
		"folded headers":             "Subject: a\n\tb\n c\nX:\n\n \ntext\n",
		"colonless header":           "Subject: a\nthis is no header\nX: y\n\ntext\n",
		"dbox magic":                 "Subject: a\n\n\n\x01\x03\nR1\nG2\n\n\x01\x02N 0000000000000005\n",
		"status words in the body":   "Subject: a\n\nStatus: RO\nX-UID: 7\nContent-Length: 3\n",
	}
	all := map[string][]byte{"5 MiB": append([]byte("Subject: big\n\n"), big...)}
	for name, s := range text {
		all[name] = []byte(s)
	}
	return all
}
