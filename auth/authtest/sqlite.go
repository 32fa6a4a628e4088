package authtest

import (
	"context"
	"database/sql"
	"os"
	"testing"

	"dovetail/auth/sql/sqlite"
)

// SQLite makes an empty database in a file, and gives what runs statements in it.
func SQLite(t testing.TB, path string) func(statements string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	connector, err := sqlite.Connector(path, false)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return func(statements string) {
		t.Helper()
		if _, err := db.ExecContext(context.Background(), statements); err != nil {
			t.Fatalf("%s: %v", statements, err)
		}
	}
}
