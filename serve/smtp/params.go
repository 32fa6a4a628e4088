package smtp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Refusal is an answer to parameters that cannot be taken: 501 when they make no sense, 555 when they are not supported
// (RFC 5321 section 4.1.1.11).
type Refusal struct {
	Code int
	Text string
}

func (r *Refusal) Error() string { return r.Text }

func nonsense(format string, args ...any) error { return &Refusal{501, fmt.Sprintf(format, args...)} }
func unsupported(text string) error             { return &Refusal{555, text} }

// Extensions are those that say which parameters there can be.
type Extensions struct {
	Size, Auth, DSN          bool
	OriginalRecipient        bool // ORCPT without the rest of DSN
	SMTPUTF8                 bool
	EightBitMIME, BinaryMIME bool
}

// MailParams are those of MAIL.
type MailParams struct {
	Size  uint64 // 0: not told (RFC 1870)
	Body  string // "", 7BIT, 8BITMIME or BINARYMIME (RFC 6152, RFC 3030)
	Ret   string // "", FULL or HDRS (RFC 3461 section 4.3)
	EnvID string // decoded (RFC 3461 section 4.4)
	UTF8  bool   // RFC 6531
}

// RcptParams are those of RCPT (RFC 3461 section 4.1 and 4.2).
type RcptParams struct {
	Notify            []string // NEVER alone, or of SUCCESS, FAILURE and DELAY
	OriginalType      string   // "" without ORCPT
	OriginalRecipient string   // decoded
}

// ParseMail reads the parameters of MAIL. An error is a *Refusal, with the texts of Dovecot 2.3.19
// (src/lib-smtp/smtp-params.c).
func ParseMail(params []Param, e Extensions) (m MailParams, err error) {
	seen := map[string]bool{}
	for _, p := range params {
		switch {
		case e.Auth && p.Key == "AUTH", p.Key == "BODY", e.DSN && (p.Key == "ENVID" || p.Key == "RET"), e.Size && p.Key == "SIZE":
			if err := once(seen, p); err != nil {
				return m, err
			}
			err = m.set(p, e)
		case e.SMTPUTF8 && p.Key == "SMTPUTF8":
			m.UTF8 = true
		default:
			err = unsupported("Unsupported parameters")
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// once refuses a parameter that was given already, or that has no value.
func once(seen map[string]bool, p Param) error {
	if seen[p.Key] {
		return nonsense("Duplicate %s= parameter", p.Key)
	}
	if seen[p.Key] = true; p.Value == "" {
		return nonsense("Missing %s= parameter value", p.Key)
	}
	return nil
}

func (m *MailParams) set(p Param, e Extensions) (err error) {
	value := strings.ToUpper(p.Value)
	switch p.Key {
	case "AUTH":
		return checkAuth(p.Value)
	case "BODY":
		if value != "7BIT" && !(value == "8BITMIME" && e.EightBitMIME) && !(value == "BINARYMIME" && e.BinaryMIME) {
			return unsupported("Unsupported mail BODY type")
		}
		m.Body = value
	case "RET":
		if value != "FULL" && value != "HDRS" {
			return unsupported("Unsupported RET= parameter keyword")
		}
		m.Ret = value
	case "ENVID":
		if m.EnvID, err = decodeXtext(p.Value); err != nil {
			return nonsense("Invalid ENVID= parameter value: %v", err)
		}
		if !isPrintable(m.EnvID) {
			return nonsense("Invalid ENVID= parameter value: Contains non-printable characters")
		}
	case "SIZE":
		if m.Size, err = strconv.ParseUint(p.Value, 10, 63); err != nil {
			return unsupported("Unsupported SIZE parameter value")
		}
	}
	return nil
}

// checkAuth looks at AUTH= (RFC 4954 section 5), which says nothing that we would believe.
func checkAuth(value string) error {
	text, err := decodeXtext(value)
	if err != nil {
		return nonsense("Invalid AUTH= parameter value: %v", err)
	}
	if text == "<>" {
		return nil
	}
	if _, err := ParseAddress(text, Options{}); err != nil {
		return nonsense("Invalid AUTH= address value: %v", err)
	}
	return nil
}

// ParseRcpt reads the parameters of RCPT, like ParseMail.
func ParseRcpt(params []Param, e Extensions) (r RcptParams, err error) {
	seen := map[string]bool{}
	for _, p := range params {
		switch {
		case e.DSN && p.Key == "NOTIFY":
			if err := once(seen, p); err != nil {
				return r, err
			}
			r.Notify, err = parseNotify(p.Value)
		case (e.DSN || e.OriginalRecipient) && p.Key == "ORCPT":
			if err := once(seen, p); err != nil {
				return r, err
			}
			err = r.setOriginal(p.Value)
		default:
			err = unsupported("Unsupported parameters")
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// parseNotify gives the words in the order of RFC 3461, each once.
func parseNotify(value string) (list []string, err error) {
	given, unknown := map[string]bool{}, false
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		switch word {
		case "":
		case "NEVER", "SUCCESS", "FAILURE", "DELAY":
			given[word] = true
		default:
			unknown = true
		}
	}
	const text = "Invalid NOTIFY= parameter value"
	switch {
	case given["NEVER"] && len(given) > 1, len(given) == 0 && !unknown:
		return nil, nonsense(text)
	case unknown:
		return nil, unsupported(text)
	}
	for _, word := range []string{"NEVER", "SUCCESS", "FAILURE", "DELAY"} {
		if given[word] {
			list = append(list, word)
		}
	}
	return list, nil
}

func (r *RcptParams) setOriginal(value string) (err error) {
	kind, address, ok := strings.Cut(value, ";")
	for i := range len(kind) {
		ok = ok && isAtext(kind[i])
	}
	switch {
	case !ok || kind == "":
		return nonsense("Invalid addr-type for ORCPT= parameter")
	case address == "":
		return nonsense("Invalid ORCPT= parameter: Empty address value")
	}
	r.OriginalType = kind
	if r.OriginalRecipient, err = decodeXtext(address); err != nil {
		return nonsense("Invalid ORCPT= parameter: %v", err)
	}
	if !isPrintable(r.OriginalRecipient) {
		return nonsense("Invalid ORCPT= address value: Contains non-printable characters")
	}
	if strings.EqualFold(kind, "rfc822") {
		if _, err := ParseAddress(r.OriginalRecipient, Options{}); err != nil {
			return nonsense("Invalid ORCPT= address value: Invalid RFC822 address")
		}
	}
	return nil
}

var (
	errHex   = errors.New("Invalid hexchar after '+' in xtext")
	errXtext = errors.New("Invalid character in xtext")
)

// decodeXtext reads RFC 3461 section 4's encoding.
func decodeXtext(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) || strings.ToUpper(s[i+1:i+3]) != s[i+1:i+3] {
				return "", errHex
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", errHex
			}
			b.WriteByte(byte(n))
			i += 2
		case c <= ' ' || c >= 0x7f || c == '=':
			return "", errXtext
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// EncodeXtext writes it.
func EncodeXtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\t' && (c < ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}
