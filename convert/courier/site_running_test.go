package courier

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dovetail/formats/disk"
)

func TestR365ProgramsOfCourierAreSeen(t *testing.T) {
	root := tree(t, "domains/a.example/ann/Maildir*", "other/Maildir*", "proc/self/ns/", "proc/self/ns/mnt -> mnt:[1]", "proc/version: 6.1")
	for pid, p := range map[int]struct{ comm, dir, ns string }{
		10: {"couriertcpd", "/", "mnt:[1]"},
		11: {"imapd", root + "/domains/a.example/ann", "mnt:[1]"},
		12: {"pop3d", root + "/domains/a.example/ann/Maildir", "mnt:[1]"},
		13: {"imapd", root + "/other", "mnt:[1]"},
		14: {"imapd", "/", "mnt:[1]"},
		15: {"bash", root + "/domains/a.example/ann", "mnt:[1]"},
		16: {"couriertcpd", "/", "mnt:[2]"}, // in a container
	} {
		for _, line := range []string{
			"proc/%d/comm: " + p.comm + "\n", "proc/%d/ns/", "proc/%d/ns/mnt -> " + p.ns, "proc/%d/cwd -> " + p.dir,
		} {
			if err := plant(root, fmt.Sprintf(line, pid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tc := range []struct {
		name      string
		path      string
		listeners bool
		want      []int
	}{
		{"all domains", "domains", true, []int{10, 11, 12}},
		{"without listeners", "domains", false, []int{11, 12}},
		{"one Maildir", "domains/a.example/ann/Maildir", false, []int{11, 12}},
		{"elsewhere", "nowhere", false, nil},
	} {
		var got []int
		for _, p := range Running(root+"/proc", []string{root + "/" + tc.path}, tc.listeners) {
			got = append(got, p.PID)
			if s := p.String(); !strings.Contains(s, p.Name) {
				t.Errorf("%q does not say what it is", s)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// One place is enough for all: the first user, whom Courier does not leave alone before the last one is written, steps aside.
func TestR380UsersWaitForCourierAtOnce(t *testing.T) {
	users := manyUsers(t, patient+20)
	busy, last := users[0].Maildir, users[len(users)-1].Maildir
	reached, stopped := make(chan struct{}), make(chan bool)
	reach := sync.OnceFunc(func() { close(reached) })
	go func() {
		for range 10000 {
			if err := os.WriteFile(filepath.Join(busy, "courierimapsubscribed"), []byte("INBOX\n"), 0o600); err != nil {
				t.Error(err)
			}
			select {
			case <-reached:
				stopped <- true
				return
			case <-time.After(time.Millisecond): // the pace of Courier
			}
		}
		stopped <- false
	}()
	r, err := Site(t.Context(), listed(users), Options{Convert: true, Jobs: 1, WaitIdle: 100 * time.Millisecond, Fault: func(_ disk.Op, path string) error {
		if strings.HasPrefix(path, last) {
			reach()
		}
		return nil
	}})
	if inTime := <-stopped; err != nil || !inTime || r.Outcomes[Converted] != len(users)-1 {
		t.Errorf("%v, others in time %t, outcomes %v", err, inTime, r.Outcomes)
	}
}
