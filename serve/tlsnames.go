package serve

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// tlsVersion reads ssl_min_protocol. Nothing older than TLS 1.0 can be spoken.
func tlsVersion(name string) (uint16, error) {
	switch strings.ToUpper(name) {
	case "", "TLSV1.2":
		return tls.VersionTLS12, nil
	case "TLSV1.3", "LATEST":
		return tls.VersionTLS13, nil
	case "TLSV1.1":
		return tls.VersionTLS11, nil
	case "TLSV1", "ANY", "SSLV3":
		return tls.VersionTLS10, nil
	}
	return 0, &settingError{"ssl_min_protocol", fmt.Errorf("unknown version %q", name)}
}

// opensslNames are OpenSSL's names of the suites that Go has below TLS 1.3; those of TLS 1.3 cannot be chosen.
var opensslNames = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

// cipherSuites reads ssl_cipher_list, a list in OpenSSL's language (ciphers(1)). Suites named in it are the ones that are
// used, if we have any of them; what is forbidden with "!" or "-" is left out; words for groups (ALL, HIGH, kRSA, ECDHE)
// are understood by what they say of the suites that we have. No list, or one of groups alone, is Go's own choice less
// what is forbidden.
func cipherSuites(list string) ([]uint16, error) {
	var chosen, without []string
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		switch {
		case word[0] == '!' || word[0] == '-':
			without = append(without, word[1:])
		case word[0] == '+' || word[0] == '@':
		default:
			chosen = append(chosen, word)
		}
	}
	var suites []uint16
	for _, s := range tls.CipherSuites() {
		name := opensslName(s.ID)
		wanted := name != "" && matches(name, chosen, true)
		if wanted && !matches(name, without, false) {
			suites = append(suites, s.ID)
		}
	}
	for name, id := range opensslNames { // those that Go offers only when asked by name
		if slices.Contains(chosen, name) && !slices.Contains(suites, id) && !matches(name, without, false) {
			suites = append(suites, id)
		}
	}
	if len(suites) == 0 {
		return nil, &settingError{"ssl_cipher_list", fmt.Errorf("none of %q can be used", list)}
	}
	slices.Sort(suites)
	return suites, nil
}

func opensslName(id uint16) string {
	for name, known := range opensslNames {
		if known == id {
			return name
		}
	}
	return ""
}

// matches tells whether any word of a list is the suite or a group that it is in; an empty list matches if none does.
func matches(suite string, words []string, none bool) bool {
	if len(words) == 0 {
		return none
	}
	return slices.ContainsFunc(words, func(w string) bool {
		for part := range strings.SplitSeq(w, "+") {
			if !inGroup(suite, part) {
				return false
			}
		}
		return true
	})
}

func inGroup(suite, group string) bool {
	switch group {
	case suite, "ALL", "DEFAULT", "HIGH":
		return true
	case "TLSv1.2":
		return !strings.HasSuffix(suite, "-SHA")
	case "TLSv1", "TLSv1.0", "SSLv3":
		return strings.HasSuffix(suite, "-SHA")
	case "ECDHE", "EECDH", "kECDHE", "kEECDH":
		return strings.HasPrefix(suite, "ECDHE-")
	case "ECDSA", "aECDSA":
		return strings.Contains(suite, "ECDSA")
	case "RSA", "aRSA":
		return !strings.Contains(suite, "ECDSA")
	case "kRSA":
		return !strings.HasPrefix(suite, "ECDHE-")
	case "AES", "AESGCM", "AES128", "AES256", "CHACHA20":
		return strings.Contains(suite, strings.Replace(group, "AESGCM", "GCM", 1))
	case "SHA", "SHA1":
		return strings.HasSuffix(suite, "-SHA")
	}
	return false
}

// hasWord tells whether a list of words, cut by blanks and commas, has one of them, in any case.
func hasWord(list, word string) bool {
	words := strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' })
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) })
}

// curveIDs reads ssl_curve_list.
func curveIDs(list string) ([]tls.CurveID, error) {
	if list == "" || list == "auto" {
		return nil, nil
	}
	known := map[string]tls.CurveID{"X25519": tls.X25519, "P-256": tls.CurveP256, "PRIME256V1": tls.CurveP256, "SECP256R1": tls.CurveP256,
		"P-384": tls.CurveP384, "SECP384R1": tls.CurveP384, "P-521": tls.CurveP521, "SECP521R1": tls.CurveP521, "X25519MLKEM768": tls.X25519MLKEM768}
	var ids []tls.CurveID
	for word := range strings.SplitSeq(list, ":") {
		if id, ok := known[strings.ToUpper(word)]; ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, &settingError{"ssl_curve_list", fmt.Errorf("none of %q can be used", list)}
	}
	return ids, nil
}
