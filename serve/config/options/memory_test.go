package options

import (
	"strings"
	"testing"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
)

func TestTemplatesAreTheSameHoweverOftenTheyAreAskedFor(t *testing.T) {
	for range 2 {
		for _, c := range []struct {
			text  string
			place variable.Place
			want  string
		}{
			{"mail/%u", variable.InStorage, "mail/%{user}"},
			{"plain", variable.InStorage, "plain"},
		} {
			if got := newTemplate(c.text, conf.V23, c.place); got.Text != c.want || got.Old {
				t.Errorf("%q: %+v, want %q", c.text, got, c.want)
			}
		}
		if _, err := (Template{Text: "%{unfinished"}).Parse(); err == nil {
			t.Error("an unfinished variable is no error")
		}
	}
}

func TestTheMemoryOfTemplatesHasBounds(t *testing.T) {
	var m memory[string, int]
	length := func(s string) int { return len(s) }
	for i := range 3 * memorySize {
		key := strings.Repeat("a", i%memoryText) + string(rune(i))
		if got := m.of(key, len(key), length); got != len(key) {
			t.Fatalf("%d: %d", i, got)
		}
	}
	long := strings.Repeat("b", memoryText+1)
	if got := m.of(long, len(long), length); got != len(long) || len(m.known) > memorySize {
		t.Errorf("%d for a long one, %d are kept", got, len(m.known))
	}
	if _, kept := m.known[long]; kept {
		t.Error("a long one is kept")
	}
}
