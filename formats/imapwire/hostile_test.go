package imapwire

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// endless gives a text, and then one byte for ever.
type endless struct {
	start string
	read  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.start)
	e.start = e.start[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestWhatIsNotWorthReadingEndsTheConnection(t *testing.T) {
	const limit, skip = 8 << 10, 8 << 10
	for _, tc := range []struct{ name, input, want string }{
		{"a line without an end", "a LOGIN ", tooLongInput},
		{"a tag without an end", "", tooLongInput},
		{"a quoted string without an end", `a LOGIN "`, tooLongInput},
		{"a literal of a gigabyte that is not waited for", "a LOGIN {1000000000+}\r\n", tooLongLiteral},
		{"such a literal as the second argument", "a LOGIN {3+}\r\nbob {1000000000+}\r\n", tooLongLiteral},
		{"such a literal behind an unknown command", "a BLAH {1000000000+}\r\n", tooLongLiteral},
		{"such a literal behind nonsense", "{1000000000+}\r\n", tooLongLiteral},
		{"such a literal behind one that could be dropped", "a BLAH {4000+}\r\n" + strings.Repeat("x", 4000) + " {5000+}\r\n", tooLongLiteral},
		{"the message of an APPEND that is not wanted", "a APPEND x {1000000000+}\r\n", tooLongLiteral},
	} {
		source := &endless{start: tc.input}
		d := NewDecoder(source)
		d.Limit, d.Skip = limit, skip
		c, err := d.Next()
		if err == nil && c.Name == "APPEND" {
			err = d.Abandon()
		}
		e, ok := errors.AsType[*SyntaxError](err)
		if !ok || !e.Fatal || e.Text != tc.want {
			t.Errorf("%s: %v", tc.name, err)
		}
		if source.read > limit+skip+3*bufferSize {
			t.Errorf("%s: %d bytes were read", tc.name, source.read)
		}
	}
}

func TestASmallLiteralThatIsRefusedIsPassedOverUnderALimit(t *testing.T) {
	d, _ := reader("a BLAH {3+}\r\nabc {3}\r\nb " + strings.Repeat("x", 5000) + "\r\nc NOOP\r\n")
	d.Limit, d.Skip = 4000, 4000
	for _, want := range []string{"a", "b"} {
		_, err := d.Next()
		if e, ok := errors.AsType[*SyntaxError](err); !ok || e.Fatal || e.Tag != want {
			t.Fatalf("%s: %v", want, err)
		}
	}
	if c, err := d.Next(); err != nil || c.Tag != "c" {
		t.Errorf("then %+v, %v", c, err)
	}
}

func TestALongLineBetweenCommandsEndsTheConnection(t *testing.T) {
	d := NewDecoder(&endless{})
	d.Skip = 1000
	_, err := d.ReadLine(64)
	if e, ok := errors.AsType[*SyntaxError](err); !ok || !e.Fatal {
		t.Errorf("%v", err)
	}
}

func TestManyAlternativesAreOneKey(t *testing.T) {
	deep := strings.Repeat("OR ALL ", 9000) + "ALL"
	for _, tc := range []struct {
		name, program string
		op            SearchOp
		keys          int
	}{
		{"two", "OR 1 2", SearchOr, 2},
		{"one behind the other", "OR 1 OR 2 OR 3 4", SearchOr, 4},
		{"all at the front", "OR OR OR 1 2 3 4", SearchOr, 4},
		{"in pairs", "OR OR 1 2 OR 3 4", SearchOr, 4},
		{"with others behind them", "OR OR 1 2 3 4", SearchAnd, 2},
		{"as many as fit into a line", deep, SearchOr, 9001},
		{"an even number of negations", strings.Repeat("NOT ", 16000) + "SEEN", SearchFlag, 0},
		{"an odd number of negations", strings.Repeat("NOT ", 15001) + "SEEN", SearchNot, 1},
	} {
		d, _ := reader("a SEARCH " + tc.program + "\r\n")
		c, err := d.Next()
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if k := c.Args.(*Search).Program; k.Op != tc.op || len(k.Keys) != tc.keys {
			t.Errorf("%s: operator %d of %d keys, want %d of %d", tc.name, k.Op, len(k.Keys), tc.op, tc.keys)
		}
	}
	for _, program := range []string{"OR", "OR ALL", "OR OR ALL ALL", "NOT", "NOT NOT", strings.Repeat("OR ", 20000)} {
		d, _ := reader("a SEARCH " + program + "\r\nb NOOP\r\n")
		if _, err := d.Next(); err == nil {
			t.Errorf("%.40q was taken", program)
		}
		if c, err := d.Next(); err != nil || c.Tag != "b" {
			t.Errorf("%.40q: then %+v, %v", program, c, err)
		}
	}
}

func TestFlagsThatCannotBeAreToldApart(t *testing.T) {
	for _, tc := range []struct{ flag, want string }{
		{`a]b`, ""}, {`a%b`, ""}, {`a*b`, ""}, {`a\b`, ""}, {"a+b", ""},
		{"x\x80", "STORE: 8bit data in atom"}, {"xä", "STORE: 8bit data in atom"}, {"a{b", "STORE: Invalid flag"}, {`a"b`, "STORE: Invalid flag"},
		{"a(b", "STORE: Invalid flag"}, {"\x7f", "STORE: Invalid flag"}, {"a\x01", "STORE: Invalid flag"}, {"a\x00", "STORE: NUL in command"},
	} {
		d, _ := reader("a STORE 1 +FLAGS (" + tc.flag + ")\r\n")
		_, err := d.Next()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%q: %q, want %q", tc.flag, got, tc.want)
		}
	}
}

func TestTheEndOfTheStreamInTheMiddleOfALiteral(t *testing.T) {
	d, _ := reader("a LOGIN {100+}\r\nbob")
	if _, err := d.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}
