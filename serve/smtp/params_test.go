package smtp

import (
	"errors"
	"reflect"
	"testing"
)

var everything = Extensions{Size: true, Auth: true, DSN: true, SMTPUTF8: true, EightBitMIME: true, BinaryMIME: true}

func TestParametersOfMAIL(t *testing.T) {
	for _, tc := range []struct {
		in   string
		e    Extensions
		want MailParams
		bad  string
		code int
	}{
		{in: " SIZE=100 BODY=8bitmime RET=hdrs ENVID=q+2Bq AUTH=<> SMTPUTF8", e: everything, want: MailParams{Size: 100, Body: "8BITMIME", Ret: "HDRS", EnvID: "q+q", UTF8: true}},
		{in: " AUTH=e+3Dmc2@example.com", e: everything},
		{in: " BODY=BINARYMIME", e: everything, want: MailParams{Body: "BINARYMIME"}},
		{in: " BODY=7BIT", want: MailParams{Body: "7BIT"}},
		{in: "", e: everything},
		{in: " BODY=8BITMIME", bad: "Unsupported mail BODY type", code: 555},
		{in: " SIZE=1", bad: "Unsupported parameters", code: 555},
		{in: " SIZE=99999999999999999999", e: everything, bad: "Unsupported SIZE parameter value", code: 555},
		{in: " SIZE=1 SIZE=2", e: everything, bad: "Duplicate SIZE= parameter", code: 501},
		{in: " SIZE", e: everything, bad: "Missing SIZE= parameter value", code: 501},
		{in: " RET=SOME", e: everything, bad: "Unsupported RET= parameter keyword", code: 555},
		{in: " ENVID=a+zz", e: everything, bad: "Invalid ENVID= parameter value: Invalid hexchar after '+' in xtext", code: 501},
		{in: " ENVID=a+0Ab", e: everything, bad: "Invalid ENVID= parameter value: Contains non-printable characters", code: 501},
		{in: " AUTH=+0A", e: everything, bad: "Invalid AUTH= address value: Invalid path: Empty localpart", code: 501},
		{in: " FOO=BAR", e: everything, bad: "Unsupported parameters", code: 555},
	} {
		_, params, err := ParsePath("FROM:<a@b>"+tc.in, "FROM", Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseMail(params, tc.e)
		r, _ := errors.AsType[*Refusal](err)
		switch {
		case tc.bad == "" && (err != nil || got != tc.want):
			t.Errorf("%q: %+v, %v; want %+v", tc.in, got, err, tc.want)
		case tc.bad != "" && (r == nil || r.Text != tc.bad || r.Code != tc.code):
			t.Errorf("%q: %+v, want %d %s", tc.in, r, tc.code, tc.bad)
		}
	}
}

func TestParametersOfRCPT(t *testing.T) {
	for _, tc := range []struct {
		in   string
		e    Extensions
		want RcptParams
		bad  string
		code int
	}{
		{in: " NOTIFY=delay,SUCCESS ORCPT=rfc822;a+2Bb@c", e: everything, want: RcptParams{Notify: []string{"SUCCESS", "DELAY"}, OriginalType: "rfc822", OriginalRecipient: "a+b@c"}},
		{in: " ORCPT=x;y", e: Extensions{OriginalRecipient: true}, want: RcptParams{OriginalType: "x", OriginalRecipient: "y"}},
		{in: " NOTIFY=NEVER", e: everything, want: RcptParams{Notify: []string{"NEVER"}}},
		{in: " NOTIFY=NEVER,DELAY", e: everything, bad: "Invalid NOTIFY= parameter value", code: 501},
		{in: " NOTIFY=,", e: everything, bad: "Invalid NOTIFY= parameter value", code: 501},
		{in: " NOTIFY=FOO", e: everything, bad: "Invalid NOTIFY= parameter value", code: 555},
		{in: " NOTIFY=NEVER", bad: "Unsupported parameters", code: 555},
		{in: " ORCPT=rfc822", e: everything, bad: "Invalid addr-type for ORCPT= parameter", code: 501},
		{in: " ORCPT=;x", e: everything, bad: "Invalid addr-type for ORCPT= parameter", code: 501},
		{in: " ORCPT=rfc822;", e: everything, bad: "Invalid ORCPT= parameter: Empty address value", code: 501},
		{in: " ORCPT=rfc822;a+0Ab", e: everything, bad: "Invalid ORCPT= address value: Contains non-printable characters", code: 501},
		{in: " ORCPT=rfc822;<>", e: everything, bad: "Invalid ORCPT= address value: Invalid RFC822 address", code: 501},
	} {
		_, params, err := ParsePath("TO:<a@b>"+tc.in, "TO", Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRcpt(params, tc.e)
		r, _ := errors.AsType[*Refusal](err)
		switch {
		case tc.bad == "" && (err != nil || !reflect.DeepEqual(got, tc.want)):
			t.Errorf("%q: %+v, %v; want %+v", tc.in, got, err, tc.want)
		case tc.bad != "" && (r == nil || r.Text != tc.bad || r.Code != tc.code):
			t.Errorf("%q: %+v, want %d %s", tc.in, r, tc.code, tc.bad)
		}
	}
}

// What is taken can be written and is read as the same; nothing in it ends a line.
func FuzzParameters(f *testing.F) {
	f.Add(" SIZE=100 BODY=8bitmime RET=hdrs ENVID=q+2Bq AUTH=<> SMTPUTF8")
	f.Add(" NOTIFY=delay,SUCCESS ORCPT=rfc822;a+2Bb@c")
	f.Fuzz(func(t *testing.T, in string) {
		_, params, err := ParsePath("TO:<a@b>"+in, "TO", Options{})
		if err != nil {
			return
		}
		if m, err := ParseMail(params, everything); err == nil {
			if again, err := decodeXtext(EncodeXtext(m.EnvID)); again != m.EnvID || err != nil || !isPrintable(m.EnvID) {
				t.Errorf("%q is %+v", in, m)
			}
		}
		if r, err := ParseRcpt(params, everything); err == nil {
			if again, err := decodeXtext(EncodeXtext(r.OriginalRecipient)); again != r.OriginalRecipient || err != nil || !isPrintable(r.OriginalRecipient) {
				t.Errorf("%q is %+v", in, r)
			}
		}
	})
}
