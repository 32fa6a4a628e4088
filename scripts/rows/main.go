// Rows says which rows of the acceptance table are held by a passing test.
//
// The table is samples/requirements.md: lines of the form
//
//	| R-137 | sys M | says | we must | test |
//
// where the last word of the second column is the level: M first release, S later, X never but explained, D documentation
// only. A test holds a row when its name carries the row's id: TestR137UserFromNSS, or a subtest "R-137 …" of any test. A
// row is held when all tests that carry it pass and at least one was not skipped.
//
//	go test -json ./... | go run ./scripts/rows samples/requirements.md
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json ./... | rows TABLE")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(1)
	}
}

func run(table string, events io.Reader, out io.Writer) error {
	f, err := os.Open(table)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := readTable(f)
	if err != nil {
		return err
	}
	held, err := readTests(events)
	if err != nil {
		return err
	}
	for id := range held {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			fmt.Fprintf(out, "a test carries %s, which is no row of %s\n", id, table)
		}
	}
	print(out, rows, held)
	return nil
}

// row is one line of the table.
type row struct {
	id    string
	level string // M, S, X or D
}

func readTable(r io.Reader) ([]row, error) {
	var rows []row
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "| R-") {
			continue
		}
		columns := strings.Split(lines.Text(), "|")
		kind := strings.Fields(columns[2])
		if len(kind) != 2 {
			return nil, fmt.Errorf("row without kind and level: %s", lines.Text())
		}
		rows = append(rows, row{id: strings.TrimSpace(columns[1]), level: kind[1]})
	}
	return rows, lines.Err()
}

// outcome counts the tests that carry a row.
type outcome struct{ passed, failed, skipped int }

func (o outcome) held() bool { return o.passed > 0 && o.failed == 0 }

// rowName finds row ids in the name of a test: R followed by three digits, at the start of a word or after "Test".
var rowName = regexp.MustCompile(`(?:^Test|[/_ ]|^)R-?(\d{3})`)

// readTests reads what go test -json prints. Lines that are not JSON are build output and are ignored.
func readTests(r io.Reader) (map[string]outcome, error) {
	held := map[string]outcome{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct{ Action, Test string }
		if json.Unmarshal(lines.Bytes(), &event) != nil || event.Test == "" {
			continue
		}
		for _, m := range rowName.FindAllStringSubmatch(event.Test, -1) {
			o := held["R-"+m[1]]
			switch event.Action {
			case "pass":
				o.passed++
			case "fail":
				o.failed++
			case "skip":
				o.skipped++
			default:
				continue
			}
			held["R-"+m[1]] = o
		}
	}
	return held, lines.Err()
}

func print(out io.Writer, rows []row, held map[string]outcome) {
	for _, level := range []string{"M", "S", "X", "D"} {
		var missing []string
		all := 0
		for _, r := range rows {
			if r.level != level {
				continue
			}
			all++
			if !held[r.id].held() {
				missing = append(missing, describe(r.id, held[r.id]))
			}
		}
		fmt.Fprintf(out, "level %s: %d of %d rows held by a passing test\n", level, all-len(missing), all)
		if len(missing) > 0 {
			fmt.Fprintf(out, "  not held: %s\n", strings.Join(missing, " "))
		}
	}
}

// describe adds why a row that has tests is not held.
func describe(id string, o outcome) string {
	switch {
	case o.failed > 0:
		return id + "(failed)"
	case o.skipped > 0:
		return id + "(skipped)"
	}
	return id
}
