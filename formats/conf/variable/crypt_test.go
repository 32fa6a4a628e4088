package variable

import (
	"strings"
	"testing"
)

const (
	key128 = "000102030405060708090a0b0c0d0e0f"
	iv128  = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
	cbc128 = "ec327dfbd4163be5bbdad4ff6a579665b1779637d8fe643a72089a0945f278a2"
)

// The expected data was made with: openssl enc -aes-128-cbc -K key -iv iv
func TestEncryptedValues(t *testing.T) {
	l := Values(map[string]string{"user": "alice@example.org", "key": key128, "iv": iv128})
	for _, c := range []struct{ template, want, bad string }{
		{"%{user | encrypt(algorithm='aes-128-cbc', key=key, iv=iv)}", iv128 + "$" + cbc128 + "$", ""},
		{"%{user | encrypt(algorithm='AES-128-CBC', key=key, iv=iv, raw=1)}", cbc128, ""},
		{"%{user | encrypt(algorithm='aes-128-ecb', key=key, iv='') | decrypt(algorithm='aes-128-ecb', key=key)}", "alice@example.org", ""},
		{"%{user | encrypt(algorithm='aes-192-ctr', key='secret') | decrypt(algorithm='aes-192-ctr', key='secret')}", "alice@example.org", ""},
		{"%{user | encrypt(key='secret', salt='s', rounds=9, hash='sha1') | decrypt(key='secret', hash='sha1')}", "alice@example.org", ""},
		{"%{user | encrypt(key='secret') | decrypt(key='secret')}", "alice@example.org", ""},
		{"%{user | encrypt(key='secret', raw=1)}", "", "encrypt: In raw format, salt or IV must be given"},
		{"%{user | encrypt(key='secret', salt='a', iv=iv)}", "", "encrypt: Cannot use both salt and iv"},
		{"%{user | encrypt}", "", "encrypt: Encryption key missing"},
		{"%{user | encrypt(key='x', algorithm='rot13')}", "", "encrypt: Invalid cipher rot13"},
		{"%{user | encrypt(key='00', iv=iv, algorithm='aes-128-cbc')}", "", "encrypt: Key length invalid (1 != 16)"},
		{"%{user | decrypt(key='x')}", "", "decrypt: Invalid input format"},
		{"%{literal('s=a,r=1$00$') | decrypt(key='x')}", "", "decrypt: wrong final block length"},
		{"%{literal('s=a,r=99999999$00$') | decrypt(key='x')}", "", "decrypt: Invalid input"},
	} {
		got, err := Expand24(c.template, l)
		if got != c.want || (err == nil) != (c.bad == "") || err != nil && err.Error() != c.bad {
			t.Errorf("%s: got %q, %v, want %q, %q", c.template, got, err, c.want, c.bad)
		}
	}
}

func TestEncryptedValuesOf23(t *testing.T) {
	l := Values(map[string]string{"user": "alice@example.org", "k": key128, "data": iv128 + "$" + cbc128 + "$", "empty": ""})
	for _, c := range []struct{ template, want, bad string }{
		{"%{encrypt;algo=aes-128-cbc,key=%k,iv=" + iv128 + ":user}", iv128 + "$" + cbc128 + "$", ""},
		{"%{encrypt;noiv=yes,algo=aes-128-cbc,key=%k,iv=" + iv128 + ":user}", cbc128, ""},
		{"%{decrypt;algo=aes-128-cbc,key=%k:data}", "alice@example.org", ""},
		{"%{encrypt;algo=aes-128-cbc,key=%k:empty}", "", ""},
		{"%{encrypt;algo=aes-128-cbc,key=00:user}", "", "crypt: Key length invalid (1 != 16)"},
		{"%{decrypt;algo=aes-128-cbc,key=%k:user}", "", "crypt: decrypt: IV missing"},
		{"%{encrypt;format=rot13:user}", "", "Cannot parse hash arguments:'rot13' is not supported format"},
	} {
		got, err := Expand23(c.template, l)
		if got != c.want || (err == nil) != (c.bad == "") || err != nil && err.Error() != c.bad {
			t.Errorf("%s: got %q, %v, want %q, %q", c.template, got, err, c.want, c.bad)
		}
	}
	for _, options := range []string{"algo=aes-128-cbc,format=base64", "algo=aes-128-ctr", "algo=AES-128-CBC"} {
		sealed, err := Expand23("%{encrypt;key=%k,"+options+":user}", l)
		if err != nil || strings.Count(sealed, "$") != 2 {
			t.Errorf("%s: %q, %v", options, sealed, err)
		}
		opened, err := Expand23("%{decrypt;key="+key128+","+options+":x}", Values(map[string]string{"xx": ""}))
		if err == nil {
			t.Errorf("%s: an unknown variable was opened as %q", options, opened)
		}
		opened, err = Expand23("%{decrypt;key="+key128+","+options+":sealed}", Values(map[string]string{"sealed": sealed}))
		if opened != "alice@example.org" || err != nil {
			t.Errorf("%s: %q is opened as %q, %v", options, sealed, opened, err)
		}
	}
}
