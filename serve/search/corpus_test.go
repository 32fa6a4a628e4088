package search_test

import (
	"fmt"
	"math/rand"
	"strings"
)

// awkward messages: character sets, encodings, folded and missing fields, odd dates and addresses, threads with loops.
func awkward() (list []string) {
	add := func(text string) { list = append(list, strings.ReplaceAll(text, "\n", "\r\n")) }
	for i, subject := range []string{
		"hello", "Re: hello", "re[2]: hello", "Fwd: hello (fwd)", "[fwd: hello]", "[list] hello", "[list] Re: [other] hello", "Re: [list]", "",
		"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "RE: =?iso-8859-1?q?Gr=FC=DFe?=", "=?utf-8?b?R3LDvMOfZQ==?=", "=?x-unknown?q?GR=FC=DFE?=", "Gr\xc3\xbc\xc3\x9fe", "Gr\xfc\xdfe",
		"a\n  folded\n\tsubject", "  spaces   inside  ", "FW: fw: Fwd:hello", "Re : hello", "Re [x] : hello", "[a][b] hello", "[a] [b]", "hello (FWD) (fwd)", "=?utf-8?q?Re:?= hello", "Ärger", "ärger", "\xea\xb0\x81", "\xe1\xba\xa5",
	} {
		field := "Subject: " + subject + "\n"
		if subject == "" {
			field = ""
		}
		add(fmt.Sprintf("From: Person %c <person%d@example.org>\nTo: list@example.com, \"Quoted, Name\" <q@example.com>\n%sDate: Mon, %d Jan 2020 10:%02d:00 +0200\nMessage-ID: <s%d@example.org>\n\nbody %d\n", 'z'-i%26, i, field, i+1, i, i, i))
	}
	for _, fields := range []string{
		"From: a@b (comment)\nDate: Thu, 27 Feb 2020 23:30:00 -0500\n", "From: group: a@b, c@d;\nDate: 27 Feb 20 23:30 GMT\n", "From: =?utf-8?q?J=C3=B6rg?= <J@X.org>\nTo: undisclosed-recipients:;\n",
		"From: \"J\\\"org\" <j@x.org>\nCc: A  B <ab@x>\nDate: nonsense\n", "From:\nTo:\nSubject:\n", "From: <@route:a@b>\nBcc: hidden@x.org\nDate: Fri, 30 Feb 2020 10:00:00 +0000\n", "From: a.b.c\nDate: Sat, 29 Feb 2020 24:00:00 +0000\n",
		"FROM: UPPER@EXAMPLE.ORG\nX-Odd : value with space\nX-Odd: second\n", "no colon here\nSubject: after a line without colon\n", "From: Anna\n Folded <anna@x.org>\nX-Long: one\n two\n\tthree\n", "Date: Mon, 02 Mar 2020 00:00:00 +1400\nFrom: ann o'neil <o@x>\n",
		"From: nobody\nReceived: from a\n\tby b; date\nReceived: from c\n",
	} {
		add(fields + "\nsome text\n")
	}
	for _, body := range []string{
		"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nStra=DFe und K=E4se, soft=\nline\n",
		"Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\nU3RyYcOfZSB1bmQgS8Okc2UK\n",
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nStra\xc3\x9fe und K\xc3\xa4se \xff invalid\n",
		"Content-Type: application/octet-stream\n\nsecret attachment\n", "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nc2VjcmV0Cg==\n",
		"Content-Type: text/plain; charset=x-none\n\nunknown charset stra\xdfe\n", "Content-Transfer-Encoding: x-uuencode\n\nunknown encoding\n",
		"Content-Type: text/html\n\n<b>bo</b>ld &amp; more\n", "Content-Type: TEXT/PLAIN; CHARSET=ISO-2022-JP\n\n\x1b$B$\"$$\x1b(B\n", "Content-Type: text/plain; charset=utf-7\n\n+AOQ-rger\n",
		"Content-Type: multipart/mixed; boundary=b\n\npreamble words\n--b\nContent-Type: text/plain\n\nfirst part\n--b\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\nX-Part: parthdr\n\nsecond =E4 part\n--b\nContent-Type: image/png\n\nimagewords\n--b--\nepilogue words\n",
		"Content-Type: multipart/mixed; boundary=\"o\"\n\n--o\nContent-Type: message/rfc822\n\nSubject: inner subject\nFrom: inner@x\n\ninner body\n--o\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mta\n--o--\n",
		"Content-Type: multipart/alternative; boundary=x\n\nnever begins\n", "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: digested\n\nin digest\n--d--\n",
		"Content-Type: text\n\njust text\n", "Content-Type: (comment) text/plain (more); charset=\"iso-8859-1\" (x)\n\ncommented stra\xdfe\n", "\nfoo\nbar\n\tbaz\n",
	} {
		add("From: b@example.org\nSubject: body\n" + body)
	}
	threads := []string{
		"Message-ID: <a@x>", "Message-ID: <b@x>\nReferences: <a@x>", "Message-ID: <c@x>\nReferences: <a@x> <b@x>", "Message-ID: <d@x>\nIn-Reply-To: <b@x>", "Message-ID: <a@x>", "Message-ID: <e@x>\nReferences: <missing@x> <gone@x>",
		"Message-ID: <f@x>\nReferences: <missing@x>", "Message-ID: <g@x>\nReferences: <h@x>", "Message-ID: <h@x>\nReferences: <g@x>", "Message-ID: <i@x>\nReferences: <i@x>", "Message-ID: <j@x>\nIn-Reply-To: text <k@x> more",
		"Message-ID: < l @ x >\nReferences: <a@x>\n\t<e@x>", "Message-ID: <\"q\"@x>\nReferences: <(c) a @ x>", "Message-ID: nothing\nReferences: broken> <also", "Message-ID: <m@x>\nReferences: <gone@x> <b@x>", "Message-ID: <n@x>\nReferences: <c@x> <a@x>",
		"Message-ID: <o@x>\nReferences: <p1@x> <p2@x> <p3@x>", "Message-ID: <p@x>\nReferences: <p2@x>", "Message-ID: <p2@x>", "References: <o@x>", "In-Reply-To: <s1@example.org>", "Message-ID: <q@x>\nReferences: <s0@example.org> <s5@example.org>",
	}
	for i, fields := range threads {
		add(fmt.Sprintf("From: t%d@x\nSubject: %sthread %d\nDate: Tue, %d Mar 2020 12:%02d:00 +0000\n%s\n\nthread body\n", i, strings.Repeat("Re: ", i%2), i/4, 1+(i*7)%28, i, fields))
	}
	for i, fields := range []string{
		"Subject:\nMessage-ID: <u1@x>\n", "Subject: \nMessage-ID: <u2@x>\n", "Subject: Re:\nReferences: <u1@x>\n", "Subject: re: \nMessage-ID: <u4@x>\n", "Subject: Fwd:\n", "Subject: [fwd:]\n", "Subject: [fwd: ]\n", "Subject: (fwd)\n", "Subject: Re: Re: re:re: FWD: Fw: chain\n",
		"Subject: =?utf-8?q?Re=3A_chain?=\n", "Subject: =?utf-8?q?Re=3A?= =?utf-8?q?_chain?=\n", "Subject: =?utf-8?b?UmU6IGNoYWlu?= (fwd)\n", "Subject: Re: =?iso-8859-1?q?[x]_chain?=\n", "Subject: CHAIN\n", "Subject: cha\n in\n", "Subject: Re: [a] [b] Re[3]: chain (fwd) (FWD) \n", "Subject: Subject: Re: chain\n", "Subject: ReChain\n",
		"Subject: same date\nMessage-ID: <d1@x>\n", "Subject: same date\nMessage-ID: <d2@x>\n", "Subject: Re: same date\nMessage-ID: <d3@x>\nReferences: <d2@x>\n", "Subject: same date\nMessage-ID: <d1@x>\nReferences: <d3@x>\n", "Subject: first of two\nSubject: second of two\nMessage-ID: <d5@x>\nMessage-ID: <d6@x>\n", "Subject: x\nReferences: <d6@x>\n", "Subject: x\nReferences: <d5@x>\nReferences: <d6@x>\n",
		"Subject: loop\nMessage-ID: <l1@x>\nReferences: <l2@x> <l3@x>\n", "Subject: loop\nMessage-ID: <l2@x>\nReferences: <l3@x> <l1@x>\n", "Subject: loop\nMessage-ID: <l3@x>\nReferences: <l1@x> <l2@x>\n", "Subject: loop\nMessage-ID: <l4@x>\nReferences: <l4@x> <l4@x> <l1@x> <l4@x>\n", "Subject: loop\nIn-Reply-To: <l4@x> <l1@x>\n", "Subject: loop\nReferences:\nIn-Reply-To: <l2@x>\n",
		"From: =?utf-8?q?=C3=84?= <z@x>\nFrom: b <a@x>\nTo: a@x\nTo: b@x, c@x\nCc: c@x\nCc: d@x\nBcc: e@x\nBcc: f@x\n", "To: " + strings.Repeat("somebody <some.body@example.org>, ", 400) + "last@example.net\n",
	} {
		date := "Date: Sun, 1 Mar 2020 12:00:00 +0000\n"
		if i%5 == 4 {
			date = "" // the internal date counts
		}
		add("From: o@x\n" + date + fields + "\nodd\n")
	}
	return list
}

var fixedQuestions = []string{
	"SEARCH ALL", "SEARCH NOT ALL", "UID SEARCH 1:5", "SEARCH 3:*", "SEARCH 9999:*", "SEARCH 1,9999:*", "SEARCH NOT 9999:*", "SEARCH UID 9999:*", "SEARCH OR 9999:* 2", "UID SEARCH UID 9999:*,1", "SEARCH UID 5:10,20", "SEARCH NOT 1:20", "SEARCH OR SEEN FLAGGED", "SEARCH KEYWORD work UNSEEN", "SEARCH UNKEYWORD work",
	"SEARCH DRAFT UNDELETED", "SEARCH NEW", "SEARCH OLD", "SEARCH RECENT", "SEARCH NOT (SEEN NOT DELETED)", "SEARCH MODSEQ 5", "SEARCH LARGER 500", "SEARCH SMALLER 300", "SEARCH NOT SMALLER 300 LARGER 350",
	"SEARCH BEFORE 1-Mar-2020", "SEARCH ON 29-Feb-2020", "SEARCH SINCE 15-Apr-2020", "SEARCH SENTBEFORE 10-Jan-2020", "SEARCH SENTON 27-Feb-2020", "SEARCH SENTSINCE 1-Mar-2020", "SEARCH NOT SENTBEFORE 10-Jan-2020", "SEARCH NOT SENTSINCE 1-Mar-2020",
	"SEARCH OLDER 10", "SEARCH YOUNGER 10", "SEARCH HEADER X-Odd \"\"", "SEARCH HEADER X-ODD value", "SEARCH HEADER Subject \"\"", "SEARCH NOT HEADER Subject \"\"", "SEARCH SUBJECT \"\"", "SEARCH FROM \"\"", "SEARCH TO \"q@\"",
	"SEARCH HEADER X-Long \"one two three\"", "SEARCH HEADER Received \"from a by b\"", "SEARCH HEADER From \"Anna Folded\"", "SEARCH FROM \"Anna Folded\"", "SEARCH FROM \"J\\\\\\\"org\"", "SEARCH FROM \"<J@x.org>\"", "SEARCH HEADER From \"<J@x.org>\"",
	"SEARCH FROM \"o'neil\"", "SEARCH FROM \"\\\"ann\"", "SEARCH FROM \"group: \"", "SEARCH FROM MISSING", "SEARCH FROM comment", "SEARCH HEADER FROM comment", "SEARCH CC \"A B\"", "SEARCH BCC hidden", "SEARCH TO recipients",
	"SEARCH CHARSET UTF-8 SUBJECT {8+}\r\nGr\xc3\xbc\xc3\x9fe", "SEARCH CHARSET UTF-8 SUBJECT {6+}\r\n\xc3\xa4rger", "SEARCH CHARSET ISO-8859-1 SUBJECT {5+}\r\nGr\xfc\xdfe", "SEARCH CHARSET X-NONE SUBJECT a", "SEARCH CHARSET UTF-8 SUBJECT {1+}\r\n\xff", "SEARCH CHARSET X-NONE ALL",
	"SEARCH SUBJECT \"spaces inside\"", "SEARCH SUBJECT \"a folded subject\"", "SEARCH HEADER Subject \"a  folded subject\"", "SEARCH BODY \"foo\"", "SEARCH BODY \"softline\"", "SEARCH CHARSET UTF-8 BODY {7+}\r\nstra\xc3\x9fe", "SEARCH CHARSET UTF-8 BODY {5+}\r\nK\xc3\xa4se",
	"SEARCH BODY secret", "SEARCH TEXT secret", "SEARCH BODY preamble", "SEARCH BODY epilogue", "SEARCH BODY imagewords", "SEARCH TEXT parthdr", "SEARCH BODY parthdr", "SEARCH BODY \"inner subject\"", "SEARCH TEXT \"inner subject\"", "SEARCH BODY \"inner body\"", "SEARCH BODY Reporting", "SEARCH BODY digested", "SEARCH TEXT digested", "SEARCH BODY \"in digest\"",
	"SEARCH BODY \"never begins\"", "SEARCH BODY \"just text\"", "SEARCH BODY \"unknown charset\"", "SEARCH BODY \"unknown encoding\"", "SEARCH BODY {8+}\r\nfoo\r\nbar", "SEARCH TEXT \"subject: body\"", "SEARCH TEXT {17+}\r\nbody\r\ncontent-type", "SEARCH BODY \"commented\"", "SEARCH CHARSET UTF-8 BODY {6+}\r\n\xe3\x81\x82\xe3\x81\x84", "SEARCH CHARSET UTF-8 BODY {6+}\r\n\xc3\xa4rger",
	"SEARCH BODY \"\"", "SEARCH TEXT \"\"", "SEARCH OR BODY secret SUBJECT hello", "SEARCH NOT BODY body", "SEARCH BODY bo SUBJECT body NOT TEXT foo", "SEARCH OR (FROM person1 BODY 1) (SEEN NOT TEXT e)", "SEARCH CHARSET UTF-8 TEXT {3+}\r\n\xea\xb0\x81", "SEARCH CHARSET UTF-8 SUBJECT {3+}\r\n\xe1\xba\xa5", "SEARCH SUBJECT a", "SEARCH X-MAILBOX INBOX", "SEARCH X-GUID foo",
	"SORT (ARRIVAL) UTF-8 ALL", "SORT (REVERSE ARRIVAL) UTF-8 ALL", "SORT (DATE) UTF-8 ALL", "SORT (REVERSE DATE) US-ASCII ALL", "SORT (SIZE) UTF-8 ALL", "SORT (REVERSE SIZE SUBJECT) UTF-8 ALL", "SORT (SUBJECT) UTF-8 ALL", "SORT (REVERSE SUBJECT) UTF-8 ALL", "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "SORT (FROM) UTF-8 ALL", "SORT (TO FROM) UTF-8 ALL", "SORT (CC REVERSE SUBJECT SIZE) UTF-8 ALL", "SORT (DISPLAYFROM) UTF-8 ALL", "SORT (DISPLAYTO REVERSE DISPLAYFROM) UTF-8 ALL", "UID SORT (REVERSE FROM DATE) UTF-8 UNSEEN", "SORT (DATE DATE) X-NONE ALL", "SORT (REVERSE REVERSE SIZE) UTF-8 ALL",
	"THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "UID THREAD REFERENCES UTF-8 SEEN", "UID THREAD REFS UTF-8 UNSEEN", "THREAD ORDEREDSUBJECT UTF-8 UNDELETED", "THREAD REFERENCES UTF-8 NOT ALL", "THREAD REFERENCES UTF-8 SUBJECT thread", "THREAD REFS UTF-8 SUBJECT thread", "THREAD REFERENCES UTF-8 UNSEEN",
	"SEARCH SUBJECT chain", "SEARCH SUBJECT \"second of two\"", "SEARCH TO {8+}\r\na@x>\r\n<b", "SEARCH TO {4+}\r\n@x>\r", "SEARCH HEADER Received {10+}\r\ndate\r\nfrom", "SEARCH HEADER Subject {9+}\r\ntwo\r\nseco", "SEARCH SUBJECT {9+}\r\ntwo\r\nseco", "SEARCH HEADER To {8+}\r\na@x\r\nb@x", "SEARCH TO \"b@x\"", "SEARCH TO last@example.net", "SEARCH NOT TO example", "SEARCH CC d@x", "SEARCH BCC f@x", "SEARCH FROM b", "SEARCH CC \"\"", "SEARCH NOT BCC \"\"", "SEARCH TO \"body@example.org>, last\"",
	"THREAD REFERENCES UTF-8 SUBJECT loop", "THREAD REFS UTF-8 SUBJECT loop", "THREAD ORDEREDSUBJECT UTF-8 SUBJECT chain", "THREAD REFERENCES UTF-8 SUBJECT \"same date\"", "SORT (SUBJECT) UTF-8 BODY odd", "SORT (REVERSE SUBJECT REVERSE DATE) UTF-8 BODY odd", "SORT (DATE SUBJECT) UTF-8 BODY odd", "SORT (DISPLAYTO) UTF-8 BODY odd",
}

// questions makes more of them out of what is in the messages.
func questions(r *rand.Rand, mails []string, n uint32, count int) (list []string) {
	piece := func() string {
		for {
			text := mails[r.Intn(len(mails))]
			if len(text) < 12 {
				continue
			}
			from := r.Intn(len(text) - 11)
			word := text[from : from+2+r.Intn(9)]
			if strings.ContainsFunc(word, func(c rune) bool { return c < ' ' || c > '~' }) {
				continue
			}
			word = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word)
			if r.Intn(3) == 0 {
				word = strings.ToUpper(word)
			}
			return `"` + word + `"`
		}
	}
	names := []string{"From", "To", "Subject", "Date", "Message-ID", "Received", "X-Mailer", "Content-Type", "References", "List-Id", "Reply-To"}
	var key func(depth int) string
	key = func(depth int) string {
		day := fmt.Sprintf("%d-%s-%d", 1+r.Intn(28), []string{"Jan", "Feb", "Mar", "Apr", "Sep"}[r.Intn(5)], 1998+r.Intn(24))
		switch k := r.Intn(16); {
		case k == 0 && depth < 3:
			return "OR " + key(depth+1) + " " + key(depth+1)
		case k == 1:
			return "NOT " + key(depth+1)
		case k == 2 && depth < 3:
			return "(" + key(depth+1) + " " + key(depth+1) + ")"
		case k < 6:
			return []string{"BODY ", "TEXT "}[r.Intn(2)] + piece()
		case k < 9:
			return "HEADER " + names[r.Intn(len(names))] + " " + piece()
		case k < 11:
			return []string{"FROM ", "TO ", "SUBJECT ", "CC ", "BCC "}[r.Intn(5)] + piece()
		case k == 11:
			return []string{"SENTBEFORE ", "SENTON ", "SENTSINCE ", "BEFORE ", "SINCE "}[r.Intn(5)] + day
		case k == 12:
			return []string{"LARGER ", "SMALLER "}[r.Intn(2)] + fmt.Sprint(r.Intn(5000))
		case k == 13:
			return []string{"SEEN", "UNFLAGGED", "KEYWORD $Junk", "DELETED"}[r.Intn(4)]
		}
		return fmt.Sprintf("%d:%d", 1+r.Intn(int(n)), 1+r.Intn(int(n)))
	}
	sorts := []string{"ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"}
	for range count {
		switch r.Intn(8) {
		case 0:
			var by []string
			for range 1 + r.Intn(3) {
				by = append(by, []string{"", "REVERSE "}[r.Intn(2)]+sorts[r.Intn(len(sorts))])
			}
			list = append(list, "SORT ("+strings.Join(by, " ")+") UTF-8 "+key(1))
		case 1:
			list = append(list, "UID THREAD "+[]string{"REFERENCES", "REFS", "ORDEREDSUBJECT"}[r.Intn(3)]+" UTF-8 "+key(1))
		default:
			list = append(list, "SEARCH "+key(0)+[]string{"", " " + key(1)}[r.Intn(2)])
		}
	}
	return list
}
