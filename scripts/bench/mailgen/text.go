package main

import (
	"bytes"
	"fmt"
	"strings"
)

func (g *gen) sentence(r *rng, lang string) string {
	v := vocab[lang]
	n := 4 + r.n(14)
	w := make([]string, n)
	for i := range w {
		w[i] = v[r.zipf(len(v))]
	}
	s := strings.Join(w, " ")
	if lang == "en" {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return s + r.pick([]string{".", ".", ".", "?", "!", ","})
}

// paragraph text wrapped at 72 (or not wrapped when flowed is false and long is true)
func (g *gen) text(r *rng, lang string, bytesWanted int) []byte {
	var b bytes.Buffer
	wrap := !r.p(0.15)
	for b.Len() < bytesWanted {
		col := 0
		for k := 1 + r.n(5); k > 0; k-- {
			for _, w := range strings.Fields(g.sentence(r, lang)) {
				if wrap && col+len(w) > 71 {
					b.WriteByte('\n')
					col = 0
				} else if col > 0 {
					b.WriteByte(' ')
					col++
				}
				b.WriteString(w)
				col += len(w)
			}
		}
		b.WriteString("\n\n")
	}
	return b.Bytes()
}
func quote(b []byte) []byte {
	var o bytes.Buffer
	for _, l := range bytes.Split(bytes.TrimRight(b, "\n"), []byte("\n")) {
		if len(l) > 0 && l[0] == '>' {
			o.WriteString(">")
		} else {
			o.WriteString("> ")
		}
		o.Write(l)
		o.WriteByte('\n')
	}
	return o.Bytes()
}
func (g *gen) diff(r *rng, n int) []byte {
	var b bytes.Buffer
	b.WriteString("---\n src/" + r.hex(5) + ".c | 12 ++++++------\n 1 file changed\n\n")
	for b.Len() < n {
		f := r.pick(vocab["en"])
		fmt.Fprintf(&b, "diff --git a/src/%s.c b/src/%s.c\nindex %s..%s 100644\n--- a/src/%s.c\n+++ b/src/%s.c\n@@ -%d,7 +%d,8 @@\n", f, f, r.hex(7), r.hex(7), f, f, r.n(900), r.n(900))
		for i := 0; i < 8; i++ {
			fmt.Fprintf(&b, "%s\tif (%s_%s(%s, 0x%s) < 0)\n", r.pick([]string{" ", " ", "+", "-"}), r.pick(vocab["en"]), r.pick(vocab["en"]), r.pick(vocab["en"]), r.hex(4))
		}
	}
	b.WriteString("-- \n2.39.2\n")
	return b.Bytes()
}
func (g *gen) html(r *rng, lang string, n int, cids []string) []byte {
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"><style>\n")
	for i := 0; i < 6+r.n(20); i++ {
		fmt.Fprintf(&b, ".c%s { color: #%s; font-size: %dpx; padding: %dpx; font-family: Arial, Helvetica, sans-serif; }\n", r.hex(4), r.hex(6), 9+r.n(20), r.n(30))
	}
	b.WriteString("</style></head><body bgcolor=\"#ffffff\"><table width=\"600\" cellpadding=\"0\" cellspacing=\"0\">\n")
	for b.Len() < n {
		fmt.Fprintf(&b, "<tr><td class=\"c%s\" style=\"padding:%dpx;border:0\"><p>%s</p><a href=\"https://%s/c/%s?u=%s&amp;m=%d\">%s</a></td></tr>\n",
			r.hex(4), r.n(20), g.sentence(r, lang), r.pick(domains), r.hex(12), r.hex(24), r.n(99999), r.pick(vocab[lang]))
		if len(cids) > 0 && r.p(0.2) {
			fmt.Fprintf(&b, "<img src=\"cid:%s\" width=\"%d\" height=\"%d\" alt=\"\">\n", r.pick(cids), r.n(600), r.n(400))
		}
	}
	b.WriteString("</table></body></html>\n")
	return b.Bytes()
}

// body text in some charset; returns bytes, charset, transfer encoding
func (g *gen) charsetText(r *rng, n int) ([]byte, string, string) {
	x := r.f()
	switch {
	case x < 0.42:
		return g.text(r, "en", n), r.pick([]string{"us-ascii", "us-ascii", "utf-8", "iso-8859-1", "UTF-8; format=flowed"}), "7bit"
	case x < 0.56:
		l := r.pick([]string{"de", "fr", "es"})
		cs := r.pick([]string{"iso-8859-1", "iso-8859-15", "windows-1252"})
		t := toSingle(cs, string(g.text(r, l, n)))
		if r.p(0.7) {
			return qp(t), cs, "quoted-printable"
		}
		return t, cs, "8bit"
	case x < 0.76:
		t := g.text(r, r.pick([]string{"de", "fr", "es", "ru", "el", "he", "ar"}), n)
		switch r.n(3) {
		case 0:
			return qp(t), "utf-8", "quoted-printable"
		case 1:
			return b64(t), "utf-8", "base64"
		}
		return t, "UTF-8", "8bit"
	case x < 0.82:
		cs := r.pick([]string{"windows-1251", "koi8-r"})
		t := toSingle(cs, string(g.text(r, "ru", n)))
		if r.p(0.5) {
			return b64(t), cs, "base64"
		}
		return t, cs, "8bit"
	case x < 0.84:
		if r.p(0.5) {
			return toSingle("iso-8859-7", string(g.text(r, "el", n))), "iso-8859-7", "8bit"
		}
		return qp(toSingle("iso-8859-8", string(g.text(r, "he", n)))), "iso-8859-8-i", "quoted-printable"
	}
	cs := r.pick([]string{"iso-2022-jp", "iso-2022-jp", "shift_jis", "euc-jp", "gb2312", "gb18030", "big5", "euc-kr", "utf-8"})
	set := cjk[cs]
	if cs == "utf-8" {
		set = cjkUTF8
	}
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(r.pick(set))
		if r.p(0.4) {
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	switch {
	case cs == "iso-2022-jp":
		return b.Bytes(), "ISO-2022-JP", "7bit"
	case r.p(0.7):
		return b64(b.Bytes()), cs, "base64"
	}
	return b.Bytes(), cs, "8bit"
}
