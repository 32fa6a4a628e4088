package sqlite

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	authsql "dovetail/auth/sql"
)

func TestValuesAreTheTextsOfSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a%20b?.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	connector, err := Connector(path, false)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (day DATE, at DATETIME, yes BOOLEAN, other BOOLEAN, b BLOB, r REAL, i INTEGER, n TEXT, x TEXT);" +
		"INSERT INTO t VALUES ('2026-01-02', '2026-01-02 03:04:05', 1, 'no', x'6162', 0.1, -7, NULL, 'it''s')"); err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []authsql.Value
	if err := Dialect().Run(context.Background(), c, "SELECT *, 1e20, 2.0, 1.0/3, -1e-9 FROM t", nil, func(r authsql.Row) bool {
		got = append(got, r.Values...)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	var want []authsql.Value
	for _, text := range []string{"2026-01-02", "2026-01-02 03:04:05", "1", "no", "ab", "0.1", "-7", "", "it's", "1.0e+20", "2.0", "0.333333333333333", "-1.0e-09"} {
		want = append(want, authsql.Value{Text: text, Set: text != ""})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAFileThatIsNotThereIsNotMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.db")
	connector, err := Connector(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connector.Connect(context.Background()); err == nil {
		t.Error("it was opened")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made")
	}
	for _, path := range []string{"", ":memory:"} {
		if _, err := Connector(path, false); err == nil {
			t.Errorf("%q: accepted", path)
		}
	}
}

func TestNothingIsWrittenToAFileThatIsForReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	connector, err := Connector(path, true)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (a)"); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("got %v", err)
	}
}
