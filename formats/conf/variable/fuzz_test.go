package variable

import (
	"errors"
	"strings"
	"testing"
)

func fuzzSeeds(f *testing.F, name string) {
	for _, r := range readRecorded(f, name) {
		f.Add(r.Template)
	}
	f.Add(strings.Repeat("%{if;", 50))
	f.Add("%{" + strings.Repeat("md5:", 100) + "user}")
}

// FuzzTemplate23 wants no panic and bounded results, and of a template that
// To24 converts without loss a template that 2.4 accepts.
func FuzzTemplate23(f *testing.F) {
	fuzzSeeds(f, "variables-2.3.19.jsonl")
	for _, template := range hardTemplates {
		f.Add(template)
	}
	f.Fuzz(func(t *testing.T, template string) {
		if strings.Contains(strings.ToLower(template), "rounds") {
			return // work that was asked for
		}
		old, _ := convertible("alice@example.org")
		text, err := Expand23(template, old)
		if err == nil && len(text) > 100_000+1000*len(template) {
			t.Fatalf("%q gave %d bytes", template, len(text))
		}
		converted, lost := To24(template, InAuth)
		if len(lost) > 0 {
			return
		}
		if _, err := Parse24(converted); err != nil {
			t.Fatalf("%q became %q: %v", template, converted, err)
		}
	})
}

// FuzzTemplate24 wants no panic and bounded results, and of a template that
// To23 converts without loss the same text.
func FuzzTemplate24(f *testing.F) {
	fuzzSeeds(f, "variables-2.4.4.jsonl")
	f.Fuzz(func(t *testing.T, template string) {
		if strings.Contains(strings.ToLower(template), "rounds") || strings.Contains(template, "generate") {
			return // work that was asked for, and what is never the same
		}
		old, modern := convertible("alice@example.org")
		text, err := Expand24(template, modern)
		if err != nil {
			return
		}
		if len(text) > 100*maxValue24 {
			t.Fatalf("%q gave %d bytes", template, len(text))
		}
		converted, lost := To23(template, InAuth)
		if len(lost) > 0 {
			return
		}
		if again, err := Expand23(converted, old); again != text && !errors.Is(err, ErrUnknown) {
			t.Fatalf("%q gives %q, as %q it gives %q (%v)", template, text, converted, again, err)
		}
	})
}
