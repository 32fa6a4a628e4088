package imapwire

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// reader gives a decoder over what a client sends, and counts how often it was asked to go on.
func reader(input string) (*Decoder, *int) {
	asked := 0
	d := NewDecoder(strings.NewReader(input))
	d.Continue = func() error { asked++; return nil }
	return d, &asked
}

func TestCommands(t *testing.T) {
	for _, tc := range []struct{ name, line, command, args string }{
		{"no arguments", "a NOOP", "NOOP", `null`},
		{"in any case", "a nOoP", "NOOP", `null`},
		{"login with atoms", "a LOGIN bob@example.com pa]ss", "LOGIN", `{"User":"bob@example.com","Password":"pa]ss"}`},
		{"login with quotes", `a LOGIN "bob \"x\\" ""`, "LOGIN", `{"User":"bob \"x\\","Password":""}`},
		{"login with literals", "a LOGIN {3+}\r\nbob {4}\r\npa\r\n", "LOGIN", `{"User":"bob","Password":"pa\r\n"}`},
		{"authenticate with a response", "a AUTHENTICATE plain AGEAYg==", "AUTHENTICATE", `{"Mechanism":"PLAIN","Initial":"AGEAYg==","HasInitial":true}`},
		{"id", `a ID ("name" "x" "version" NIL)`, "ID", `{"Fields":[["name","x"],["version",""]]}`},
		{"id of nothing", `a ID NIL`, "ID", `{"Fields":null}`},
		{"enable", "a ENABLE qresync UTF8=ACCEPT", "ENABLE", `{"Capabilities":["QRESYNC","UTF8=ACCEPT"]}`},
		{"select", `a SELECT "Sent Items"`, "SELECT", `{"Mailbox":"Sent Items","CondStore":false,"QResync":null}`},
		{"select with all of qresync", `a SELECT INBOX (QRESYNC (67890007 20050715194045000 41:211 (1:3 41:43)) CONDSTORE)`, "SELECT",
			`{"Mailbox":"INBOX","CondStore":true,"QResync":{"UIDValidity":67890007,"ModSeq":20050715194045000,"Known":{"Ranges":[{"First":41,"Last":211}],"Saved":false},"Seqs":{"Ranges":[{"First":1,"Last":3}],"Saved":false},"UIDs":{"Ranges":[{"First":41,"Last":43}],"Saved":false}}}`},
		{"create with a use", `a CREATE x (USE (\Sent))`, "CREATE", `{"Name":"x","Uses":["\\Sent"]}`},
		{"rename", "a RENAME a b", "RENAME", `{"From":"a","To":"b"}`},
		{"copy of UIDs", "a UID COPY 1,3:5,* Trash", "UID COPY",
			`{"Set":{"Ranges":[{"First":1,"Last":1},{"First":3,"Last":5},{"First":0,"Last":0}],"Saved":false},"Mailbox":"Trash"}`},
		{"move of what was found", "a MOVE $ x", "MOVE", `{"Set":{"Ranges":null,"Saved":true},"Mailbox":"x"}`},
		{"a range the wrong way round", "a UID EXPUNGE 5:2", "UID EXPUNGE", `{"Set":{"Ranges":[{"First":2,"Last":5}],"Saved":false}}`},
		{"status", "a STATUS x (MESSAGES uidnext)", "STATUS", `{"Mailbox":"x","Items":["MESSAGES","UIDNEXT"]}`},
		{"store", `a STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\Seen work)`, "STORE",
			`{"Set":{"Ranges":[{"First":1,"Last":1}],"Saved":false},"Op":43,"Silent":true,"Flags":["\\Seen","work"],"Unchanged":0,"HasUnchanged":true}`},
		{"store without parentheses", `a STORE 1 FLAGS \Seen work`, "STORE",
			`{"Set":{"Ranges":[{"First":1,"Last":1}],"Saved":false},"Op":61,"Silent":false,"Flags":["\\Seen","work"],"Unchanged":0,"HasUnchanged":false}`},
	} {
		d, _ := reader(tc.line + "\r\n")
		c, err := d.Next()
		if err != nil {
			t.Errorf("%s: %q: %v", tc.name, tc.line, err)
			continue
		}
		args, _ := json.Marshal(c.Args)
		if c.Tag != "a" || c.Name != tc.command || string(args) != tc.args {
			t.Errorf("%s: %q gave %s %s %s\nwant %s %s", tc.name, tc.line, c.Tag, c.Name, args, tc.command, tc.args)
		}
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("%s: after the command: %v", tc.name, err)
		}
	}
}

func TestSyntaxErrorsAreInDovecotsWords(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"a FETCH 1:* (FLAGS", "FETCH: Missing ')'"},
		{"a FETCH x FLAGS", "FETCH: Invalid messageset"},
		{"a FETCH 0 FLAGS", "FETCH: Invalid messageset"},
		{"a FETCH 18446744073709551617 FLAGS", "FETCH: Invalid messageset"},
		{"a FETCH 4294967296 FLAGS", "FETCH: Invalid messageset"},
		{"a FETCH 1 BLAH", "FETCH: Unknown parameter: BLAH"},
		{"a FETCH 1 BODY[MIME]", "FETCH: Invalid section"},
		{"a FETCH 1 BODY[]<0.0>", "FETCH: Invalid partial length"},
		{"a SEARCH BLAH", "SEARCH: Unknown argument BLAH"},
		{"a SEARCH SUBJECT", "SEARCH: Missing parameter for search key (for search key: SUBJECT)"},
		{"a SEARCH SINCE 32-Jan-2020", "SEARCH: Invalid search date parameter"},
		{"a UID BLAH", "UID BLAH: Unknown command"},
		{"a BLAH 1 2 3", "BLAH: Unknown command"},
		{"a STATUS INBOX (FOO)", "STATUS: Invalid status item FOO"},
		{`a CREATE "a`, `CREATE: Missing '"'`},
		{"a NOOP x", "NOOP: Too many arguments"},
		{" ", "Invalid tag"},
		{"a\x00b NOOP", "Invalid tag"},
		{"a LOGIN {99999999999999999999}", "LOGIN: literal size is too large"},
		{"a LOGIN {4294967295}", "LOGIN: Literal size too large"},
		{"a LOGIN x\x00y z", "LOGIN: NUL in command"},
		{"a LOGIN {3+}\r\na\x00b z", "LOGIN: NUL in literal"},
		{"a SEARCH " + strings.Repeat("(", 201) + "ALL" + strings.Repeat(")", 201), "SEARCH: Too much nesting"},
		{"a SEARCH " + strings.Repeat("NOT (", 70000) + "ALL", "SEARCH: Too much nesting"},
		{"a LOGIN " + strings.Repeat("x", MaxLine) + " y", "LOGIN: Command line too long"},
	} {
		d, _ := reader(tc.line + "\r\nb NOOP\r\n")
		_, err := d.Next()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Error() != tc.want {
			t.Errorf("%.80q gave %v, want %s", tc.line, err, tc.want)
			continue
		}
		if c, err := d.Next(); err != nil || c.Tag != "b" {
			t.Errorf("%.80q: the next command is %+v, %v", tc.line, c, err)
		}
	}
}

func TestBytesOfARefusedLiteralAreNeverACommand(t *testing.T) {
	for _, line := range []string{
		"a BLAH {14+}\r\nx LOGOUT\r\n\r\n\r\n z", "a BLAH {70000+}\r\n" + strings.Repeat("x LOGOUT\r\n", 7000) + " z",
		"a LOGIN {50000+}\r\n" + strings.Repeat("x LOGOUT\r\n", 5000) + " {50000+}\r\n" + strings.Repeat("x LOGOUT\r\n", 5000) + " z", "a NOOP {10+}\r\nx LOGOUT\r\n",
		"a FETCH x {10+}\r\nx LOGOUT\r\n {10+}\r\nx LOGOUT\r\n", "{10+}\r\nx LOGOUT\r\n",
		"a APPEND x (\\) {10+}\r\nx LOGOUT\r\n",
	} {
		d, asked := reader(line + "\r\nb NOOP\r\n")
		c, err := d.Next()
		if err == nil && c.Name == "APPEND" {
			_, err = d.NextMessage(true, allow)
		}
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.60q: %v", line, err)
			continue
		}
		if c, err := d.Next(); err != nil || c.Tag != "b" {
			t.Errorf("%.60q: the next command is %+v, %v", line, c, err)
		}
		if *asked != 0 {
			t.Errorf("%.60q: the client was told to go on", line)
		}
	}
}

func TestAllThatMayBeSaidInID(t *testing.T) {
	line := "a ID (" + strings.Repeat(`"`+strings.Repeat("x", 30)+`" "`+strings.Repeat("y", 1024)+`" `, 29) + `"x" {1024+}` + "\r\n" + strings.Repeat("z", 1024) + ")\r\n"
	d, _ := reader(line)
	d.Limit = 2000
	c, err := d.Next()
	if err != nil || len(c.Args.(*ID).Fields) != 30 {
		t.Errorf("%+v, %v", c, err)
	}
	d, _ = reader("a ID (" + strings.Repeat(`"x" "y" `, 10000) + ")\r\n")
	d.Limit = 2000
	if c, err := d.Next(); err == nil {
		t.Errorf("10,000 fields were taken: %.100v", c)
	}
}

func allow(*AppendMessage, uint64) error { return nil }

func TestAnAppendThatNobodyReadsIsPassedOver(t *testing.T) {
	for _, line := range []string{
		"a APPEND x {10+}\r\nx LOGOUT\r\n", "a APPEND x (\\Seen) {10+}\r\nx LOGOUT\r\n {10+}\r\nx LOGOUT\r\n", "a APPEND x", "a APPEND x {10}",
		"a APPEND x CATENATE (URL /y TEXT {10+}\r\nx LOGOUT\r\n)", "a APPEND x CATENATE (TEXT {10+}\r\nx LOGOUT\r\n URL {10+}\r\nx LOGOUT\r\n)",
		"a APPEND x CATENATE (URL /y TEXT {10}",
	} {
		for _, begin := range []int{0, 1, 2} { // what was read of it
			d, asked := reader(line + "\r\nb NOOP\r\n")
			if _, err := d.Next(); err != nil {
				t.Fatal(err)
			}
			if begin > 0 {
				d.NextMessage(true, func(*AppendMessage, uint64) error { return io.ErrShortBuffer })
			}
			if begin > 1 && strings.Contains(line, "(URL") {
				d.NextPart(func(uint64) error { return io.ErrShortBuffer })
			}
			if c, err := d.Next(); err != nil || c.Tag != "b" || *asked != 0 {
				t.Errorf("%.60q, read %d: the next command is %+v, %v; asked %d times", line, begin, c, err, *asked)
			}
		}
	}
}

func TestAppend(t *testing.T) {
	d, asked := reader("a APPEND box (\\Seen x) \"21-Nov-2026 10:00:00 +0100\" {5}\r\nhello {3+}\r\nabc ~{2}\r\n\x00x CATENATE (URL \"/x\" TEXT {2}\r\nhi)\r\nb NOOP\r\n")
	c, err := d.Next()
	if err != nil || c.Args.(*Append).Mailbox != "box" {
		t.Fatalf("%+v, %v", c, err)
	}
	var got []string
	for first := true; ; first = false {
		m, err := d.NextMessage(first, allow)
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			break
		}
		if !m.Catenate {
			text, err := io.ReadAll(m.Literal)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Join(m.Flags, ","), string(text))
			continue
		}
		for {
			p, err := d.NextPart(func(uint64) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if p == nil {
				break
			}
			if p.Text != nil {
				text, _ := io.ReadAll(p.Text)
				p.URL = string(text)
			}
			got = append(got, p.URL)
		}
	}
	if want := `\Seen,x|hello||abc||` + "\x00x|/x|hi"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
	if c, err := d.Next(); err != nil || c.Tag != "b" || *asked != 3 {
		t.Errorf("then %+v, %v; asked %d times", c, err, *asked)
	}
}

func TestAMessageThatIsRefusedIsPassedOver(t *testing.T) {
	full := errors.New("no room")
	for _, size := range []string{"{10}", "{10+}"} {
		input := "a APPEND box " + size + "\r\n"
		if strings.Contains(size, "+") {
			input += "x LOGOUT\r\n {10+}\r\nx LOGOUT\r\n\r\n"
		}
		d, asked := reader(input + "b NOOP\r\n")
		if _, err := d.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.NextMessage(true, func(*AppendMessage, uint64) error { return full }); err != full {
			t.Errorf("%s: %v", size, err)
		}
		if c, err := d.Next(); err != nil || c.Tag != "b" || *asked != 0 {
			t.Errorf("%s: then %+v, %v; asked %d times", size, c, err, *asked)
		}
	}
}

func TestCommandsInSmallPieces(t *testing.T) {
	text := "a UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (From To)]<0.100> PREVIEW (LAZY) UID)\r\nb SEARCH RETURN (COUNT) FROM {3+}\r\nbob\r\n"
	for _, source := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
		d := NewDecoder(source)
		c, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		f := c.Args.(*Fetch)
		if got := "BODY" + string(f.Items[1].Section.Append(nil)); len(f.Items) != 4 || got != "BODY[HEADER.FIELDS (From To)]<0>" || !f.Items[2].Lazy {
			t.Errorf("%+v, %s", f.Items, got)
		}
		c, err = d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if s := c.Args.(*Search); !s.Count || s.Program.Text != "bob" || s.Program.Header != "FROM" {
			t.Errorf("%+v", s)
		}
	}
}

func TestSearchPrograms(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"SEARCH UNSEEN", `{"Op":4,"Keys":[{"Op":5,"Text":"\\Seen"}]}`},
		{"SEARCH OR (SEEN 1:3) NOT FROM bob", `{"Op":3,"Keys":[{"Op":2,"Keys":[{"Op":5,"Text":"\\Seen"},{"Op":8,"Set":"1:3"}]},{"Op":4,"Keys":[{"Op":10,"Header":"FROM","Text":"bob"}]}]}`},
		{`SEARCH CHARSET utf-8 MODSEQ "/flags/\\Seen" all 5 LARGER 10`, `{"Op":2,"Keys":[{"Op":20,"Number":5},{"Op":16,"Number":10}]}`},
		{"SEARCH SENTSINCE 1-Feb-2003", `{"Op":15,"Of":1,"Date":"2003-02-01"}`},
		{"SEARCH UID 5:* $", `{"Op":2,"Keys":[{"Op":9,"Set":"5:*"},{"Op":8,"Set":"$"}]}`},
	} {
		d, _ := reader("a " + tc.line + "\r\n")
		c, err := d.Next()
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		got, _ := json.Marshal(plain(c.Args.(*Search).Program))
		var want any
		if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		wanted, _ := json.Marshal(want)
		if string(got) != string(wanted) {
			t.Errorf("%s gave %s\nwant %s", tc.line, got, wanted)
		}
	}
}

// plain is a key without the fields that are empty.
func plain(k SearchKey) map[string]any {
	m := map[string]any{"Op": k.Op}
	if k.Of != 0 {
		m["Of"] = k.Of
	}
	var keys []any
	for _, sub := range k.Keys {
		keys = append(keys, plain(sub))
	}
	if keys != nil {
		m["Keys"] = keys
	}
	if s := k.Set.String(); s != "" {
		m["Set"] = s
	}
	if k.Header != "" {
		m["Header"] = k.Header
	}
	if k.Text != "" {
		m["Text"] = k.Text
	}
	if k.Number != 0 {
		m["Number"] = k.Number
	}
	if !k.Date.IsZero() {
		m["Date"] = k.Date.Format("2006-01-02")
	}
	return m
}

func FuzzCommands(f *testing.F) {
	for _, seed := range []string{
		"a LOGIN {3+}\r\nbob {4}\r\npass\r\n", "a FETCH 1:*,$ (BODY.PEEK[1.2.HEADER.FIELDS (a \"b\")]<1.2> PREVIEW (LAZY))\r\n",
		"a SEARCH RETURN (MIN PARTIAL 1:5) CHARSET x OR NOT (FROM a) SINCE 1-Jan-2020\r\n", "a SELECT x (QRESYNC (1 2 3:4 (5 6)))\r\n",
		"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *) RETURN (CHILDREN STATUS (MESSAGES))\r\n", "a NOTIFY SET STATUS (SELECTED (MessageNew (UID) FlagChange)) (SUBTREE (a b) NONE)\r\n",
		"a SORT (REVERSE DATE) UTF-8 ALL\r\n", "a APPEND x (\\Seen) {3+}\r\nabc CATENATE (URL x TEXT {1+}\r\na)\r\n", "a STORE 1 (UNCHANGEDSINCE 1) -FLAGS x\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		const mark = "zzz NOOP\r\n"
		d := NewDecoder(strings.NewReader(input + "\r\n" + mark))
		d.Limit = 4096
		d.Continue = func() error { return nil }
		for range 10000 {
			c, err := d.Next()
			if _, ok := err.(*SyntaxError); ok {
				continue
			}
			if err != nil {
				return
			}
			if c.Name == "APPEND" {
				readAppend(d)
			}
		}
		t.Fatalf("%q never ends", input)
	})
}

func readAppend(d *Decoder) {
	grant := func(size uint64) error {
		if size > 100 {
			return errors.New("too much")
		}
		return nil
	}
	for first := true; ; first = false {
		m, err := d.NextMessage(first, func(_ *AppendMessage, size uint64) error { return grant(size) })
		if m == nil || err != nil {
			return
		}
		for m.Catenate {
			if p, err := d.NextPart(grant); p == nil || err != nil {
				break
			}
		}
	}
}

func BenchmarkFetchCommand(b *testing.B) {
	line := []byte("a1234 UID FETCH 1000 (UID FLAGS BODY.PEEK[])\r\n")
	d := NewDecoder(&repeat{line: line})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// repeat gives one line in each read, for ever.
type repeat struct{ line []byte }

func (r *repeat) Read(p []byte) (int, error) { return copy(p, r.line), nil }
