package courier

import "testing"

func TestNamesOnDiskBecomeThoseThatDovecotFinds(t *testing.T) {
	for _, tc := range []struct {
		name      string
		path      string
		utf8Names bool
		to, why   string
	}{
		{"the inbox", "", false, "", ""},
		{"plain ASCII", ".Sent.2024", false, ".Sent.2024", ""},
		{"valid modified UTF-7", ".Entw&APw-rfe", false, ".Entw&APw-rfe", ""},
		{"UTF-8 of Courier 5", ".Entwürfe.日本語", true, ".Entw&APw-rfe.&ZeVnLIqe-", whyUTF8},
		{"an ampersand of Courier 5", ".R&D", true, ".R&-D", whyUTF8},
		{"modified UTF-7 that Courier 5 took for plain text", ".&AMQ-rger", true, ".&-AMQ-rger", whyUTF8},
		{"a surrogate pair", ".emoji 😀", true, ".emoji &2D3eAA-", whyUTF8},
		{"decomposed characters stay so", ".e\u0301", true, ".e&AwE-", whyUTF8},
		{"a stray ampersand", ".Q&A.x", false, ".Q&-A.x", whyInvalid},
		{"an unterminated run", ".x&AOQ", false, ".x&-AOQ", whyInvalid},
		{"encoded ASCII", ".&AEE-", false, ".A", whyInvalid},
		{"an encoded separator stays text", ".a&AC4-b", false, ".a&-AC4-b", whyInvalid},
		{"two runs where one would do", ".&APw-&APw-", false, ".&APwA,A-", whyInvalid},
		{"raw UTF-8 in a tree of Courier 4", ".Grün", false, ".Gr&APw-n", whyInvalid},
		{"raw Latin-1", ".Gr\xfcn", false, ".Gr&APw-n", whyBytes},
		{"raw Latin-1 in a tree of Courier 5", ".Gr\xfcn", true, ".Gr&APw-n", whyBytes},
		{"a folder called like the inbox", ".INBOX", false, ".INBOX_", whyInbox},
		{"and its children in any case", ".inbox.Q&A", false, ".inbox_.Q&-A", whyInbox},
		{"INBOX further down is nothing special", ".a.INBOX", false, ".a.INBOX", ""},
		{"a home directory", ".~x", false, "._~x", whyHome},
		{"control characters", ".a\tb", true, ".a&AAk-b", whyUTF8},
	} {
		to, why := dovecotPath(tc.path, tc.utf8Names)
		if to != tc.to || why != tc.why {
			t.Errorf("%s: %q gives %q (%s), want %q (%s)", tc.name, tc.path, to, why, tc.to, tc.why)
		}
		if again, _ := dovecotPath(to, false); again != to {
			t.Errorf("%s: %q is renamed again to %q", tc.name, to, again)
		}
	}
}

func TestNamesOnDiskForCourier(t *testing.T) {
	for _, tc := range []struct {
		path      string
		utf8Names bool
		want      string
	}{
		{".Entw&APw-rfe.&ZeVnLIqe-", true, ".Entwürfe.日本語"},
		{".Entw&APw-rfe", false, ".Entw&APw-rfe"},
		{".R&-D", true, ".R&D"},
		{".not &valid", true, ".not &valid"},
		{".a&AC8-b", true, ".a&AC8-b"},
		{".emoji &2D3eAA-.&APw-", true, ".emoji &2D3eAA-.ü"},
		{"", true, ""},
	} {
		if got, _ := courierPath(tc.path, tc.utf8Names); got != tc.want {
			t.Errorf("%q gives %q, want %q", tc.path, got, tc.want)
		}
	}
}

func FuzzFolderNames(f *testing.F) {
	for _, seed := range []string{".Q&A", ".Entwürfe", ".x&AOQ", ".&AEE-", ".INBOX", ".a\xffb", ".&2D3eAA-"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, path string, utf8Names bool) {
		if path == "" || path[0] != '.' {
			return
		}
		to, why := dovecotPath(path, utf8Names)
		if (to != path) != (why != "") {
			t.Fatalf("%q gives %q with the reason %q", path, to, why)
		}
		if again, _ := dovecotPath(to, false); again != to {
			t.Fatalf("%q gives %q, which gives %q", path, to, again)
		}
	})
}
