package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

type gen struct {
	seed      uint64
	profile   string
	attMedian float64
	attProb   float64
	maxSize   int
	start     int64
	step      float64
	broken    float64
}

type message struct {
	idx    int
	data   []byte
	date   time.Time // Date header
	idate  time.Time // received
	from   string    // envelope sender
	msgid  string
	flags  string // maildir letters, sorted
	kw     []int
	folder string
	kind   string
}

func (g *gen) msgid(i int) string {
	r := newRng(g.seed, 5, uint64(i))
	switch r.n(4) {
	case 0:
		return fmt.Sprintf("<CA%s+%s@mail.example.com>", r.hex(20), r.hex(6))
	case 1:
		return fmt.Sprintf("<%s.%d.JavaMail.root@app%d.corp.example>", r.hex(10), r.n(1e6), r.n(9))
	case 2:
		return fmt.Sprintf("<%s-%s-%s-%s@uni.example.edu>", r.hex(8), r.hex(4), r.hex(4), r.hex(12))
	}
	return fmt.Sprintf("<DB7PR0%sMB%s@EUR03.prod.example.net>", strings.ToUpper(r.hex(2)), strings.ToUpper(r.hex(24)))
}

// parent of message i or -1: a stateless thread forest
func (g *gen) parent(i int) int {
	r := newRng(g.seed, 6, uint64(i))
	if i == 0 || !r.p(0.55) {
		return -1
	}
	back := 1 + int(r.lognorm(6, 1.2))
	if back > i {
		return -1
	}
	return i - back
}
func (g *gen) subject(i int) string { // of the thread root
	r := newRng(g.seed, 7, uint64(i))
	lang := "en"
	if r.p(0.3) {
		lang = r.pick([]string{"de", "fr", "es", "ru", "el", "he", "ar"})
	}
	v := vocab[lang]
	n := 2 + r.n(8)
	w := make([]string, n)
	for k := range w {
		w[k] = v[r.n(len(v))]
	}
	s := strings.Join(w, " ")
	if r.p(0.07) {
		s = r.pick(cjkUTF8)
	}
	if r.p(0.06) {
		s += " " + r.pick([]string{"🎉", "✅", "🚀", "📎"})
	}
	if r.p(0.10) {
		s = "[" + r.pick([]string{"users", "dev", "announce", "bug-report"}) + "] " + s
	}
	return s
}
func (g *gen) dateOf(i int) time.Time {
	r := newRng(g.seed, 8, uint64(i))
	t := g.start + int64(float64(i)*g.step) + int64(r.n(int(g.step)+3600))
	zones := []int{0, 0, 3600, 7200, -5 * 3600, -8 * 3600, 19800, 32400, 34200}
	z := zones[r.n(len(zones))]
	return time.Unix(t, 0).In(time.FixedZone("", z))
}

const rfcDate = "Mon, 2 Jan 2006 15:04:05 -0700"

func (g *gen) message(i int) *message {
	r := newRng(g.seed, 1, uint64(i))
	m := &message{idx: i, msgid: g.msgid(i), date: g.dateOf(i)}
	m.idate = m.date.Add(time.Duration(1+r.n(90)) * time.Second)
	root, depth := i, 0
	var chain []int
	for p := g.parent(i); p >= 0 && depth < 40; p = g.parent(p) {
		chain = append(chain, p)
		root = p
		depth++
	}
	subj := g.subject(root)
	if depth > 0 {
		subj = r.pick([]string{"Re: ", "Re: ", "RE: ", "Aw: ", "Fwd: "}) + subj
	}
	from := g.person(r.zipf(4000))
	m.from = from.addr
	isList := r.p(0.25)
	if isList {
		m.from = "dev-bounces+owner=" + strconv.Itoa(r.n(999)) + "@lists.example.org"
	}
	var h bytes.Buffer
	hdr := func(f string, a ...any) { fmt.Fprintf(&h, f+"\n", a...) }
	hdr("Return-Path: <%s>", m.from)
	if r.p(0.6) {
		hdr("Delivered-To: owner@example.com")
	}
	// trace
	hops := 1 + int(r.lognorm(2, 0.6))
	if hops > 9 {
		hops = 9
	}
	for k := 0; k < hops; k++ {
		t := m.idate.Add(-time.Duration(k*7) * time.Second).UTC().Format(rfcDate)
		switch r.n(3) {
		case 0:
			hdr("Received: from %s.%s (%s.%s [192.0.2.%d])\n\tby mx%d.example.com (Postfix) with ESMTPS id %s\n\tfor <owner@example.com>; %s (UTC)", r.hex(5), r.pick(domains), r.hex(5), r.pick(domains), r.n(255), r.n(9), strings.ToUpper(r.hex(11)), t)
		case 1:
			hdr("Received: from %s.prod.example.net (2001:db8:%s:%s::%d) by\n %s.prod.example.net (2001:db8:%s::%d) with Microsoft SMTP\n Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\n 15.20.%d.%d; %s", r.hex(12), r.hex(4), r.hex(4), r.n(99), r.hex(12), r.hex(4), r.n(99), r.n(9999), r.n(99), t)
		default:
			hdr("Received: by 2002:a05:%s:%s:: with SMTP id %s%d;\n        %s", r.hex(4), r.hex(4), r.hex(9), r.n(1e9), t)
		}
	}
	dom := from.addr[strings.IndexByte(from.addr, '@')+1:]
	if r.p(0.65) {
		sig := make([]byte, 256)
		r.bytes(sig)
		s := base64.StdEncoding.EncodeToString(sig)
		hdr("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\n        d=%s; s=sel%d; t=%d;\n        h=content-type:subject:message-id:date:from:mime-version:to:from:to:cc:subject\n         :date:message-id:reply-to;\n        bh=%s=;\n        b=%s\n         %s\n         %s\n         %s\n         %s", dom, r.n(2030), m.date.Unix(), r.hex(43), s[:70], s[70:140], s[140:210], s[210:280], s[280:])
		hdr("Authentication-Results: mx.example.com;\n       dkim=pass header.i=@%s header.s=sel1 header.b=%s;\n       spf=pass (example.com: domain of %s designates 192.0.2.%d as permitted sender) smtp.mailfrom=%s;\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=%s", dom, r.hex(8), m.from, r.n(255), m.from, dom)
	}
	if r.p(0.2) {
		for k := 1; k <= 1+r.n(2); k++ {
			sig := make([]byte, 256)
			r.bytes(sig)
			s := base64.StdEncoding.EncodeToString(sig)
			hdr("ARC-Seal: i=%d; a=rsa-sha256; t=%d; cv=none;\n        d=example.net; s=arc-20160816;\n        b=%s\n         %s\n         %s\n         %s\n         %s", k, m.date.Unix(), s[:70], s[70:140], s[140:210], s[210:280], s[280:])
		}
	}
	if r.p(0.4) {
		hdr("X-Spam-Status: No, score=%.1f required=5.0 tests=BAYES_00,DKIM_SIGNED,\n\tDKIM_VALID,HTML_MESSAGE,SPF_PASS autolearn=ham version=3.4.6", -r.f()*3)
		hdr("X-Spam-Checker-Version: SpamAssassin 3.4.6 on mx.example.com")
	}
	// who
	disp := func(p person) string {
		if r.p(0.1) {
			return p.addr
		}
		n := p.name
		if strings.ContainsAny(n, "'.,") || r.p(0.2) {
			if isASCII(n) {
				n = `"` + n + `"`
			}
		}
		return r.hdrText(n) + " <" + p.addr + ">"
	}
	hdr("From: %s", disp(from))
	nto := 1
	if r.p(0.25) {
		nto = 1 + int(r.lognorm(3, 0.9))
		if nto > 60 {
			nto = 60
		}
	}
	tos := []string{"Owner <owner@example.com>"}
	for k := 1; k < nto; k++ {
		tos = append(tos, disp(g.person(r.zipf(4000))))
	}
	hdr("To: %s", strings.Join(tos, ",\n\t"))
	if r.p(0.2) {
		cc := []string{}
		for k := 0; k <= r.n(4); k++ {
			cc = append(cc, disp(g.person(r.zipf(4000))))
		}
		hdr("Cc: %s", strings.Join(cc, ",\n "))
	}
	if r.p(0.1) {
		hdr("Reply-To: %s", disp(g.person(r.zipf(4000))))
	}
	hdr("Subject: %s", foldSubject(r.hdrText(subj)))
	if !r.p(0.004) {
		d := m.date.Format(rfcDate)
		switch r.n(12) {
		case 0:
			d += " (CEST)"
		case 1:
			d = strings.TrimPrefix(d[strings.IndexByte(d, ',')+1:], " ")
		case 2:
			d = m.date.UTC().Format("Mon, 02 Jan 2006 15:04:05") + " GMT"
		}
		hdr("Date: %s", d)
	}
	hdr("%s: %s", r.pick([]string{"Message-ID", "Message-ID", "Message-Id"}), m.msgid)
	if len(chain) > 0 {
		hdr("In-Reply-To: %s", g.msgid(chain[0]))
		refs := []string{}
		for k := len(chain) - 1; k >= 0; k-- {
			if len(refs) < 20 {
				refs = append(refs, g.msgid(chain[k]))
			}
		}
		hdr("References: %s", strings.Join(refs, "\n "))
	}
	if isList {
		hdr("List-Id: Developers <dev.lists.example.org>\nList-Post: <mailto:dev@lists.example.org>\nList-Unsubscribe: <https://lists.example.org/options/dev>,\n <mailto:dev-request@lists.example.org?subject=unsubscribe>\nPrecedence: list")
	}
	if r.p(0.5) {
		hdr("%s: %s", r.pick([]string{"X-Mailer", "User-Agent"}), r.pick([]string{"Mozilla Thunderbird", "Apple Mail (2.3774.300.61.1.2)", "Mutt/2.2.9 (2022-11-12)", "Microsoft Outlook 16.0", "K-9 Mail for Android", "git-send-email 2.39.2"}))
	}
	if r.p(0.25) {
		hdr("Thread-Topic: %s\nThread-Index: A%s==", strings.ReplaceAll(r.hdrText(subj), "\n", ""), r.hex(28))
		hdr("X-MS-Has-Attach:\nX-MS-TNEF-Correlator:\nx-ms-exchange-senderadcheck: 1\nx-ms-exchange-antispam-relay: 0")
		var junk strings.Builder
		for k := 0; k < 6; k++ {
			junk.WriteString("\n " + r.hex(72))
		}
		hdr("x-microsoft-antispam-message-info:%s", junk.String())
	}
	// rare token for searches: one in 1000 by subject header, see body below too
	if i%1000 == 137 {
		hdr("X-Needle: zephyrite-%d", i)
	}

	var p part
	x := r.f()
	small := g.profile == "small"
	textLen := int(r.lognorm(1400, 1.0))
	if textLen < 30 {
		textLen = 30
	}
	if textLen > 200000 {
		textLen = 200000
	}
	htmlLen := int(r.lognorm(9000, 0.9))
	if htmlLen > 400000 {
		htmlLen = 400000
	}
	att := g.attProb
	switch {
	case r.p(g.broken):
		m.kind = "broken"
		m.data = g.brokenMsg(r, h.Bytes(), textLen)
	case small:
		m.kind = "plain"
		p = g.textPart(r, textLen)
	case x < att:
		m.kind = "mixed"
		var body part
		if r.p(0.5) {
			body = g.multi(r, "alternative", "", g.textPart(r, textLen), g.htmlPart(r, htmlLen/2, nil))
		} else {
			body = g.textPart(r, textLen)
		}
		ps := []part{body, g.attPart(r, "")}
		for r.p(0.35) && len(ps) < 9 {
			ps = append(ps, g.attPart(r, ""))
		}
		p = g.multi(r, "mixed", "", ps...)
	case x < att+0.06:
		m.kind = "related"
		var cids []string
		for k := 0; k <= r.n(4); k++ {
			cids = append(cids, "image00"+strconv.Itoa(k)+"."+r.hex(8)+"@"+r.hex(8))
		}
		ps := []part{g.htmlPart(r, htmlLen, cids)}
		for _, c := range cids {
			ps = append(ps, g.attPart(r, c))
		}
		rel := g.multi(r, "related", "type=\"text/html\"", ps...)
		p = g.multi(r, "alternative", "", g.textPart(r, textLen), rel)
	case x < att+0.34:
		m.kind = "alternative"
		p = g.multi(r, "alternative", "", g.textPart(r, textLen/2+200), g.htmlPart(r, htmlLen, nil))
	case x < att+0.42:
		m.kind = "html"
		p = g.htmlPart(r, htmlLen, nil)
	case x < att+0.445:
		m.kind = "calendar"
		ics := fmt.Sprintf("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nPRODID:-//example//cal//EN\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:%s\r\nDTSTAMP:%s\r\nDTSTART:%s\r\nORGANIZER;CN=%s:mailto:%s\r\nSUMMARY:%s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", r.hex(32), m.date.UTC().Format("20060102T150405Z"), m.date.UTC().Add(48*time.Hour).Format("20060102T150405Z"), from.name, from.addr, subj)
		p = g.multi(r, "alternative", "", g.textPart(r, 300), part{[]string{"Content-Type: text/calendar; charset=utf-8; method=REQUEST", "Content-Transfer-Encoding: base64"}, b64([]byte(ics))})
	case x < att+0.46:
		m.kind = "dsn"
		ds := fmt.Sprintf("Reporting-MTA: dns; mx.example.com\nX-Postfix-Queue-ID: %s\nArrival-Date: %s\n\nFinal-Recipient: rfc822; nobody@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n", r.hex(10), m.date.Format(rfcDate))
		orig := fmt.Sprintf("Received: by mx.example.com; %s\nFrom: owner@example.com\nTo: nobody@example.net\nSubject: %s\nMessage-ID: %s\nDate: %s\n\n", m.date.Format(rfcDate), foldSubject(r.hdrText(subj)), g.msgid(i+1000000), m.date.Format(rfcDate))
		p = g.multi(r, "report", "report-type=delivery-status", part{[]string{"Content-Description: Notification", "Content-Type: text/plain; charset=us-ascii"}, []byte("This is the mail system at host mx.example.com.\n\nYour message could not be delivered.\n")},
			part{[]string{"Content-Type: message/delivery-status"}, []byte(ds)},
			part{[]string{"Content-Type: " + r.pick([]string{"text/rfc822-headers", "message/rfc822"})}, []byte(orig)})
	case x < att+0.48:
		m.kind = "signed"
		sig := make([]byte, 400)
		r.bytes(sig)
		if r.p(0.5) {
			p = g.multi(r, "signed", "micalg=pgp-sha512; protocol=\"application/pgp-signature\"", g.textPart(r, textLen),
				part{[]string{"Content-Type: application/pgp-signature; name=\"signature.asc\""}, append(append([]byte("-----BEGIN PGP SIGNATURE-----\n\n"), b64(sig)...), "-----END PGP SIGNATURE-----\n"...)})
		} else {
			big := make([]byte, 3500)
			r.bytes(big)
			p = g.multi(r, "signed", "protocol=\"application/pkcs7-signature\"; micalg=sha-256", g.textPart(r, textLen),
				part{[]string{"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"", "Content-Transfer-Encoding: base64", "Content-Disposition: attachment; filename=\"smime.p7s\""}, b64(big)})
		}
	case x < att+0.50 && i > 0:
		m.kind = "forward"
		inner := (&gen{seed: g.seed + 1, profile: "small", attMedian: g.attMedian, maxSize: g.maxSize, start: g.start, step: g.step}).message(i / 2)
		p = g.multi(r, "mixed", "", g.textPart(r, textLen/3+50), part{[]string{"Content-Type: message/rfc822", "Content-Disposition: attachment"}, inner.data})
	case x < att+0.56:
		m.kind = "patch"
		p = part{[]string{"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"}, append(g.text(r, "en", 400), g.diff(r, textLen*2)...)}
	default:
		m.kind = "plain"
		p = g.textPart(r, textLen)
		if depth > 0 && r.p(0.7) && len(p.hdr) > 1 && !strings.Contains(p.hdr[1], "base64") && !strings.Contains(p.hdr[0], "2022") && !strings.Contains(p.hdr[1], "quoted") {
			q := p.body
			for d := 0; d < depth && d < 4; d++ {
				q = quote(q)
			}
			p.body = append(append([]byte(fmt.Sprintf("On %s, %s wrote:\n", m.date.Format("2006-01-02"), from.addr)), q...), p.body...)
		}
		if r.p(0.01) { // the classic mbox trap
			p.body = append(p.body, "\nFrom what I hear, the answer is no.\n>From here on it is quoted.\nFrom nobody@example.com Sat Jan  3 01:05:34 2004\nnot a new message\n"...)
		}
	}
	if m.data == nil {
		hdr("MIME-Version: 1.0")
		if i%1000 == 421 && len(p.hdr) == 1 || (len(p.hdr) > 1 && i%1000 == 421 && strings.Contains(p.hdr[1], "bit")) {
			if !strings.Contains(p.hdr[0], "multipart") {
				p.body = append(p.body, "the needle word is zephyrite\n"...)
			}
		}
		for _, l := range p.hdr {
			hdr("%s", l)
		}
		h.WriteByte('\n')
		h.Write(p.body)
		m.data = h.Bytes()
	}
	// flags, keywords, folder
	fr := newRng(g.seed, 9, uint64(i))
	var fl []byte
	if fr.p(0.01) {
		fl = append(fl, 'D')
	}
	if fr.p(0.04) {
		fl = append(fl, 'F')
	}
	if fr.p(0.02) {
		fl = append(fl, 'P')
	}
	if fr.p(0.12) {
		fl = append(fl, 'R')
	}
	if fr.p(0.86) {
		fl = append(fl, 'S')
	}
	if fr.p(0.01) {
		fl = append(fl, 'T')
	}
	m.flags = string(fl)
	if fr.p(0.05) {
		m.kw = append(m.kw, fr.zipf(len(keywords)))
		if fr.p(0.3) {
			k := fr.n(len(keywords))
			if k != m.kw[0] {
				m.kw = append(m.kw, k)
				sort.Ints(m.kw)
			}
		}
	}
	m.folder = ""
	y := fr.f()
	for k, f := range folders {
		if y < folderCum[k] {
			m.folder = f
			break
		}
	}
	return m
}

var keywords = []string{"$Forwarded", "NonJunk", "$label1", "Junk", "$label2", "work", "$MDNSent", "$label3"}
var folders = []string{"", "Sent", "Archive.2022", "Archive.2023", "lists.dev", "Trash", "Junk", "Drafts", "Projekte.Gr&APYA3w-e", "clients.acme.invoices"}
var folderCum = []float64{0.45, 0.60, 0.70, 0.80, 0.90, 0.93, 0.95, 0.96, 0.98, 1.0}

func foldSubject(s string) string {
	if strings.Contains(s, "\n") || len(s) < 66 {
		return s
	}
	if k := strings.LastIndexByte(s[:66], ' '); k > 0 {
		return s[:k] + "\n" + s[k:]
	}
	return s
}

func (g *gen) brokenMsg(r *rng, h []byte, n int) []byte {
	var b bytes.Buffer
	b.Write(h)
	switch r.n(12) {
	case 0: // raw 8-bit header
		b.WriteString("X-Name: J\xfcrgen M\xfcller\nX-Utf8: Müller\nContent-Type: text/plain; charset=x-unknown-8bit\n\n")
		b.Write(toSingle("iso-8859-1", string(g.text(r, "de", n))))
	case 1: // multipart with no closing boundary
		b.WriteString("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"open\"\n\n--open\nContent-Type: text/plain\n\n")
		b.Write(g.text(r, "en", n))
		b.WriteString("--open\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n!!!notbase64***\n")
	case 2: // boundary never appears
		b.WriteString("MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=missing\n\n")
		b.Write(g.text(r, "en", n))
	case 3: // header only, no blank line, no final newline
		return bytes.TrimRight(b.Bytes(), "\n")
	case 4: // very long line
		b.WriteString("Content-Type: text/plain\n\n")
		b.Write(bytes.Repeat([]byte("long "), 4000))
		b.WriteByte('\n')
	case 5: // NUL bytes and control characters
		b.WriteString("Content-Type: text/plain\n\nbefore\x00after\x01\x02\x7f\nnext\x00\n")
	case 6: // bare CR and mixed line ends
		b.WriteString("Content-Type: text/plain\n\nline one\r\nline two\rstill two\nline three\r\r\n")
	case 7: // wrong encodings
		b.WriteString("MIME-Version: 1.0\nContent-Type: text/html; charset=\"utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=ZZ=\n=3\n<p>\xff\xfe</p>=")
	case 8: // deep nesting
		for k := 0; k < 40; k++ {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"d%d\"\n\n--d%d\n", k, k)
		}
		b.WriteString("Content-Type: text/plain\n\ndeep\n")
	case 9: // no final newline
		b.WriteString("Content-Type: text/plain\n\n")
		b.Write(bytes.TrimRight(g.text(r, "en", n), "\n"))
	case 10: // header with no colon, empty header names, tab-only continuation
		b.WriteString("this is not a header\n: empty\nX-Fold:\n\t\n  value\nX-Long: " + strings.Repeat("x", 3000) + "\n\nbody\n")
	case 11: // empty body, duplicated single-instance headers
		b.WriteString("Subject: again\nFrom: other@example.net\nDate: not a date\nMessage-ID: broken id\nReferences: <a@b> junk <c@d\n\n")
	}
	return b.Bytes()
}
