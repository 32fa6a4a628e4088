package conf

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values that "unlimited" and "infinite" of 2.4 stand for. 2.3 has no words
// for them but knows the numbers.
const (
	UnlimitedUint  = math.MaxUint32
	UnlimitedSize  = math.MaxUint64
	UnlimitedTime  = math.MaxUint32 * time.Second
	MsecsUnlimited = math.MaxUint32 * time.Millisecond
)

// ParseBool accepts yes, y (any case), 1 and no (any case); of V1 only yes and
// no. The error is in Dovecot's words, as all errors of this file are.
func ParseBool(s string, d Dialect) (bool, error) {
	switch {
	case strings.EqualFold(s, "yes"), d != V1 && (s == "y" || s == "Y" || s == "1"):
		return true, nil
	case strings.EqualFold(s, "no"):
		return false, nil
	case d == V1:
		return false, errors.New("Invalid boolean: " + s)
	}
	return false, errors.New("Invalid boolean value: " + s + " (use yes or no)")
}

// FormatBool gives yes or no.
func FormatBool(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

// ParseUint accepts decimal digits up to 4294967295, and "unlimited" in 2.4.
// V1 and Ext read numbers as C's %i does: a leading 0 is octal, 0x is
// hexadecimal, what follows the digits is ignored.
func ParseUint(s string, d Dialect) (uint32, error) {
	if d == V1 || d == Ext {
		return parseC(s)
	}
	if d == V24 && s == "unlimited" {
		return UnlimitedUint, nil
	}
	n, rest, ok := digits(s)
	if ok && rest == "" && n <= math.MaxUint32 {
		return uint32(n), nil
	}
	return 0, errors.New("Invalid number " + s + ": " + numberError(s))
}

// numberError says what is wrong with a number.
func numberError(s string) string {
	bare, minus := strings.CutPrefix(s, "-")
	switch {
	case bare == "" || strings.Trim(bare, "0123456789") != "":
		return "Not a valid number"
	case minus:
		return "Number too small"
	}
	return "Number too large"
}

// parseC reads a number of an old file, which must fit into 31 bits.
func parseC(s string) (uint32, error) {
	t := strings.TrimPrefix(strings.TrimLeft(s, " \t\n\v\f\r"), "+")
	base, set := 10, "0123456789"
	switch {
	case len(t) > 2 && t[0] == '0' && t[1]|0x20 == 'x':
		t, base, set = t[2:], 16, "0123456789abcdefABCDEF"
	case strings.HasPrefix(t, "0"):
		base, set = 8, "01234567"
	}
	t = t[:len(t)-len(strings.TrimLeft(t, set))]
	n, err := strconv.ParseUint(t, base, 31)
	if err != nil {
		return 0, errors.New("Invalid number: " + s)
	}
	return uint32(n), nil
}

// ParseOctal accepts octal digits after a leading 0, else decimal ones: 0600
// and 384 are the same, 600 is not.
func ParseOctal(s string, d Dialect) (uint32, error) {
	if d == V1 || d == Ext || !strings.HasPrefix(s, "0") {
		return ParseUint(s, d)
	}
	n, err := strconv.ParseUint(s, 8, 64)
	if err != nil {
		return 0, errors.New("Invalid number: " + s)
	}
	return uint32(n), nil
}

// FormatOctal gives a 0 and the octal digits; 0 itself becomes 00.
func FormatOctal(v uint32) string { return "0" + strconv.FormatUint(uint64(v), 8) }

// FormatUint gives decimal digits, or "unlimited" in 2.4.
func FormatUint(v uint32, d Dialect) string {
	if d == V24 && v == UnlimitedUint {
		return "unlimited"
	}
	return strconv.FormatUint(uint64(v), 10)
}

// ParsePort accepts 0 to 65535.
func ParsePort(s string) (uint16, error) {
	n, rest, ok := digits(s)
	if !ok || rest != "" || n > math.MaxUint16 {
		return 0, errors.New("Invalid port number " + s)
	}
	return uint16(n), nil
}

// ParseEnum accepts one of the words, in exactly that spelling.
func ParseEnum(s string, words ...string) (string, error) {
	if !slices.Contains(words, s) {
		return "", errors.New("Invalid value: " + s)
	}
	return s, nil
}

// ParseSize accepts digits, blanks and one of b, k, m, g, t in any case, the
// last four with an optional i and an optional b after it. k is 1024 bytes.
// 2.4 also knows "unlimited".
func ParseSize(s string, d Dialect) (uint64, error) {
	if d == V24 && s == "unlimited" {
		return UnlimitedSize, nil
	}
	n, rest, ok := digits(s)
	unit := strings.ToLower(strings.TrimLeft(rest, " "))
	if !ok {
		return 0, errors.New("Invalid size: " + s)
	}
	shift := 0
	if unit != "" {
		shift = 10 * strings.IndexByte("bkmgt", unit[0])
		unit = unit[1:]
	}
	if shift > 0 {
		unit = strings.TrimPrefix(strings.TrimPrefix(unit, "i"), "b")
	}
	switch {
	case shift < 0 || unit != "":
		return 0, errors.New("Invalid size: " + s)
	case n > math.MaxUint64>>shift:
		return 0, errors.New("Size is too large: " + s)
	}
	return n << shift, nil
}

// FormatSize gives the largest unit that divides the size: "1536 k", "2 G",
// "1000 B", "0"; in 2.4 also "unlimited".
func FormatSize(v uint64, d Dialect) string {
	switch {
	case v == 0:
		return "0"
	case v == UnlimitedSize && d == V24:
		return "unlimited"
	}
	unit := 0
	for unit < 4 && v%1024 == 0 {
		v /= 1024
		unit++
	}
	return strconv.FormatUint(v, 10) + " " + "BkMGT"[unit:unit+1]
}

// ParseTime accepts digits, blanks and the beginning of secs, seconds, mins,
// minutes, hours, days or weeks in any case; milliseconds only if they are
// whole seconds; no unit only with 0. The limit is 4294967295 seconds. 2.4
// also knows "infinite" and "unlimited".
func ParseTime(s string, d Dialect) (time.Duration, error) {
	return parseTime(s, d, time.Second)
}

// ParseMsecs is ParseTime for settings that keep milliseconds; the limit is
// 4294967295 of those.
func ParseMsecs(s string, d Dialect) (time.Duration, error) {
	return parseTime(s, d, time.Millisecond)
}

func parseTime(s string, d Dialect, step time.Duration) (time.Duration, error) {
	if d == V24 && (s == "infinite" || s == "unlimited") {
		return math.MaxUint32 * step, nil
	}
	n, rest, ok := digits(s)
	if !ok {
		return 0, errors.New("Invalid time interval: " + s)
	}
	rest = strings.TrimLeft(rest, " ")
	if rest == "" {
		if n != 0 {
			return 0, errors.New("Time interval '" + s + "' is missing units (add e.g. 's' for seconds)")
		}
		return 0, nil
	}
	unit := timeUnit(rest)
	switch {
	case unit == 0:
		return 0, errors.New("Invalid time interval: " + s)
	case unit < step && n%1000 != 0:
		return 0, errors.New("Milliseconds not supported for this setting: " + s)
	case unit < step:
		n, unit = n/1000, step
	}
	if n > math.MaxUint32/uint64(unit/step) {
		return 0, errors.New("Time interval is too large: " + s)
	}
	return time.Duration(n) * unit, nil
}

// timeUnit gives the unit that begins with the given letters, or 0. "m" is
// minutes.
func timeUnit(s string) time.Duration {
	s = strings.ToLower(s)
	for _, u := range []struct {
		words []string
		unit  time.Duration
	}{
		{[]string{"secs", "seconds"}, time.Second},
		{[]string{"mins", "minutes"}, time.Minute},
		{[]string{"msecs", "mseconds", "millisecs", "milliseconds"}, time.Millisecond},
		{[]string{"hours"}, time.Hour},
		{[]string{"days"}, 24 * time.Hour},
		{[]string{"weeks"}, 7 * 24 * time.Hour},
	} {
		for _, w := range u.words {
			if strings.HasPrefix(w, s) {
				return u.unit
			}
		}
	}
	return 0
}

// FormatTime gives the largest unit that divides the time: "90 secs",
// "2 hours", "500 ms", "0"; in 2.4 also "infinite" for UnlimitedTime.
func FormatTime(v time.Duration, d Dialect) string {
	switch {
	case v == 0:
		return "0"
	case d == V24 && v >= UnlimitedTime:
		return "infinite"
	case v%time.Second != 0:
		return strconv.FormatInt(v.Milliseconds(), 10) + " ms"
	}
	n, name := int64(v/time.Second), "secs"
	for _, u := range []struct {
		of   int64
		name string
	}{{60, "mins"}, {60, "hours"}, {24, "days"}, {7, "weeks"}} {
		if n%u.of != 0 {
			break
		}
		n, name = n/u.of, u.name
	}
	return strconv.FormatInt(n, 10) + " " + name
}

// digits takes the decimal number at the start of s. It is not ok if there is
// none or it does not fit.
func digits(s string) (n uint64, rest string, ok bool) {
	rest = strings.TrimLeft(s, "0123456789")
	n, err := strconv.ParseUint(s[:len(s)-len(rest)], 10, 64)
	return n, rest, err == nil
}
