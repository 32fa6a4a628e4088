package courier_test

import (
	"fmt"
	"slices"
	"strings"

	"dovetail/convert/courier"
)

func allTraps() []trap {
	return slices.Concat(uidTraps(), trialTraps(), keywordTraps(), popTraps(), nameTraps(), fileTraps(), linkTraps())
}

func uidTraps() []trap {
	with := func(more ...string) []string { return slices.Concat(messages, more) }
	return []trap{{
		name:  "one file has two UIDs",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n5 1.a\n6 3.c\n"),
		shown: map[string]string{"INBOX": `V7 N10: 1 1.a \Seen; 2 2.b; 6 3.c \Flagged`},
		says:  []string{"1.a"},
	}, {
		name:  "two files have one UID",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n2 3.c\n"),
		shown: map[string]string{"INBOX": `V7 N11: 1 1.a \Seen; 2 2.b; 10 3.c \Flagged`},
		says:  []string{"3.c"}, exit: 2,
		notCourier: "it shows one UID for both",
	}, {
		name:  "entries without a file",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n4 gone\n5 2.b\n6 gone.too\n7 3.c\n"),
		shown: map[string]string{"INBOX": `V7 N10: 1 1.a \Seen; 5 2.b; 7 3.c \Flagged`},
		says:  []string{`"stale": 2`},
	}, {
		name:  "the last line is cut off",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n3 3."),
		shown: map[string]string{"INBOX": `V7 N11: 1 1.a \Seen; 2 2.b; 10 3.c \Flagged`},
		says:  []string{"courierimapuiddb"}, exit: 2,
	}, {
		name:  "lines are not in order",
		files: with("courierimapuiddb = 1 7 10\n8 3.c\n1 1.a\n4 2.b\n"),
		shown: map[string]string{"INBOX": `V7 N10: 1 1.a \Seen; 4 2.b; 8 3.c \Flagged`},
	}, {
		name:  "lines that are no entries",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\nx 2.b\n2\n\n0 2.b\n4294967295 3.c\n5 3.c\n"),
		shown: map[string]string{"INBOX": `V7 N11: 1 1.a \Seen; 5 3.c \Flagged; 10 2.b`},
		says:  []string{"courierimapuiddb"}, exit: 2,
		notCourier: "it hides the message with UID 0",
	}, {
		name:       "the next UID is too low",
		files:      with("courierimapuiddb = 1 7 2\n1 1.a\n5 2.b\n"),
		shown:      map[string]string{"INBOX": `V7 N7: 1 1.a \Seen; 5 2.b; 6 3.c \Flagged`},
		notCourier: "it hides the messages from there on",
	}, {
		name:  "UIDVALIDITY is 0",
		files: with("courierimapuiddb = 1 0 10\n1 1.a\n2 2.b\n3 3.c\n"),
		shown: map[string]string{"INBOX": `V? N10: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
		says:  []string{"UIDVALIDITY"}, exit: 2,
		notCourier: "it shows 0",
	}, {
		name:  "UIDVALIDITY is above 32 bits",
		files: with("courierimapuiddb = 1 4294967303 10\n1 1.a\n2 2.b\n3 3.c\n"),
		shown: map[string]string{"INBOX": `V? N10: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
		says:  []string{"UIDVALIDITY"}, exit: 2,
	}, {
		name:  "the list has another version",
		files: with("courierimapuiddb = 2 7 10\n1 1.a\n2 2.b\n3 3.c\n"),
		shown: map[string]string{"INBOX": `V? N4: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
		says:  []string{"courierimapuiddb"}, exit: 2,
	}, {
		name:  "an empty list beside a good one",
		files: with("courierimapuiddb = ", ".Sub/", ".Sub/cur/9.z:2,S", ".Sub/courierimapuiddb = 1 8 77\n50 9.z\n"),
		shown: map[string]string{"INBOX": `V? N4: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`, "Sub": `V8 N77: 50 9.z \Seen`},
		says:  []string{"courierimapuiddb"}, exit: 2,
	}, {
		name:  "an empty folder has a list",
		files: []string{"courierimapuiddb = 1 7 48\n", ".Empty/", ".Empty/courierimapuiddb = 1 9 1001\n3 gone\n"},
		shown: map[string]string{"INBOX": `V7 N48:`, "Empty": `V9 N1001:`},
	}, {
		name:       "messages that nobody numbered, in Courier's order",
		files:      []string{"cur/10.x:2,", "cur/9.y:2,", "cur/9.x:2,", "cur/z:2,", "new/5.n", "courierimapuiddb = 1 7 10\n"},
		shown:      map[string]string{"INBOX": `V7 N15: 10 z; 11 9.x; 12 9.y; 13 10.x; 14 5.n`},
		notCourier: "it moves and numbers new mail together with the rest",
	}}
}

// messages are three that every list names.
var messages = []string{"cur/1.a:2,S", "cur/2.b:2,", "cur/3.c:2,F"}

func trialTraps() []trap {
	with := func(more ...string) []string { return slices.Concat(messages, more) }
	return []trap{{
		name: "a list of Dovecot's that is older",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n3 3.c\n",
			"dovecot-uidlist = 3 V99 N4 Gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n1 :1.a\n2 :2.b\n3 :3.c\n"),
		later: older("dovecot-uidlist"), o: courier.Options{Overwrite: true},
		shown: map[string]string{"INBOX": `V7 N10: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
	}, {
		name: "a list of Dovecot's that is older, and nobody says overwrite",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n3 3.c\n",
			"dovecot-uidlist = 3 V99 N4 Gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n1 :1.a\n2 :2.b\n3 :3.c\n"),
		later: older("dovecot-uidlist"),
		shown: map[string]string{"INBOX": `V99 N4: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
		says:  []string{"--overwrite"}, exit: 2,
		notCourier: "it shows its own",
	}, {
		name: "a list of Dovecot's that is newer stays, whatever --overwrite says",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n3 3.c\n",
			"dovecot-uidlist = 3 V99 N4 Gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n1 :1.a\n2 :2.b\n3 :3.c\n"),
		later: older("courierimapuiddb"), o: courier.Options{Overwrite: true},
		shown: map[string]string{"INBOX": `V99 N4: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
		says:  []string{"newer"}, exit: 2,
		notCourier: "it shows its own",
	}, {
		name: "files of a trial that would win over the new list",
		files: with("courierimapuiddb = 1 7 10\n1 1.a\n2 2.b\n3 3.c\n",
			"dovecot.index = rubbish", "dovecot.index.log = rubbish", "dovecot-uidvalidity = 00000063", "dovecot-uidvalidity.00000063 = "),
		shown: map[string]string{"INBOX": `V7 N10: 1 1.a \Seen; 2 2.b; 3 3.c \Flagged`},
		says:  []string{"dovecot.index"},
	}, {
		name: "names with spaces, quotes, plus signs and 8-bit characters",
		files: []string{"cur/1.a b:2,S", `cur/2."q"'+%:2,`, "cur/3.gr\xc3\xbc\xdf:2,F",
			"courierimapuiddb = 1 7 10\n4 1.a b\n5 2.\"q\"'+%\n6 3.gr\xc3\xbc\xdf\n"},
		shown: map[string]string{"INBOX": `V7 N10: 4 1.a b \Seen; 5 2."q"'+%; 6 3.gr` + "\xc3\xbc\xdf" + ` \Flagged`},
	}, {
		name: "a name with two colons",
		files: []string{"cur/1.a:x:2,S", "cur/2.b:2,", "courierimapuiddb = 1 7 10\n4 1.a:x\n5 2.b\n",
			"courierpop3dsizelist = /2 9 55\n1.a:x:2,S 20 3:55\n2.b:2, 20 4:55\n"},
		shown: map[string]string{"INBOX": `V7 N10: 4 1.a \Seen; 5 2.b`},
		says:  []string{"1.a:x"},
	}}
}

func keywordTraps() []trap {
	base := []string{"cur/1.a:2,S", "cur/2.b:2,", "cur/3.c:2,F", "courierimapuiddb = 1 7 4\n1 1.a\n2 2.b\n3 3.c\n"}
	with := func(more ...string) []string { return slices.Concat(base, more) }
	var forty, list []string
	for i := range 40 {
		forty = append(forty, fmt.Sprintf("kw%02d", i))
		list = append(list, fmt.Sprint(i))
	}
	return []trap{{
		name:  "keywords only in pending updates, no list",
		files: with("courierimapkeywords/1.a = Work\n$Forwarded\n", "courierimapkeywords/.5666666.2.b = Old\n"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen $Forwarded Work; 2 2.b Old; 3 3.c \Flagged`},
	}, {
		name: "of aged updates the youngest counts, a plain one before all, an empty one takes away",
		files: with("courierimapkeywords/:list = One\nTwo\n\n1.a:0\n2.b:0 1\n3.c:1\n",
			"courierimapkeywords/.100.1.a = Wrong\n", "courierimapkeywords/.99999.1.a = Wrong\n", "courierimapkeywords/.100000.1.a = Right\n",
			"courierimapkeywords/.999999.2.b = Wrong\n", "courierimapkeywords/2.b = Plain\n",
			"courierimapkeywords/3.c = ", "courierimapkeywords/.tmp.123 = Wrong\n"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen Right; 2 2.b Plain; 3 3.c \Flagged`},
	}, {
		name:  "indices past the table, lines without colon, names of files that are gone",
		files: with("courierimapkeywords/:list = One\n\n1.a:0 7\nrubbish\ngone:0\n2.b:0\n"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen One; 2 2.b One; 3 3.c \Flagged`},
		says:  []string{":list"}, exit: 2,
	}, {
		name:  "a list of keywords without its last line end",
		files: with("courierimapkeywords/:list = One\nTwo\n\n1.a:0\n2.b:0 1"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen One; 2 2.b One Two; 3 3.c \Flagged`},
		says:  []string{":list"}, exit: 2,
	}, {
		name:  "names that differ in case only are one keyword",
		files: with("courierimapkeywords/:list = Work\n\n1.a:0\n", "courierimapkeywords/2.b = WORK\n"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen Work; 2 2.b Work; 3 3.c \Flagged`},
	}, {
		name:  "more keywords than letters",
		files: with("courierimapkeywords/:list = " + strings.Join(forty, "\n") + "\n\n1.a:" + strings.Join(list, " ") + "\n2.b:39\n3.c:0\n"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen ` + strings.Join(forty, " ") + `; 2 2.b kw39; 3 3.c \Flagged kw00`},
	}, {
		name:  "letters in names that no list explains",
		files: []string{"cur/1.a:2,Sab", "cur/2.b:2,z", "courierimapuiddb = 1 7 3\n1 1.a\n2 2.b\n", "courierimapkeywords/:list = One\n\n2.b:0\n"},
		shown: map[string]string{"INBOX": `V7 N3: 1 1.a \Seen; 2 2.b One`},
	}, {
		name:  "keywords with any characters of an atom",
		files: with("courierimapkeywords/:list = $Forwarded\na.b\nk:v\n!x\n\n1.a:3 2 1 0\n"),
		shown: map[string]string{"INBOX": `V7 N4: 1 1.a \Seen !x $Forwarded a.b k:v; 2 2.b; 3 3.c \Flagged`},
	}}
}
