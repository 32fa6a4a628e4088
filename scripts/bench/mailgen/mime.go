package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

var attachKinds = []struct{ ext, ctype, magic string }{
	{"pdf", "application/pdf", "%PDF-1.6\n%\xe2\xe3\xcf\xd3\n"},
	{"jpg", "image/jpeg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"},
	{"png", "image/png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"},
	{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK\x03\x04\x14\x00\x06\x00"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK\x03\x04\x14\x00\x06\x00"},
	{"zip", "application/zip", "PK\x03\x04\x14\x00\x00\x00"},
	{"bin", "application/octet-stream", "\x7fELF"},
	{"csv", "text/csv; charset=utf-8", "id,date,name,amount\r\n"},
	{"mp3", "audio/mpeg", "ID3\x03\x00\x00"},
}

func (g *gen) attachment(r *rng, size int) (data []byte, name, ctype string) {
	k := attachKinds[r.zipf(len(attachKinds))]
	id := r.u64()
	if r.p(0.25) { // the same file mailed again and again
		id = uint64(r.zipf(500))
		rr := newRng(g.seed, 99, id)
		k = attachKinds[rr.zipf(len(attachKinds))]
		size = int(rr.lognorm(g.attMedian, 1.4))
		if size > g.maxSize {
			size = g.maxSize
		}
	}
	rr := newRng(g.seed, 98, id)
	b := make([]byte, size+len(k.magic))
	copy(b, k.magic)
	rr.bytes(b[len(k.magic):])
	name = rr.pick(vocab["en"]) + "_" + strconv.Itoa(rr.n(1000)) + "." + k.ext
	if rr.p(0.12) {
		name = rr.pick(vocab["de"]) + " " + rr.pick(vocab["fr"]) + "." + k.ext
	}
	return b, name, k.ctype
}
func (r *rng) dispName(name string) (ct, cd string) {
	if isASCII(name) {
		return `name="` + name + `"`, `filename="` + name + `"`
	}
	if r.p(0.5) { // RFC 2231
		var b strings.Builder
		for i := 0; i < len(name); i++ {
			c := name[i]
			if c > 0x20 && c < 0x7f && !strings.ContainsRune("*'%()<>@,;:\\\"/[]?=", rune(c)) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		e := b.String()
		if len(e) > 40 {
			return `name*0*=utf-8''` + e[:30] + ";\n name*1*=" + e[30:], `filename*0*=utf-8''` + e[:30] + ";\n filename*1*=" + e[30:]
		}
		return `name*=utf-8''` + e, `filename*=utf-8''` + e
	}
	w := bEncodeWord("UTF-8", []byte(name))
	return `name="` + w + `"`, `filename="` + w + `"`
}

type part struct {
	hdr  []string
	body []byte
}

func (p part) bytes() []byte {
	var b bytes.Buffer
	for _, h := range p.hdr {
		b.WriteString(h)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.Write(p.body)
	return b.Bytes()
}
func (g *gen) multi(r *rng, sub, extra string, ps ...part) part {
	bd := r.pick([]string{"----=_Part_" + r.hex(10) + "." + r.hex(12), "_000_" + strings.ToUpper(r.hex(32)) + "exchange_", "000000000000" + r.hex(16), "=-" + r.hex(20), "b1_" + r.hex(32)})
	var b bytes.Buffer
	if r.p(0.3) {
		b.WriteString("This is a multi-part message in MIME format.\n")
	}
	for _, p := range ps {
		b.WriteString("--" + bd + "\n")
		b.Write(p.bytes())
		if n := b.Len(); n > 0 && b.Bytes()[n-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	b.WriteString("--" + bd + "--\n")
	if r.p(0.05) {
		b.WriteString("\nepilogue: ignore\n")
	}
	if extra != "" {
		extra = "; " + extra
	}
	return part{[]string{"Content-Type: multipart/" + sub + extra + ";\n\tboundary=\"" + bd + "\""}, b.Bytes()}
}
func (g *gen) textPart(r *rng, n int) part {
	b, cs, te := g.charsetText(r, n)
	h := []string{"Content-Type: text/plain; charset=" + cs}
	if !(te == "7bit" && r.p(0.4)) {
		h = append(h, "Content-Transfer-Encoding: "+te)
	}
	return part{h, b}
}
func (g *gen) htmlPart(r *rng, n int, cids []string) part {
	h := g.html(r, r.pick([]string{"en", "en", "en", "de", "fr", "ru"}), n, cids)
	switch r.n(5) {
	case 0:
		return part{[]string{"Content-Type: text/html; charset=\"utf-8\"", "Content-Transfer-Encoding: base64"}, b64(h)}
	case 1:
		return part{[]string{"Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: 8bit"}, h}
	}
	return part{[]string{"Content-Type: text/html; charset=UTF-8", "Content-Transfer-Encoding: quoted-printable"}, qp(h)}
}
func (g *gen) attPart(r *rng, inline string) part {
	sz := int(r.lognorm(g.attMedian, 1.4))
	if inline != "" {
		sz = int(r.lognorm(g.attMedian/5, 1.0))
	}
	if sz < 40 {
		sz = 40
	}
	if sz > g.maxSize {
		sz = g.maxSize
	}
	d, name, ct := g.attachment(r, sz)
	if inline != "" {
		ct = r.pick([]string{"image/png", "image/jpeg", "image/gif"})
	}
	cn, fn := r.dispName(name)
	h := []string{"Content-Type: " + ct + ";\n\t" + cn, "Content-Transfer-Encoding: base64"}
	if inline != "" {
		h = append(h, "Content-ID: <"+inline+">", "Content-Disposition: inline; "+fn)
	} else {
		h = append(h, "Content-Disposition: attachment; "+fn+fmt.Sprintf(";\n\tsize=%d", len(d)))
	}
	if r.p(0.2) {
		h = append(h, "X-Attachment-Id: f_"+r.hex(9))
	}
	return part{h, b64(d)}
}
