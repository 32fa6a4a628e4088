package conf

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// typed are the settings in whose recorded cases a type is shown.
var typed = map[string]func(s string, d Dialect) (string, error){
	"bool": func(s string, d Dialect) (string, error) {
		v, err := ParseBool(s, d)
		return FormatBool(v), err
	},
	"time": func(s string, d Dialect) (string, error) {
		v, err := ParseTime(s, d)
		return FormatTime(v, d), err
	},
	"size": func(s string, d Dialect) (string, error) {
		v, err := ParseSize(s, d)
		return FormatSize(v, d), err
	},
	"uint": func(s string, d Dialect) (string, error) {
		v, err := ParseUint(s, d)
		return FormatUint(v, d), err
	},
	"oct": func(s string, d Dialect) (string, error) {
		v, err := ParseOctal(s, d)
		return FormatOctal(v), err
	},
	"port": func(s string, d Dialect) (string, error) {
		v, err := ParsePort(s)
		return strconv.Itoa(int(v)), err
	},
}

var lastSetting = regexp.MustCompile(`(?m)^\s*\w+ = ?(.*)$`)

// TestRecordedValuesHaveTheRecordedMeaning checks every recorded case of a
// type: the error that Dovecot gives, or how 2.3 prints the value. 2.4 prints
// what was written.
func TestRecordedValuesHaveTheRecordedMeaning(t *testing.T) {
	count := 0
	for _, v := range vectors(t) {
		kind, _, _ := strings.Cut(v.Name, "-")
		check := typed[kind]
		if check == nil || v.dialect == V1 {
			continue
		}
		count++
		all := lastSetting.FindAllStringSubmatch(v.Files["d.conf"], -1)
		written := strings.TrimSpace(all[len(all)-1][1])
		printed, err := check(written, v.dialect)
		switch {
		case err != nil && v.RC == 0:
			t.Errorf("%v %s: %q gave %v, but is accepted", v.dialect, v.Name, written, err)
		case err != nil && !strings.HasSuffix(v.Stderr[0], ": "+err.Error()):
			t.Errorf("%v %s: %q gave %q, recorded %q", v.dialect, v.Name, written, err, v.Stderr)
		case err == nil && len(v.Stderr) > 0 && strings.Contains(v.Stderr[0], "d.conf line"):
			t.Errorf("%v %s: %q is accepted, recorded %q", v.dialect, v.Name, written, v.Stderr)
		case err == nil && v.dialect == V23 && !strings.HasSuffix(v.Stdout, "= "+printed+"\n"):
			t.Errorf("%v %s: %q is printed %q, recorded %q", v.dialect, v.Name, written, printed, v.Stdout)
		}
	}
	if count < 90 {
		t.Errorf("only %d cases found", count)
	}
}

func TestRecordedValuesOf1xHaveTheRecordedMeaning(t *testing.T) {
	for _, v := range vectors(t) {
		if v.dialect != V1 || !strings.HasPrefix(v.Name, "v1-bool") && !strings.HasPrefix(v.Name, "v1-int") {
			continue
		}
		written := lastSetting.FindAllStringSubmatch(v.Files["d.conf"], 2)[1][1]
		var err error
		if strings.HasPrefix(v.Name, "v1-bool") {
			_, err = ParseBool(written, V1)
		} else {
			_, err = ParseUint(written, V1)
		}
		if (err != nil) != (v.RC != 0) || err != nil && !strings.HasSuffix(v.Stderr[0], ": "+err.Error()) {
			t.Errorf("%s: %q gave %v, recorded %q", v.Name, written, err, v.Stderr)
		}
	}
}

func TestMillisecondsAndUnlimitedValues(t *testing.T) {
	for _, c := range []struct {
		in   string
		d    Dialect
		want time.Duration
		bad  string
	}{
		{"500 ms", V23, 500 * time.Millisecond, ""},
		{"2 m", V23, 2 * time.Minute, ""},
		{"1 millisec", V23, time.Millisecond, ""},
		{"4294967295 ms", V23, MsecsUnlimited, ""},
		{"4294968 s", V23, 0, "Time interval is too large: 4294968 s"},
		{"infinite", V24, MsecsUnlimited, ""},
		{"99999999999999999999 s", V23, 0, "Invalid time interval: 99999999999999999999 s"},
		{"", V23, 0, "Invalid time interval: "},
	} {
		got, err := ParseMsecs(c.in, c.d)
		if got != c.want || (err == nil) != (c.bad == "") || err != nil && err.Error() != c.bad {
			t.Errorf("%q: got %v, %v, want %v, %q", c.in, got, err, c.want, c.bad)
		}
	}
	if got := FormatTime(1500*time.Millisecond, V23); got != "1500 ms" {
		t.Errorf("1.5 s is printed %q", got)
	}
	if got := FormatTime(UnlimitedTime, V24) + FormatSize(UnlimitedSize, V24) + FormatUint(UnlimitedUint, V24); got != "infiniteunlimitedunlimited" {
		t.Errorf("unlimited values are printed %q", got)
	}
	for in, want := range map[string]uint32{"0600": 0o600, "10 x": 10, "0x1f": 31, "089": 0} {
		if got, err := ParseUint(in, Ext); got != want || err != nil {
			t.Errorf("number %q of an external file: %d, %v, want %d", in, got, err, want)
		}
	}
}
