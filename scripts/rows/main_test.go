package main

import (
	"strings"
	"testing"
)

const table = `
| ID | kind, level | says |
| R-001 | sys M | one |
| R-002 | sec M | two |
| R-003 | sec M | three |
| R-004 | doc D | four |
`

const events = `
{"Action":"run","Test":"TestR001StartsAsAnOrdinaryUser"}
{"Action":"pass","Test":"TestR001StartsAsAnOrdinaryUser"}
{"Action":"pass","Test":"TestLogin/R-002_the_first_try"}
{"Action":"fail","Test":"TestLogin/R-002_the_second_try"}
{"Action":"skip","Test":"TestR003NeedsRoot"}
{"Action":"pass","Test":"TestErrorR004IsNoRow"}
{"Action":"pass","Test":"TestR999"}
not json
`

func TestRowsAreHeldByPassingTestsOnly(t *testing.T) {
	rows, err := readTable(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	held, err := readTests(strings.NewReader(events))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	print(&out, rows, held)
	want := "level M: 1 of 3 rows held by a passing test\n" +
		"  not held: R-002(failed) R-003(skipped)\n" +
		"level S: 0 of 0 rows held by a passing test\n" +
		"level X: 0 of 0 rows held by a passing test\n" +
		"level D: 0 of 1 rows held by a passing test\n" +
		"  not held: R-004\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if _, ok := held["R-999"]; !ok {
		t.Error("a row that is not in the table is not seen")
	}
}
