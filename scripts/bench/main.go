// Command bench converts generated mail three ways in one run and prints them side by side:
//
//	dovetail convert        durable
//	doveadm backup          real Dovecot, with its default of one fsync a message, and without any
//	the bare operations     the same files created, written, closed and renamed: without sync, with syncfs(2) for each
//	                        group of 4,000, with fdatasync for each file
//
// For each it prints wall and CPU seconds, peak memory, messages a second, and the ratio to the floor: the bare operations
// synced in groups. Then dovetail is run again with nothing to do.
//
//	scripts/bench -n 20000,100000 -default-fsync=false
//
// Before that, "dovetail config -n" and "doveconf -n" print the configuration that Debian's packages installed, 50 times
// each, beside a verb that does nothing: what it takes is Go's start and the memory of a large program.
//
//	scripts/bench courier -maildirs 1000
//
// measures conversions of Courier's control files instead, and
//
//	scripts/bench auth -time 2s
//
// logins over the auth service's socket, beside real Dovecot's, for each database and scheme, and
//
//	scripts/bench imap -n 100000
//
// IMAP, command by command, beside real Dovecot on the same mailboxes, and
//
//	scripts/bench lmtp -n 500
//
// durable deliveries by LMTP, beside real Dovecot on the same disk, and
//
//	scripts/bench pop3 -n 20000
//
// POP3, beside real Dovecot on the same mailboxes.
//
// Everything happens below one folder (-dir), on whose disk the numbers depend. As root all programs run as "nobody",
// because Dovecot refuses to open mail as root.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

type options struct {
	dir, dovetail, profile string
	pairs                  []string
	defaultFsync, dovecot  bool
	each, config           bool
}

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 {
		for name, run := range map[string]func([]string){"imap": imapMain, "lmtp": lmtpMain, "pop3": pop3Main, "floor": floorMain, "courier": courierMain, "lists": listsMain, "auth": authMain} {
			if os.Args[1] == name {
				run(os.Args[2:])
				return
			}
		}
	}
	var o options
	counts := flag.String("n", "2000", "numbers of messages, joined by commas")
	pairs := flag.String("pairs", "mbox-sdbox,maildir-sdbox,sdbox-maildir,mbox-maildir", "what to convert, joined by commas")
	flag.StringVar(&o.dir, "dir", "", "folder to work in; default a temporary one")
	flag.StringVar(&o.dovetail, "dovetail", "bin/dovetail", "the program to measure")
	flag.StringVar(&o.profile, "profile", "office", "mailgen's kind of mail: office, real or small")
	flag.BoolVar(&o.dovecot, "dovecot", true, "measure doveadm backup")
	flag.BoolVar(&o.defaultFsync, "default-fsync", true, "measure doveadm backup with its default of one fsync a message; minutes for 20,000")
	flag.BoolVar(&o.each, "each", true, "measure the bare operations with one fdatasync a file")
	flag.BoolVar(&o.config, "config", true, "measure how long it takes to print a configuration")
	flag.Parse()
	o.pairs = strings.Split(*pairs, ",")
	if err := run(o, strings.Split(*counts, ",")); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(o options, counts []string) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "dovetail-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	var err error
	if o.dovetail, err = programs(o.dir, o.dovetail); err != nil {
		return err
	}
	if o.config {
		if err := configuration(o); err != nil {
			return err
		}
	}
	for _, count := range counts {
		n, err := strconv.Atoi(count)
		if err != nil {
			return err
		}
		if err := measure(o, n); err != nil {
			return fmt.Errorf("%d messages: %w", n, err)
		}
	}
	return nil
}

// programs puts mailgen and copies of dovetail and of this program where the mail user can run them.
func programs(dir, dovetail string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if out, err := command("go", "build", "-o", filepath.Join(dir, "mailgen"), "./scripts/bench/mailgen").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mailgen: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	for from, to := range map[string]string{dovetail: "dovetail", self: "bench"} {
		b, err := os.ReadFile(from)
		if err != nil {
			return "", fmt.Errorf("%w (make build first)", err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o755); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "dovetail"), nil
}

// measure does one size.
func measure(o options, n int) error {
	dir := filepath.Join(o.dir, strconv.Itoa(n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := own(dir); err != nil {
		return err
	}
	sources, err := generate(o, dir, n)
	if err != nil {
		return err
	}
	fmt.Printf("%d messages, profile %s, %d MB\n", n, o.profile, sources.bytes>>20)
	fmt.Printf("%-14s %-26s %9s %9s %9s %10s %8s\n", "", "", "wall s", "CPU s", "peak MiB", "messages/s", "× floor")
	for _, p := range o.pairs {
		from, to, ok := strings.Cut(p, "-")
		if !ok || sources.location[from] == "" {
			return fmt.Errorf("pair %q: want FROM-TO of mbox, maildir, sdbox", p)
		}
		b := bench{options: o, dir: dir, n: n, from: from, to: to, source: sources.location[from]}
		if err := b.run(); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}
