package message_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
)

// nasty is messages that few programs agree on.
func nasty() (all []mail) {
	for _, name := range slices.Sorted(maps.Keys(nastyTexts)) {
		text := nastyTexts[name]
		all = append(all, mail{"nasty: " + name, []byte(text)}, mail{"nasty: " + name + ", CRLF", []byte(strings.ReplaceAll(text, "\n", "\r\n"))})
	}
	count := 400
	if n, err := strconv.Atoi(os.Getenv("DOVETAIL_RANDOM")); err == nil {
		count = n
	}
	for i := range count {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		all = append(all, mail{fmt.Sprintf("random %d", i), randomMail(r)})
	}
	return all
}

const mixed = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"

var nastyTexts = map[string]string{
	"empty":                              "",
	"one line end":                       "\n",
	"only a body":                        "\nbody",
	"only a header":                      "Subject: x\n",
	"header without line end":            "Subject: x",
	"name without value":                 "Subject:\nFrom:\nTo: \nDate:\n\n",
	"values of blanks":                   "Subject:    \nFrom: \t \nMessage-ID: \t\n\n",
	"blanks before the colon":            "Subject \t: x\nFrom : a@b\n\n",
	"lines without colon":                "junk\nSubject: a\nmore junk\n goes on\nFrom: x@y\n\n",
	"begins with a blank":                " leading: x\nSubject: y\n\nz",
	"mbox line":                          "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\ny\n",
	"fields that come twice":             "Subject: one\nSubject: two\nFrom: a@b\nFrom: c@d\nDate: 1\nDate: 2\nMessage-ID: <1@x>\nMessage-ID: <2@x>\nTo: x@y\nTo: broken\n\n",
	"folded":                             "Subject: a\n b\n\tc\n  \n d\nFrom: a\n <b@c>\nTo:\n x@y\nMessage-ID:\n <a@b>\nIn-Reply-To: <a\n b>\n\n",
	"8 bit":                              "Subject: gr\xc3\xbc\xdf\nFrom: \xff <a\xe4@b>\nMessage-ID: <\xfc@x>\n\n\xff",
	"NULs":                               "Subject: a\x00b\nFrom: \"a\x00b\" <c\x00d@e>\nMessage-ID: a\x00\nX\x00Y: 1\n\nbo\x00dy\n",
	"NUL in a name":                      "Content-Type\x00x: text/html\nSubject\x00: a\n\nb",
	"carriage returns":                   "Subject: a\rb\r\nFrom: a@b\r\n\r\r\nx\ry\r\r\nz\n\r",
	"long name of a field":               strings.Repeat("x", 1500) + ": 1\n" + strings.Repeat("y", 999) + ": 2\n" + strings.Repeat("z", 1001) + ": 3\n\nq",
	"long line":                          "Subject: " + strings.Repeat("a b ", 5000) + "\n\n" + strings.Repeat("x", 40000) + "\ny",
	"quotes and backslashes":             `Subject: "a" \b\` + "\n" + `From: "a\"b\\c" <"x\"y"@z>` + "\n" + `To: """""" <a@b>` + "\nMessage-ID: \"\\\"\\\"\\\n\n",
	"groups":                             "To: a: b@c, d@e;, f@g, empty:;, open: x@y\nCc: a:b:c:d@e;;\nBcc: undisclosed-recipients:;\n\n",
	"routes":                             "From: <@a,@b:c@d>\nTo: <@a:b>, <@a, c@d>, <@:x@y>\nCc: <>\nBcc: < >, <a>, <a@>, <@>\n\n",
	"comments for names":                 "From: a@b (Name)\nTo: a(x)@(y)b(z (nested \\) ) w)\nCc: (only)\nBcc: a@b (unended\n\n",
	"broken addresses":                   "From: a b c\nTo: a@b@c, <a@b, x@y>, \"q, z@w\nCc: ,,,a@b,,\nBcc: .a.@b..c, a..b@c\nReply-To: a@[1.2.3.4], b@[x\\]y], c@[[]\nSender: \"quoted\"@x\n\n",
	"more broken addresses":              "From: word\nTo: two words\nCc: \"quoted\"\nBcc: word,word2;word3\nReply-To: a@b c@d\nSender: =?utf-8?Q?x?= <a@b> (c) d\n\n",
	"names of blanks":                    "From: \"  \" <a@b>\nTo: \" a  b \" <a@b>\nCc: \"\" <a@b>\nBcc: \"a\tb\" <c@d>\n\n",
	"no MIME":                            "Content-Transfer-Encoding: base64\nContent-ID: <x>\n\nYQ==",
	"MIME-Version without type":          "Mime-Version: 1.0\nContent-ID: <x>\nContent-Description: d\nContent-MD5: m\nContent-Location: l\nContent-Language: en, de\n\nx",
	"type without slash":                 "Content-Type: text\n\nx",
	"type without subtype":               "Content-Type: text/\n\nx",
	"type with garbage":                  "Content-Type: text/plain x; charset=y\n\nx",
	"types twice":                        "Content-Type: text/html\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
	"type of comments":                   "Content-Type: (a) text (b) / (c) html (d) ; (e) charset (f) = (g) \"x\" (h)\n\nx",
	"parameters":                         "Content-Type: text/plain; a=b; c=\"d e\"; f*=utf-8''g%20h; i*0=j; i*1*=k%; l*1=m; n*=; =o; p; q=; \"r\"=s; t==?u; v=w x; y=z\n\nx",
	"continued parameters":               "Content-Type: text/plain; a*0*=x''1; a*1=2%; b*1=2; b*0=1; c*0=1; c*2=3; d*=x; e*0=1; E*1=2; f*x=1; g**=1; h*0*0=1\n\nx",
	"stale numbers":                      "Content-Type: text/plain; a*5=x; b*=y; c*7*=z; d*=w\n\nx",
	"dispositions":                       "MIME-Version: 1\nContent-Disposition: attachment\nContent-Disposition: inline; filename=x\nContent-Disposition: z; a=b\n\nx",
	"empty disposition":                  "MIME-Version: 1\nContent-Disposition:\n\nx",
	"encodings":                          "MIME-Version: 1\nContent-Transfer-Encoding: base64 x\nContent-Transfer-Encoding: quoted-printable\n\nx",
	"languages":                          "MIME-Version: 1\nContent-Language: en, , de\nContent-Language: fr\n\nx",
	"folded descriptions":                "MIME-Version: 1\nContent-Description: a\n b\n\tc\nContent-ID: <a\n\tb>\nContent-Location: a\n  b\n\nx",
	"multipart without boundary":         "Content-Type: multipart/mixed\n\n--\n\nx\n",
	"multipart of empty boundary":        "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n--a\n\ny\n----\n",
	"multipart without parts":            mixed + "nothing\n",
	"boundary at the end":                mixed + "--b",
	"boundary and line end at the end":   mixed + "--b\n",
	"end at once":                        mixed + "--b--\n",
	"no end":                             mixed + "--b\n\nx\n--b\nContent-Type: text/html\n\ny",
	"parts without header end":           mixed + "--b\nContent-Type: text/html\n--b\n--b\n\n--b\n\n\n--b\nX: y\n\n--b--\n",
	"text around parts":                  mixed + "before\n--b\n\nx\n\n--b--\nafter\n--b\n\nnot a part\n--b--\n",
	"boundary with blanks behind it":     mixed + "--b  \n\nx\n--b\t\n\ny\n--b-- \nz\n--b---\n",
	"boundary that is the beginning":     mixed + "--bb\n\nx\n--b-\n\ny\n--b--b\n",
	"boundary in the header":             "Content-Type: multipart/mixed; boundary=b\n--b\n\nx\n--b--\n",
	"boundary right behind":              "Content-Type: multipart/mixed; boundary=b\n\n\n--b\n\n\n\n--b--\n\n",
	"inner boundary like the outer":      mixed + "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--\n--bb\n--b\n",
	"same boundary inside":               mixed + "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\ny\n--b\n\nz\n--b--\n",
	"outer boundary shorter":             "Content-Type: multipart/mixed; boundary=bb\n\n--bb\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--bb\n\ny\n--b--\n--bb--\n",
	"outer boundary ends inner":          mixed + "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--b\n\ny\n--c--\n--b--\n",
	"long boundary":                      "Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("x", 100) + "\"\n\n--" + strings.Repeat("x", 100) + "\n\na\n--" + strings.Repeat("x", 80) + "\n\nb\n--" + strings.Repeat("x", 80) + "--\n",
	"digest":                             "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b\nContent-Type: text/plain\n\nz\n--b\n\n--b\nX: y\n\n--b--\n",
	"message in a message":               "Content-Type: message/rfc822\n\nSubject: a\nFrom: x@y\nContent-Type: message/rfc822\n\nSubject: b\n\nc\n",
	"empty message in a message":         "Content-Type: message/rfc822\n\n",
	"message in a message cut":           mixed + "--b\nContent-Type: message/rfc822\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n--b\nContent-Type: message/rfc822\n--b--\n",
	"multipart in a message":             "Content-Type: message/rfc822\n\nSubject: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/x; boundary=c\n\n--c\n\nd\n--c--\n--b--\n",
	"message without MIME in a message":  mixed + "--b\nContent-Type: message/rfc822\n\nContent-ID: x\nContent-Transfer-Encoding: base64\n\nz\n--b--\n",
	"partial":                            "Content-Type: message/partial; id=x\n\nSubject: y\n\nz\n",
	"deep multiparts":                    deep(120),
	"deep messages":                      strings.Repeat("Content-Type: message/rfc822\n\n", 120) + "Subject: x\n\ny\n",
	"deep digests":                       "Content-Type: multipart/digest; boundary=b\n\n" + strings.Repeat("--b\n\nContent-Type: multipart/digest; boundary=b\n\n", 70) + "--b\n\nx\n",
	"base64":                             "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nSGVs\nbG8g\n d29y\tbGQ=\n\n",
	"base64 with a tail":                 "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\nfooter\n",
	"base64 cut":                         "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nSGVsbG8\n",
	"base64 of padding":                  "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nSGVsbA=\n = \n",
	"base64 of NULs":                     "Content-Type: application/x\nContent-Transfer-Encoding: BASE64\n\nAAAAAA==\n",
	"quoted-printable":                   "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\na=3Db  \n=\nc=\t \nd=e4 \t\ne\t\tf\n",
	"quoted-printable with errors":       "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\na=xb\n",
	"quoted-printable that ends in =":    mixed + "--b\nContent-Transfer-Encoding: quoted-printable\n\na=\n--b--\n",
	"encoding with a parameter":          "MIME-Version: 1.0\nContent-Transfer-Encoding: base64; x\n\nYQ==\n",
	"encoding folded":                    "MIME-Version: 1.0\nContent-Transfer-Encoding:\n base64\n\nYQ==\n",
	"encodings twice":                    "MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nYQ==\n",
	"encoding unknown":                   "MIME-Version: 1.0\nContent-Transfer-Encoding: x-uue\n\nYQ==\n",
	"encoded parts":                      mixed + "--b\nContent-Transfer-Encoding: base64\nX: y\n z\n\nAAAA\n--b\nContent-Type: message/rfc822\n\nSubject: x\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\na=20b\n\n--b\n\nplain\n--b--\nend\n",
	"encoded multipart":                  "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\npre\n--b\n\nx\n--b--\npost\n",
	"encoded part without end of header": mixed + "--b\nContent-Transfer-Encoding: base64\n--b\n\nYQ==\n--b--\n",
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	b.WriteString("\nx\n")
	for i := range n {
		fmt.Fprintf(&b, "\n--b%d--\n", n-1-i)
	}
	return b.String()
}

// randomMail puts lines together that matter to a parser.
func randomMail(r *rand.Rand) []byte {
	lines := []string{
		"", "", "", "", "--b", "--b", "--b--", "--c", "--c--", "--bc", "--", "--b \t", "text", "text", " continued", "\tcontinued", "a: b",
		"Subject: s", "From: a <b@c>", "To: x@y (z), g: h@i;", "Content-Type: text/html; charset=\"u\"", "Content-Type: multipart/mixed; boundary=b",
		"Content-Type: multipart/digest; boundary=c", "Content-Type: multipart/alternative; boundary=bc", "Content-Type: message/rfc822",
		"Content-Type: multipart/x", "MIME-Version: 1.0", "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: quoted-printable",
		"SGVsbG8g", "d29ybGQ=", "a=3Db", "x=", "a\x00b", "Content-Disposition: attachment; filename=f", "Content-ID: <i>",
	}
	if r.IntN(3) == 0 {
		lines = append(lines, addressLines(r)...)
	}
	var b []byte
	if r.IntN(2) == 0 {
		b = append(b, mixed...)
	}
	crlf := r.IntN(3)
	for range r.IntN(60) {
		b = append(b, lines[r.IntN(len(lines))]...)
		switch {
		case r.IntN(40) == 0:
			b = append(b, '\r')
		case crlf == 0, crlf == 1 && r.IntN(2) == 0:
			b = append(b, "\r\n"...)
		default:
			b = append(b, '\n')
		}
	}
	return b
}

// addressLines are fields of tokens in any order.
func addressLines(r *rand.Rand) (lines []string) {
	tokens := []string{"a", "b c", "\"q\"", "\"q", "\\", "<", ">", "@", ",", ":", ";", ".", "(c)", "(", ")", "[1]", "[", "]", " ", "\t", "=?x?Q?y?=", "\xe4", "\x00", "\n ", "\r\n ", "a@b", "<a@b>", "/", "=", "*0=", "*1*=", "; n", "; n*"}
	for _, name := range []string{"From", "To", "Sender", "Content-Type", "Content-Disposition", "Content-Language", "Content-Transfer-Encoding", "Subject", "Message-ID"} {
		for range 3 {
			var b strings.Builder
			b.WriteString(name + ": ")
			if strings.HasPrefix(name, "Content-T") {
				b.WriteString("text/plain; ")
			}
			for range r.IntN(12) {
				b.WriteString(tokens[r.IntN(len(tokens))])
			}
			lines = append(lines, b.String())
		}
	}
	return lines
}
