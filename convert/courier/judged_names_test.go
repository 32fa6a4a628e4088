package courier_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// older makes files older than the other lists.
func older(names ...string) func(*testing.T, string) {
	return func(t *testing.T, root string) {
		for _, name := range names {
			when := time.Unix(1550000000, 0)
			if err := os.Chtimes(filepath.Join(root, name), when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func popTraps() []trap {
	files := func(list string) []string {
		return []string{"cur/1.a:2,S", "cur/2.b:2,", "cur/3.c:2,", "courierimapuiddb = 1 7 4\n1 1.a\n2 2.b\n3 3.c\n", "courierpop3dsizelist = " + list}
	}
	shown := map[string]string{"INBOX": `V7 N4: 1 1.a \Seen; 2 2.b; 3 3.c`}
	return []trap{
		{name: "POP3 list without a version", files: files("1.a:2, 20\n2.b:2, 20\n3.c:2, 20\n"), shown: shown, pop: []string{"1.a", "2.b", "3.c"}, only4: true},
		{name: "POP3 list of version 1", files: files("/1 9\n1.a:2, 20 5\n2.b:2,S 20 0\n3.c:2, 20 8\n"), shown: shown, pop: []string{"UID5", "2.b", "UID8"}, only4: true},
		{name: "POP3 list of version 2, in all its forms", files: files("/2 9 55\n1.a:2, 20 0:55\n2.b:2, 20 4:0\n3.c:2, 20 8:55\n"), shown: shown, pop: []string{"1.a", "UID4", "UID8-55"}},
		{name: "POP3 list of version 3", files: files("/3 9 55\n1.a:2, 20 5:55:0\n2.b:2, 20 6:55:1\n3.c:2, 20 8:55:0\n"), shown: shown, pop: []string{"UID5-55", "UID6-55", "UID8-55"}},
		{name: "POP3 list in another order than the UIDs",
			files: []string{"cur/1.a:2,S", "cur/2.b:2,", "cur/3.c:2,", "courierimapuiddb = 1 7 9\n8 1.a\n2 2.b\n3 3.c\n",
				"courierpop3dsizelist = /2 9 55\n2.b:2, 20 6:55\n3.c:2, 20 8:55\n1.a:2, 20 7:55\n"},
			shown: map[string]string{"INBOX": `V7 N9: 2 2.b; 3 3.c; 8 1.a \Seen`}, pop: []string{"UID7-55", "UID6-55", "UID8-55"}},
		{name: "POP3 list with the last line cut off", files: files("/2 9 55\n1.a:2, 20 5:55\n2.b:2, 20 6:55\n3.c:2, 20 8"), shown: shown,
			notCourier: "its new UIDLs are others", pop: []string{"UID5-55", "UID6-55", "UID3-7"}, says: []string{"courierpop3dsizelist"}, exit: 2},
		{name: "POP3 list with lines that are none, one file twice, and files that are gone",
			files: files("/2 9 55\nrubbish\n1.a:2, 20 5:55\n1.a:2, 20 7:55\ngone:2, 20 1:55\n2.b:2, x 6:55\n3.c:2, 20 8:55\n"), shown: shown,
			notCourier: "its new UIDLs are others", pop: []string{"UID7-55", "UID8-55", "UID2-7"}, says: []string{"courierpop3dsizelist"}, exit: 2},
		{name: "two messages with one UIDL", files: files("/2 9 55\n1.a:2, 20 5:55\n2.b:2, 20 5:55\n3.c:2, 20 8:55\n"), shown: shown,
			pop: []string{"UID5-55", "UID5-55", "UID8-55"}, says: []string{"UID5-55"}},
		{name: "UIDLs of names with odd characters",
			files: []string{`cur/1.a "q"'+:2,`, "courierimapuiddb = 1 7 2\n1 1.a \"q\"'+\n", "courierpop3dsizelist = /2 2 55\n1.a \"q\"'+:2,S 20 0:55\n"},
			shown: map[string]string{"INBOX": `V7 N2: 1 1.a "q"'+`}, pop: []string{"1.a+20+22q+22+27+2B"}},
		{name: "a POP3 list and no list of UIDs", files: []string{"cur/1.a:2,", "cur/2.b:2,", "courierpop3dsizelist = /2 9 55\n1.a:2, 20 5:55\n2.b:2, 20 6:55\n"},
			shown: map[string]string{"INBOX": `V? N3: 1 1.a; 2 2.b`}, pop: []string{"UID5-55", "UID6-55"}},
		{name: "a wrong size for files with CRLF", notCourier: "it sends CR CR LF", files: []string{"cur/1.a:2, = Subject: crlf\r\n\r\nbody\r\n", "cur/2.b:2, = Subject: no end\n\nbody",
			"courierimapuiddb = 1 7 3\n1 1.a\n2 2.b\n", "courierpop3dsizelist = /2 9 55\n1.a:2, 28 5:55\n2.b:2, 25 6:55\n"},
			shown: map[string]string{"INBOX": `V7 N3: 1 crlf; 2 no end`}, pop: []string{"UID5-55", "UID6-55"}},
		{name: "a message with NUL bytes", files: []string{"cur/1.a:2, = Subject: nul\n\n\x00\x00\n", "courierimapuiddb = 1 7 3\n2 1.a\n"},
			shown: map[string]string{"INBOX": `V7 N3: 2 nul`}},
	}
}

func nameTraps() []trap {
	inbox := "courierimapuiddb = 1 7 4\n"
	box := func(name, list string) []string {
		return []string{"." + name + "/", "." + name + "/cur/1." + "m:2,", "." + name + "/courierimapuiddb = " + list}
	}
	one := func(v string) string { return "V" + v + " N9: 5 1.m" }
	list := func(v string) string { return "1 " + v + " 9\n5 1.m\n" }
	all := func(lists ...[]string) (files []string) {
		files = append(files, inbox)
		for _, l := range lists {
			files = append(files, l...)
		}
		return files
	}
	return []trap{{
		name:  "Courier 5 keeps names in UTF-8",
		files: append(all(box("Entwürfe.2019", list("11")), box("日本語", list("12"))), "courierimapsubscribed = INBOX\nINBOX.Entwürfe.2019\n"),
		shown: map[string]string{"INBOX": "V7 N4:", "Entwürfe.2019": one("11"), "日本語": one("12")},
		subs:  []string{"INBOX", "Entwürfe.2019"}, says: []string{".Entwürfe.2019"},
	}, {
		name: "Courier 5 and a name with an ampersand", version: 5,
		files: all(box("R&D", list("11"))),
		shown: map[string]string{"INBOX": "V7 N4:", "R&D": one("11")},
	}, {
		name: "names that no server can decode", version: 4,
		files: all(box("Q&A", list("11")), box("x&AOQ", list("12")), box("&AEE-", list("13")), box("caf\xe9", list("14"))),
		shown: map[string]string{"INBOX": "V7 N4:", "Q&A": one("11"), "x&AOQ": one("12"), "A": one("13"), "café": one("14")},
		says:  []string{".Q&A", ".x&AOQ", ".&AEE-", "folder name"}, exit: 2, // clients know them by another name
		notCourier: "it ends the session",
	}, {
		name: "two folders that would get one name", version: 4,
		files:      all(box("Q&A", list("11")), box("Q&-A", list("12"))),
		shown:      map[string]string{"INBOX": "V7 N4:", "Q&A": one("12")},
		notCourier: "it shows one of them twice",
		says:       []string{".Q&A"}, exit: 2,
	}, {
		name: "a folder called INBOX", version: 4,
		files: all(box("INBOX", list("11")), box("INBOX.sub", list("12"))),
		shown: map[string]string{"INBOX": "V7 N4:", "INBOX_": one("11"), "INBOX_.sub": one("12")},
		says:  []string{".INBOX", "folder name"}, exit: 2, notCourier: "it shows INBOX.INBOX",
	}, {
		name: "names with empty parts, and a file that looks like a folder", version: 4,
		files:      append(all(box("a..b", list("11"))), ".x = just a file"),
		shown:      map[string]string{"INBOX": "V7 N4:", "a..b": "cannot be opened"},
		notCourier: "it does not list them",
	}, {
		name: "subscriptions of other namespaces, deleted folders and carriage returns", version: 4,
		files: append(all(box("Sent", list("11"))), "courierimapsubscribed = INBOX.Sent\nshared.bob.Work\n#shared.eve\nINBOX.Gone\nINBOX.cut"),
		shown: map[string]string{"INBOX": "V7 N4:", "Sent": one("11")},
		subs:  []string{"Gone", "Sent", "cut"}, notCourier: "it shows those of other namespaces", says: []string{"shared.bob.Work"}, exit: 2,
	}, {
		name: "maildirsize that is wrong", version: 4,
		files: append(all(box("Sent", list("11"))), "maildirsize = 1000000S,100C\n          1 1\n"),
		shown: map[string]string{"INBOX": "V7 N4:", "Sent": one("11")},
	}, {
		name: "an access list", version: 4,
		files: append(all(box("Sent", list("11"))), ".Sent/courierimapacl = owner aceilrstwx\nadministrators aceilrstwx\nuser=bob@example.com lrs\n-user=mallory r\n"),
		shown: map[string]string{"INBOX": "V7 N4:", "Sent": one("11")},
		after: func(t *testing.T, root string) {
			b, err := os.ReadFile(filepath.Join(root, ".Sent", "dovecot-acl"))
			if err != nil || !strings.Contains(string(b), "user=bob@example.com lrs") || !strings.Contains(string(b), "-user=mallory r") {
				t.Errorf("dovecot-acl %q, %v", b, err)
			}
		},
	}}
}

func fileTraps() []trap {
	return []trap{{
		name:  "one base name in two folders of a mailbox",
		files: []string{"new/1.a", "cur/1.a:2,S", "cur/2.b:2,", "courierimapuiddb = 1 7 4\n1 1.a\n2 2.b\n"},
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen; 2 2.b`}, // Dovecot gives the other a new name later
		says:  []string{"same base name"}, exit: 2, notCourier: "it numbers the other",
	}, {
		name:  "nothing of Courier's",
		files: []string{"cur/1.a:2,S"},
		shown: map[string]string{"INBOX": `V? N2: 1 1.a \Seen`},
		says:  []string{"nothing to convert"},
	}}
}

func linkTraps() []trap {
	base := []string{"cur/1.a:2,S", "courierimapuiddb = 1 7 4\n1 1.a\n"}
	shown := map[string]string{"INBOX": `V7 N4: 1 1.a \Seen`}
	return []trap{{
		name:  "a folder is a link",
		files: append([]string{".Evil -> OUT"}, base...), shown: shown,
		says: []string{".Evil"}, exit: 2, noLogin: true, notCourier: "it follows the link",
		after: func(t *testing.T, root string) {
			if target, err := os.Readlink(filepath.Join(root, ".Evil")); err != nil || target == "" {
				t.Errorf("the link is %q, %v", target, err)
			}
		},
	}, {
		name:  "a message is a link",
		files: append([]string{"cur/2.b:2, -> OUT/secret"}, base...), shown: shown,
		says: []string{"2.b"}, exit: 2, noLogin: true, notCourier: "it follows the link",
	}, {
		name:  "a list of Courier's is a link",
		files: []string{"cur/1.a:2,S", ".Sub/", ".Sub/cur/5.x:2,", ".Sub/courierimapuiddb = 1 9 7\n6 5.x\n", "courierimapuiddb -> OUT/secret"},
		shown: map[string]string{"INBOX": `V? N2: 1 1.a \Seen`, "Sub": "V9 N7: 6 5.x"},
		says:  []string{"courierimapuiddb"}, exit: 2,
	}, {
		name:  "the list to be written is a link",
		files: append([]string{"dovecot-uidlist -> OUT/secret", "dovecot-keywords -> OUT/none"}, base...),
		shown: shown, exit: 2, noLogin: true,
	}, {
		name:  "the subscriptions to be written are a link",
		files: append([]string{"subscriptions -> OUT/secret", "courierimapsubscribed = INBOX\n"}, base...),
		shown: shown, exit: 2, noLogin: true, says: []string{"subscriptions"}, notCourier: "Dovecot gets none",
	}, {
		name:  "the folder of keywords is a link",
		files: append([]string{"courierimapkeywords -> OUT"}, base...), shown: map[string]string{"INBOX": `V? N2: 1 1.a \Seen`},
		says: []string{"courierimapkeywords"}, exit: 2, notCourier: "it reads no keywords",
	}}
}
