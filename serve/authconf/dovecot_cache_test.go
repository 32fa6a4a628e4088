package authconf

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCacheAnswersAsDovecots(t *testing.T) {
	sqlite, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("needs sqlite3, which changes the database meanwhile")
	}
	b := newBeside(t, `auth_cache_size = 1M
passdb {
  driver = sql
  args = DIR/sql.conf.ext
}
userdb {
  driver = static
  args = uid=8 gid=8 home=/tmp
}
`, map[string]string{
		"sql.conf.ext": "driver = sqlite\nconnect = DIR/users.db\ndefault_pass_scheme = PLAIN\npassword_query = SELECT name AS user, password, fa FROM users WHERE name = '%u'\n",
		"users.db":     "",
	})
	change := func(statement string) {
		t.Helper()
		if out, err := exec.Command(sqlite, filepath.Join(b.dir, "users.db"), statement).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", statement, err, out)
		}
	}
	change("CREATE TABLE users (name TEXT, password TEXT, fa TEXT); INSERT INTO users VALUES ('u1', 'p1', '1'), ('u2', 'p1', '1'), ('u3', 'p1', '1')")
	for i, step := range []string{
		"test u1 p1", "UPDATE users SET password = 'p2', fa = '2'", "test u1 p1", "test u1 p2", "test u1 p1", "test u1 p1", "test u1 p2",
		"test u2 p1", "UPDATE users SET password = 'p3'", "test u2 p3", "test u2 p2", "lookup u2",
		"test u9 p", "INSERT INTO users VALUES ('u9', 'p', '9')", "test u9 p", "lookup u9", "flush u9", "test u9 p",
		"test u3 p3", "DELETE FROM users", "test u3 p3", "test u3 px", "test u3 p3", "flush u3", "test u3 p3",
	} {
		kind, name, _ := strings.Cut(step, " ")
		switch kind {
		case "test", "lookup":
			if got, want := b.answer(step), b.theirAnswer(step); got != want {
				t.Errorf("step %d, %s: got %s, want %s\n%s", i, step, got, want, b.log.String())
			}
		case "flush":
			out, err := exec.Command("doveadm", "-c", b.theirs.Config(), "auth", "cache", "flush", name).CombinedOutput()
			if n := b.ours.FlushCache(name); err != nil || n != 1 || !strings.HasPrefix(string(out), "1 cache entries flushed") {
				t.Errorf("step %d, %s: ours flushed %d, theirs %s, %v", i, step, n, out, err)
			}
		default:
			change(step)
		}
	}
}
