package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"dovetail/formats/conf"
)

// Type is the type of a setting in 2.3; each row says what is accepted and how
// doveconf prints it.
type Type string

const (
	Bool   Type = "bool"    // yes, y, 1, no in any case; "yes"
	Uint   Type = "uint"    // 0 to 2^32-1; "7"
	Octal  Type = "octal"   // the same, octal with a leading 0; "0600"
	Time   Type = "time"    // number and unit, whole seconds; the largest unit that divides it: "2 hours"
	TimeMs Type = "time_ms" // the same with milliseconds; "500 ms"
	Size   Type = "size"    // bytes or with B, k, M, G, T, up to 2^64-1; "64 k"
	Port   Type = "port"    // 0 to 65535; "993"
	Enum   Type = "enum"    // one of Choices, in the same case
	String Type = "string"  // anything
	Vars   Type = "vars"    // anything, with % variables
	Map    Type = "map"     // a section that takes any key
)

// accepts says in words what values of a type are; "" for those that take anything.
func (t Type) accepts(choices []string) string {
	switch t {
	case Bool:
		return "yes or no"
	case Uint:
		return "a number from 0 to 4294967295"
	case Octal:
		return "an octal number, as 0600"
	case Time:
		return "a number and a unit: secs, mins, hours, days or weeks, as 30 secs"
	case TimeMs:
		return "a number and a unit: msecs, secs, mins or hours, as 500 msecs"
	case Size:
		return "a number of bytes, or one with a unit: k, M, G or T, as 64 M"
	case Port:
		return "a port from 0 to 65535"
	case Enum:
		return "one of: " + strings.Join(choices, " ")
	}
	return ""
}

// canonical reads a value as Dovecot of the dialect, 1.x or 2.3, does and gives
// it as doveconf 2.3 prints it. Errors are in Dovecot's words.
func (s *Setting) canonical(v string, d conf.Dialect) (string, error) {
	switch s.Type {
	case Bool:
		on, err := conf.ParseBool(v, d)
		return conf.FormatBool(on), err
	case Uint:
		n, err := conf.ParseUint(v, d)
		return strconv.FormatUint(uint64(n), 10), err
	case Octal:
		n, err := conf.ParseOctal(v, d)
		return conf.FormatOctal(n), err
	case Time:
		if d == conf.V1 && isNumber(v) {
			v += "s" // 1.x counted seconds
		}
		t, err := conf.ParseTime(v, conf.V23)
		return conf.FormatTime(t, conf.V23), err
	case TimeMs:
		t, err := conf.ParseMsecs(v, conf.V23)
		return conf.FormatTime(t, conf.V23), err
	case Size:
		n, err := conf.ParseSize(v, conf.V23)
		return conf.FormatSize(n, conf.V23), err
	case Port:
		n, err := conf.ParsePort(v)
		return strconv.Itoa(int(n)), err
	case Enum:
		if !slices.Contains(s.Choices, v) {
			return "", errors.New("Invalid value: " + v)
		}
	}
	return v, nil
}
