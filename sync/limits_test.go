package sync

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dovetail/formats"
)

// said gives the losses as "what detail mailbox uids", harmless ones in parentheses.
func said(r *Report) []string {
	var out []string
	for _, l := range r.Losses {
		s := strings.Join(strings.Fields(l.What+" "+l.Detail+" "+l.Mailbox+" "+l.UIDs), " ")
		if l.Harmless {
			s = "(" + s + ")"
		}
		out = append(out, s)
	}
	return out
}

func TestWhatATargetCannotHoldIsAnnounced(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits formats.Limits
		fill   func(src *fake)
		want   []string
		exit   int
	}{
		{"GUIDs that were chosen", formats.Limits{NoGUID: true}, func(src *fake) {
			src.deliver("A", "x\n")
			src.deliver("A", "y\n", func(m *formats.Message) { m.DerivedGUID = true })
			src.deliver("A", "z\n")
		}, []string{"guid A 1,3"}, 2},
		{"POP3 UIDLs and order", formats.Limits{NoPOP3: true}, func(src *fake) {
			src.deliver("A", "x\n", func(m *formats.Message) { m.POP3UIDL, m.POP3Order = "u", 1 })
			src.deliver("A", "x\n")
		}, []string{"pop3-order A 1", "pop3-uidl A 1"}, 2},
		{"POP3 UIDLs and order, where POP3 shows them", formats.Limits{POP3InboxOnly: true, POP3OrderProblem: func(*formats.Message) string { return "no" }}, func(src *fake) {
			src.deliver("INBOX", "x\n", func(m *formats.Message) { m.POP3UIDL, m.POP3Order = "u", 1 })
			src.deliver("A", "x\n", func(m *formats.Message) { m.POP3UIDL, m.POP3Order = "u", 1 })
		}, []string{"pop3-order INBOX 1"}, 2},
		{"GUIDs and POP3 UIDLs with a problem", formats.Limits{IDProblem: func(id string) string {
			if strings.Contains(id, " ") {
				return "no spaces"
			}
			return ""
		}}, func(src *fake) {
			src.deliver("A", "x\n", func(m *formats.Message) { m.GUID, m.POP3UIDL = "a b", "c d" })
			src.deliver("A", "x\n", func(m *formats.Message) { m.GUID, m.POP3UIDL = "ab", "cd" })
		}, []string{`guid "a b" A 1`, `pop3-uidl "c d" A 1`}, 2},
		{"save dates, harmless", formats.Limits{NoSaveDate: true}, func(src *fake) {
			src.deliver("A", "x\n", func(m *formats.Message) { m.SaveDate = time.Unix(1, 0) })
		}, []string{"(save-date A 1)"}, 0},
		{"modseqs, harmless", formats.Limits{NoModSeq: true}, func(src *fake) {
			src.deliver("A", "x\n")
		}, []string{"(modseq A)"}, 0},
		{"a line end at the end", formats.Limits{FinalNewline: true}, func(src *fake) {
			src.deliver("A", "x\n\nyes\n")
			src.deliver("A", "x\n\nno")
		}, []string{"final-newline A 2"}, 2},
		{"header fields", formats.Limits{HiddenHeaders: []string{"X-Uid"}}, func(src *fake) {
			src.deliver("A", "Subject: x\nx-UID: 5\n more\n\nX-UID: not here\n")
			src.deliver("A", "Subject: x\n\nX-UID: not here\n")
		}, []string{"header X-Uid A 1"}, 2},
		{"lines of the header with a problem", formats.Limits{HeaderProblem: func(line []byte) string {
			if string(line) == "From me" {
				return "no such line"
			}
			return ""
		}}, func(src *fake) {
			src.deliver("A", "Subject: x\nFrom me\n\nFrom me\n")
			src.deliver("A", "Subject: x\n\nFrom me\n")
		}, []string{`header-line "From me" A 1`}, 2},
		{"keywords with a problem", formats.Limits{KeywordProblem: func(k string) string {
			if strings.HasPrefix(k, "$") {
				return "no dollars"
			}
			return ""
		}}, func(src *fake) {
			src.deliver("A", "x\n", func(m *formats.Message) { m.Keywords = []string{"$one", "two"} })
			src.deliver("A", "x\n", func(m *formats.Message) { m.Keywords = []string{"two"} })
		}, []string{"keyword $one A 1"}, 2},
		{"too many keywords, the rarest", formats.Limits{MaxKeywords: 2}, func(src *fake) {
			for i := range 6 {
				src.deliver("A", "x\n", func(m *formats.Message) { m.Keywords = []string{"often", fmt.Sprint("k", i/3+i/5)}[:1+min(i, 1)] })
			}
		}, []string{"keyword k1 A 4:5", "keyword k2 A 6"}, 2},
		{"names that must change", formats.Limits{NameProblem: func(n string) string {
			if strings.Contains(n, ".") {
				return "no dots"
			}
			return ""
		}, SafeName: func(n string) string { return strings.ReplaceAll(n, ".", "_") }}, func(src *fake) {
			src.deliver("a.b", "x\n")
		}, []string{"name a.b -> a_b a.b"}, 2},
		{"a mailbox that is a file and has children", formats.Limits{NoChildren: true}, func(src *fake) {
			src.deliver("P", "x\n")
			src.deliver("P/c", "x\n")
			src.deliver("Q/c", "x\n")
			src.deliver("Q", "x\n")
			src.expunge("Q", 1)
		}, []string{"name P -> P-messages P", "empty-parent Q"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := newFake(formats.Limits{}), newFake(c.limits)
			c.fill(src)
			dry, err := Mirror(context.Background(), src, formats.DryRun(withProblems(dst), func(string, string, string) {}), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(dst.boxes) != 0 {
				t.Fatalf("the dry run made %q", sortedNames(dst))
			}
			r := mustMirror(t, src, dst, Options{})
			if got := said(r); !slices.Equal(got, c.want) {
				t.Errorf("said %q, want %q", got, c.want)
			}
			if got := said(dry); !slices.Equal(got, c.want) {
				t.Errorf("the dry run said %q, want %q", got, c.want)
			}
			if r.ExitCode() != c.exit || dry.ExitCode() != c.exit {
				t.Errorf("exit codes %d and %d, want %d; aside %+v", r.ExitCode(), dry.ExitCode(), c.exit, r.SetAside)
			}
			steps := dst.steps
			if r := mustMirror(t, src, dst, Options{}); dst.steps != steps {
				t.Errorf("the rerun changed something: %+v", r)
			}
			v, err := Verify(context.Background(), src, dst, Options{})
			if err != nil || len(v.Differences) > 0 {
				t.Errorf("verify: %v, %+v", err, v.Differences)
			}
		})
	}
}

// withProblems gives a fake the functions that real formats always have.
func withProblems(f *fake) *fake {
	if f.limits.NameProblem == nil {
		f.limits.NameProblem = func(string) string { return "" }
	}
	return f
}

func TestNamesNeverCollide(t *testing.T) {
	limits := formats.Limits{
		NameProblem: func(n string) string {
			if strings.ContainsAny(n, ".\u0308") {
				return "not possible"
			}
			return ""
		},
		SafeName: func(n string) string {
			return strings.NewReplacer(".", "_", "u\u0308", "ü").Replace(n)
		},
	}
	none := func(string) bool { return false }
	for _, c := range []struct {
		name  string
		names []string
		kept  map[string]string
		want  map[string]string // "" is refused
	}{
		{"case alone is no collision", []string{"Work", "work"}, nil, map[string]string{"Work": "Work", "work": "work"}},
		{"who need not change stays", []string{"a.b", "a_b"}, nil, map[string]string{"a.b": "", "a_b": "a_b"}},
		{"two that change both stay out", []string{"a.b", "a._b"}, nil, map[string]string{"a.b": "a_b", "a._b": "a__b"}},
		{"two that become the same", []string{"a.u\u0308", "a.ü"}, nil, map[string]string{"a.u\u0308": "", "a.ü": ""}},
		{"another Unicode form", []string{"u\u0308", "ü"}, nil, map[string]string{"u\u0308": "", "ü": "ü"}},
		{"a changed name that differs in case", []string{"A_b", "a.b"}, nil, map[string]string{"A_b": "A_b", "a.b": ""}},
		{"a name given away by an earlier run", []string{"a.b", "a_b"}, map[string]string{"a.b": "a_b"}, map[string]string{"a.b": "a_b", "a_b": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := nameMailboxes(c.names, c.kept, none, limits)
			for name, want := range c.want {
				target := got[name].target
				if got[name].refuse != "" {
					target = ""
				}
				if target != want {
					t.Errorf("%q became %q, want %q (%s)", name, target, want, got[name].refuse)
				}
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"%", "a", true}, {"%", "a/b", false}, {"a/%", "a/b", true}, {"a/%", "a/b/c", false},
		{"a/*", "a/b/c", true}, {"inbox", "INBOX", true}, {"a", "ab", false}, {"*b", "ab", true}, {"", "", true}, {"%/x", "a/x", true},
	} {
		if got := Wanted([]string{c.pattern}, c.name); got != c.want {
			t.Errorf("%q fits %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func TestEveryKindOfLossIsInTheDocumentation(t *testing.T) {
	doc, err := os.ReadFile("sync.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("loss.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`kind\{what: "([^"]+)"(.*)\}`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) == 0 {
		t.Fatal("no kinds found")
	}
	for _, k := range kinds {
		exit := "yes"
		if strings.Contains(k[2], "harmless: true") {
			exit = "no"
		}
		if !regexp.MustCompile(`(?m)^//\t` + k[1] + ` +` + exit + ` `).Match(doc) {
			t.Errorf("the table has no row %s, exit 2: %s", k[1], exit)
		}
	}
}
