package maildir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const benchTaken = 200_000

// courierBench makes an INBOX of Courier's with as many messages: a list of UIDs, a POP3 list and keywords of each tenth.
func courierBench(b *testing.B, root string) {
	for _, sub := range []string{"cur", "new", "tmp", courierKeywordsDir} {
		if err := os.Mkdir(filepath.Join(root, sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	var uids, uidls, keywords strings.Builder
	fmt.Fprintf(&uids, "1 300 %d\n", benchTaken+1)
	fmt.Fprintf(&uidls, "/2 %d 1200000000\n", benchTaken+1)
	keywords.WriteString("$Forwarded\nNonJunk\n$label1\n\n")
	seed := ""
	for i := range benchTaken {
		base := fmt.Sprintf("%d.M%dP4242V0000000000000801I%016x_0.mail.example.com,S=17000", 1600000000+i, i, i)
		name := filepath.Join(root, "cur", base+":2,S")
		if i%30000 == 0 || os.Link(seed, name) != nil {
			seed = name
			if err := os.WriteFile(name, []byte("x\n"), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		fmt.Fprintf(&uids, "%d %s\n", i+1, base)
		fmt.Fprintf(&uidls, "%s:2,S 17240 %d:1200000000\n", base, i+1)
		if i%10 == 0 {
			fmt.Fprintf(&keywords, "%s:%d %d\n", base, i%3, (i+1)%3)
		}
	}
	for name, text := range map[string]string{uiddb: uids.String(), pop3: uidls.String(), kwList: keywords.String()} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTakeToDovecot plans 200,000 messages, takes them, and reads the files that takes alone for comparison.
func BenchmarkTakeToDovecot(b *testing.B) {
	root := b.TempDir()
	courierBench(b, root)
	b.Run("read the same files", func(b *testing.B) {
		m := newMeter(b)
		for b.Loop() {
			for _, name := range []string{uiddb, pop3, kwList} {
				if _, err := os.ReadFile(filepath.Join(root, name)); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := os.ReadDir(filepath.Join(root, "cur")); err != nil {
				b.Fatal(err)
			}
		}
		m.report()
	})
	b.Run("plan", func(b *testing.B) {
		m := newMeter(b)
		for b.Loop() {
			dovecot, courier := bothSides(b, root, "")
			if _, err := dovecot.PlanTake(b.Context(), courier); err != nil {
				b.Fatal(err)
			}
		}
		m.report()
	})
	b.Run("take", func(b *testing.B) {
		m := newMeter(b)
		for b.Loop() {
			b.StopTimer()
			for _, name := range []string{uidlistName, keywordsName, takenName} {
				os.Remove(filepath.Join(root, name))
			}
			b.StartTimer()
			dovecot, courier := bothSides(b, root, "")
			if got := take(b, dovecot, courier, TakeOptions{}); !got.Done {
				b.Fatalf("%+v", got)
			}
		}
		m.report()
	})
	b.Run("back", func(b *testing.B) {
		m := newMeter(b)
		for b.Loop() {
			b.StopTimer()
			text, err := os.ReadFile(filepath.Join(root, uiddb))
			if err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, uiddb), append([]byte("1 1 1\n"), text[bytes.IndexByte(text, '\n')+1:]...), 0o600); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			dovecot, courier := bothSides(b, root, "")
			if got := take(b, courier, dovecot, TakeOptions{Replace: true}); !got.Done {
				b.Fatalf("%+v", got)
			}
		}
		m.report()
	})
}

// meter measures what a loop costs the processor, and the highest memory of the process while it runs.
type meter struct {
	b   *testing.B
	cpu time.Duration
}

func newMeter(b *testing.B) *meter {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the highest so far is forgotten
		b.Logf("memory is that since the start: %v", err)
	}
	return &meter{b, usedCPU()}
}

func usedCPU() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (m *meter) report() {
	m.b.ReportMetric((usedCPU()-m.cpu).Seconds()/float64(m.b.N), "cpu-s/op")
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err == nil {
		m.b.ReportMetric(kb/1024, "MB-peak")
	}
}
